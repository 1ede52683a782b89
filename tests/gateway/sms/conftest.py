"""What tests of the SMS side share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.sms_world import SmsWorld


@pytest.fixture
def make_world() -> Iterator[Callable[..., SmsWorld]]:
    """Makes pipelines with everything around them; their threads end with the test."""
    worlds: list[SmsWorld] = []

    def make(**options: Any) -> SmsWorld:
        worlds.append(SmsWorld(**options))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make_world: Callable[..., SmsWorld]) -> SmsWorld:
    return make_world()

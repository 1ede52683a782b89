"""Worlds to break. Tests of one module share one, as starting it takes longer than most tests; each leaves it whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.fault_world import FaultWorld


def make_worlds(folders: pytest.TempPathFactory) -> Iterator[Callable[..., FaultWorld]]:
    worlds: list[FaultWorld] = []

    def make(**options: object) -> FaultWorld:
        world = FaultWorld(folders.mktemp("world"), **options)
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def make_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., FaultWorld]]:
    """``make_world(store="redis", watermark_at=…)``: a world of the test's own."""
    yield from make_worlds(tmp_path_factory)


@pytest.fixture(scope="module")
def make_shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., FaultWorld]]:
    """The same for a module."""
    yield from make_worlds(tmp_path_factory)

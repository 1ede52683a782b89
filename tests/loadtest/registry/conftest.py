"""A registry for each test, in memory, its clock at noon of a Wednesday and standing still."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.registry_world import RegistryWorld


@pytest.fixture
async def world() -> AsyncIterator[RegistryWorld]:
    """No limits are enforced; the provider of 600123 and 600124 is logged in."""
    async with RegistryWorld() as made:
        await made.login()
        yield made

"""Small values: what is kept is found again, by any process, and changes by comparison have one winner."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from adapters.store import Store

NAME = "pull/600123/IYS"


@pytest.fixture(params=["lmdb", "redis"])
async def two_stores(request: pytest.FixtureRequest, open_test_store: Callable[..., Store]) -> tuple[Store, Store]:
    """The same store, opened twice as two machines (Redis) or two runs (LMDB) would."""
    if request.param == "lmdb":
        first = open_test_store("lmdb:store", map_size_bytes=1 << 30)
        second = first  # one environment a process
    else:
        url = request.getfixturevalue("redis_server").url
        first, second = open_test_store(url, state="a"), open_test_store(url, state="b")
    await first.start()
    await first.initialise()
    await second.start()
    return first, second


async def test_what_one_keeps_the_other_recalls_until_it_is_forgotten(two_stores: tuple[Store, Store]) -> None:
    """Nothing, a value, another in its place, nothing again."""
    here, there = two_stores
    assert await there.recall(NAME) is None
    await here.keep(NAME, b"\x00first")
    assert await there.recall(NAME) == b"\x00first"
    await there.keep(NAME, b"")
    assert await here.recall(NAME) == b""
    await here.keep(NAME, None)
    assert await there.recall(NAME) is None


async def test_a_replacement_needs_the_expected_value(two_stores: tuple[Store, Store]) -> None:
    """Nothing and an empty value are two things."""
    here, there = two_stores
    assert not await here.replace(NAME, b"", b"x")
    assert await here.replace(NAME, None, b"")
    assert not await there.replace(NAME, None, b"x")
    assert await there.replace(NAME, b"", b"x")
    assert not await here.replace(NAME, b"", b"y")
    assert await here.recall(NAME) == b"x"


async def test_of_many_replacements_at_once_one_wins(two_stores: tuple[Store, Store]) -> None:
    """Whoever they come from."""
    won = await asyncio.gather(
        *(store.replace(NAME, None, b"%d" % number) for number in range(10) for store in two_stores)
    )
    assert won.count(True) == 1


async def test_all_who_share_a_store_share_a_clock(two_stores: tuple[Store, Store]) -> None:
    """Each answer lies between those asked for before and after it, whoever asked."""
    here, there = two_stores
    told = [await store.now() for store in (here, there, here)]
    assert told == sorted(told)
    assert abs(told[0] - time.time()) < 60


@pytest.mark.parametrize("name", ["", "ş", "n" * 201])
async def test_a_name_that_cannot_be_a_key_is_refused(two_stores: tuple[Store, Store], name: str) -> None:
    """Before anything is asked."""
    with pytest.raises(ValueError, match="name of a value"):
        await two_stores[0].recall(name)

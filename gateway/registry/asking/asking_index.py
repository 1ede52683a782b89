"""What the indexes that ask the registry have in common: a look-up waits a moment for its word, and is made again.

Whatever goes wrong meanwhile (too many wait, the registry is silent, a fault of ours), the answer that there was goes
on as it was: without the registry's word nothing changes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from filters.decision.freshness import freshness
from filters.decision.policy import Policy
from filters.exchange import Lookup
from filters.vocabulary import FreshnessState, LookupFailure
from gateway.ports import ConsentIndex
from gateway.registry.asking.gathering import RequeryObserver

log = structlog.stdlib.get_logger(__name__)

WAIT_S = 5.0
MOST_WAITING = 1000

Done = Callable[[Lookup | LookupFailure], None]


class AskingIndex:
    """A ``ConsentIndex`` around ``index``. ``policies`` by brand; ``clock``: seconds since 1970 UTC."""

    name = "asking"
    """Why the registry is asked, for the log; also the name of the tasks."""

    def __init__(
        self,
        index: ConsentIndex,
        policies: Mapping[int, Policy],
        observer: RequeryObserver,
        *,
        wait_s: float = WAIT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._index = index
        self._policies = policies
        self._observer = observer
        self._wait_s = wait_s
        self._clock = clock
        self._waiting: set[asyncio.Task[None]] = set()
        self.remember_taken = index.remember_taken
        self.forget_taken = index.forget_taken

    async def close(self) -> None:
        """Whoever still waits gets the answer there was."""
        await end_tasks(self._waiting)

    def _freshness(self, brand: int, answer: Lookup) -> FreshnessState:
        return freshness(answer.watermark_at, int(self._clock()), self._policies[brand])[0]

    def _ask_first(
        self,
        brand: int,
        keys: Sequence[bytes],
        message_digest: bytes | None,
        answer: Lookup,
        asked: int,
        ask: Callable[[], Awaitable[bool]],
        done: Done,
        read: Callable[[Lookup], Lookup] = lambda fresh: fresh,
    ) -> None:
        """Once ``ask`` says that something is known now, look up again and answer with what ``read`` makes of it; else
        with ``answer``. ``asked``: of how many people the registry's word is wanted."""
        if len(self._waiting) >= MOST_WAITING:
            self._observer.requeried("not_asked", asked)
            done(answer)
            return
        waiting = self._wait_and_look_again(brand, keys, message_digest, answer, asked, ask, done, read)
        task = asyncio.get_running_loop().create_task(waiting, name=self.name)
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _wait_and_look_again(
        self,
        brand: int,
        keys: Sequence[bytes],
        message_digest: bytes | None,
        answer: Lookup,
        asked: int,
        ask: Callable[[], Awaitable[bool]],
        done: Done,
        read: Callable[[Lookup], Lookup],
    ) -> None:
        is_told = False
        try:
            async with asyncio.timeout(self._wait_s):
                is_told = await ask()
        except TimeoutError:
            self._observer.requeried("timed_out", asked)
        except Exception as fault:  # asking is an extra: the index's own answer stands
            log.warning("asking.failed", why=self.name, brand=brand, fault=type(fault).__name__)
        except asyncio.CancelledError:
            done(answer)
            raise
        if not is_told:
            done(answer)
            return

        def looked(fresh: Lookup | LookupFailure) -> None:
            done(read(fresh) if isinstance(fresh, Lookup) else fresh)

        try:
            self._index.lookup(brand, keys, message_digest, looked)
        except Exception as fault:  # in a task nobody else would hear of it, and the message would wait for ever
            log.warning("asking.failed", why=self.name, brand=brand, fault=type(fault).__name__)
            done(LookupFailure.BROKEN)


async def end_tasks(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel them and wait until they have ended."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)

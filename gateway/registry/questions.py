"""Subjects whose will could not be read from what the registry sent: kept, sealed, until a status query tells.

A brand's watermark does not move while one of them waits: everything up to it is then not known. They are written
before the cursor that passes them, so no kill loses one.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import orjson
import structlog

from filters.consent import unpack
from filters.consent_key import ConsentKeys
from filters.registry.call import Priority
from filters.registry.error_codes import Advice
from filters.registry.failures import CallFailure, Failure
from filters.registry.merging import settle
from filters.registry.values import ConsentSubject, StoredConsent
from filters.registry.writing import find_address_problem
from filters.sms.note_seal import NONCE_BYTES, NoteSeal
from filters.vocabulary import Channel, RecipientType
from gateway.registry.failures import failure_words
from gateway.registry.ports import BrandLink, SyncIndex, SyncMemory

log = structlog.stdlib.get_logger(__name__)

MOST_WAITING = 1000
_LOOK_EVERY_S = 1.0
_PAUSE_S = 10.0


class QuestionsFullError(OSError):
    """So many wait that something is wrong with what the registry sends, or with our reading of it."""


class QuestionBook:
    """The subjects that wait, per brand; changed by comparison, as receivers of push write here too."""

    def __init__(self, memory: SyncMemory, seal: NoteSeal) -> None:
        self._memory = memory
        self._seal = seal

    async def waiting(self, brand: int) -> tuple[ConsentSubject, ...]:
        """Raises ``OSError``, and ``ValueError`` where what is kept cannot be opened."""
        return self._open(brand, await self._memory.recall(_name(brand)))

    async def add(self, brand: int, subjects: Iterable[ConsentSubject]) -> None:
        """Durable on return. Raises ``QuestionsFullError`` where there is no room: take no more from the registry."""
        new = tuple(subjects)
        if new:
            await self._change(brand, lambda known: tuple(dict.fromkeys((*known, *new))))

    async def settle(self, brand: int, subjects: Iterable[ConsentSubject]) -> None:
        """These have been answered."""
        gone = frozenset(subjects)
        if gone:
            await self._change(brand, lambda known: tuple(each for each in known if each not in gone))

    async def _change(
        self, brand: int, change: Callable[[tuple[ConsentSubject, ...]], tuple[ConsentSubject, ...]]
    ) -> None:
        while True:
            packed = await self._memory.recall(_name(brand))
            known = self._open(brand, packed)
            changed = change(known)
            if len(changed) > MOST_WAITING and len(changed) > len(known):
                raise QuestionsFullError(f"registry: {MOST_WAITING} questions wait already")
            if changed == known or await self._memory.replace(_name(brand), packed, self._pack(brand, changed)):
                return

    def _open(self, brand: int, packed: bytes | None) -> tuple[ConsentSubject, ...]:
        if not packed:
            return ()
        rows = orjson.loads(self._seal.open(_name(brand).encode(), packed))
        return tuple(
            ConsentSubject(recipient, Channel(channel), RecipientType(kind)) for recipient, channel, kind in rows
        )

    def _pack(self, brand: int, subjects: Sequence[ConsentSubject]) -> bytes:
        return self._seal.seal(
            _name(brand).encode(), orjson.dumps([list(each) for each in subjects]), os.urandom(NONCE_BYTES)
        )


def _name(brand: int) -> str:
    return f"question/{brand}"


class Questions:
    """A ``Task``: asks what waits, and enters the answers into the index."""

    name = "questions"

    def __init__(
        self,
        links: Sequence[BrandLink],
        index: SyncIndex,
        book: QuestionBook,
        keys: ConsentKeys,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._links = links
        self._index = index
        self._book = book
        self._keys = keys
        self._clock = clock
        self._waiting: dict[int, int] = {link.code: 0 for link in links}
        self._failures: Counter[str] = Counter()
        self._answered = 0
        self._not_before = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            pause_s = max([await self.ask(link) for link in self._links], default=_LOOK_EVERY_S)
            await wait_for(stop, pause_s)

    async def ask(self, link: BrandLink) -> float:
        """One turn for one brand; after how many seconds the next makes sense. Raises ``OSError``."""
        subjects = await self._book.waiting(link.code)
        self._waiting[link.code] = len(subjects)
        for subject in subjects:
            found: StoredConsent | CallFailure | None = None
            if find_address_problem(subject.recipient, subject.channel) is not None:
                # Its will cannot be learnt, and unknown means no; the others must not wait for it.
                self._failures["unaskable"] += 1
            else:
                found = await link.api.with_priority(Priority.QUERY).status(link.registry, subject)
            if isinstance(found, Failure):
                self._failures[failure_words(found)] += 1
                if found.advice is not Advice.NEVER:
                    log.warning("registry.question.failed", brand=link.code, failure=failure_words(found))
                    return max(found.pause_s, _PAUSE_S)
                # The registry does not take the address as one: it holds no consent for it, and so do we.
                found = None
            key = self._keys.derive(link.code, subject.recipient.encode("utf-8"))
            value = (await self._index.find(link.code, [key])).values[0]
            state = unpack(value) if value else {}
            change = settle(found, key, state, subject.channel, subject.recipient_type)
            if change is not None:
                await self._index.apply(link.code, [change])
            elif found is not None:
                self._failures["undated"] += 1
                log.error("registry.question.undated", brand=link.code)
                continue  # it stays, and keeps the watermark where it is, until a person has looked
            await self._book.settle(link.code, [subject])
            self._answered += 1
            self._waiting[link.code] -= 1
        return _LOOK_EVERY_S

    def describe(self) -> dict[str, object]:
        return {
            "waiting": {str(code): number for code, number in self._waiting.items()},
            "answered": self._answered,
            "failures": dict(self._failures),
        }


async def wait_for(stop: asyncio.Event, seconds: float) -> None:
    """Until ``stop`` is set, but no longer than ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return

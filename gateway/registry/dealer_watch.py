"""Keeps dealers' lists in step with what the feed brings, and sees whether the dealers who send here still may.

The feed says who gave consent, and not which dealers it is open to; a new consent closes the list of the one before
it. So each is asked about, in what is left of the rate, before the first message needs it (``AccessListReader``). What
waits is in memory only: a list that was not read is read for the first message, in the worker that has it.

A dealer that the registry does not call active is an alarm; its lists close as they are read again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import structlog

from filters.consent_key import ConsentKeys
from filters.decision.dealer_access import WantedList, access_list, read_at_of
from filters.registry.call import Priority
from filters.registry.failures import Failure, Refused
from filters.registry.merging import find_address, read_record
from filters.registry.values import Movement
from filters.vocabulary import Status
from gateway.dealers import DealerLists
from gateway.registry.asking.access_lists import MOST_WANTED, AccessListReader
from gateway.registry.asking.access_question import ACTIVE
from gateway.registry.failures import failure_words
from gateway.registry.ports import BrandLink

log = structlog.stdlib.get_logger(__name__)

LOOK_EVERY_S = 1.0
STATES_EVERY_S = 3600.0
UNKNOWN_DEALER = "unknown"
NOT_ASKED = "not asked"

_A_STEP = 500
_DATE_BYTES = 4
_A_WORD = 20
_NO_DEALER = frozenset({"H058", "H353"})
"""Nobody's number, or a dealer of another brand's (İYS API reference, 4.2)."""
_NOBODY = 0
"""In place of the dealer who sends: so the list is read with whoever took the consent."""


class FeedAddresses:
    """The addresses behind the keys of consents that the feed brought, until their lists were read."""

    def __init__(self) -> None:
        self.by_key: dict[bytes, bytes] = {}

    def find(self, key: bytes) -> bytes | None:
        return self.by_key.get(key)


class DealerWatch:
    """A ``Task``. ``dealers``: by brand, the numbers of those who send through this installation."""

    name = "dealers"

    def __init__(
        self,
        links: Sequence[BrandLink],
        dealers: Mapping[int, frozenset[int]],
        keys: ConsentKeys,
        lists: DealerLists,
        reader: AccessListReader,
        addresses: FeedAddresses,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._links = [link for link in links if dealers.get(link.code)]
        self._dealers = dealers
        self._keys = keys
        self._lists = lists
        self._reader = reader
        self._addresses = addresses
        self._clock = clock
        self._wanted: dict[int, dict[bytes, WantedList]] = {link.code: {} for link in self._links}
        self._left_out = 0
        self._states = {link.code: dict.fromkeys(sorted(dealers[link.code]), NOT_ASKED) for link in self._links}
        self._states_at = -STATES_EVERY_S

    def heard(self, brand: int, movements: Sequence[Movement]) -> None:
        """What the feed brought; the later consent of one subject counts."""
        wanted = self._wanted.get(brand)
        if wanted is None:
            return
        for movement in movements:
            address = find_address(movement.subject.recipient, movement.subject.channel)
            if address is None:
                continue
            key = self._keys.derive(brand, address)
            change = read_record(movement, key)
            if change is None or change.consent.status is not Status.APPROVED:
                continue
            if len(self._addresses.by_key) >= MOST_WANTED:
                self._left_out += 1
                continue
            name = access_list(key, change.channel, change.recipient_type, change.consent.consent_at, ()).name
            known = wanted.get(name)
            if known is None or known.consent_at <= change.consent.consent_at:
                wanted[name] = WantedList(name, change.consent.consent_at)
                self._addresses.by_key[key] = address

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if self._clock() - self._states_at >= STATES_EVERY_S:
                await self.look_at_dealers()
            await self.step()
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await stop.wait()
            except TimeoutError:
                continue

    async def step(self) -> None:
        """Hand on what is to be read; forget addresses once nothing is. Raises ``OSError`` of the store."""
        for brand, waiting in self._wanted.items():
            while waiting and self._reader.waiting < _A_STEP:
                part = dict(islice(waiting.items(), _A_STEP))
                unread = await self._unread(part)
                for name in part:
                    waiting.pop(name, None)
                self._reader.read_later(brand, unread, _NOBODY)
        if not self._reader.waiting and not any(self._wanted.values()):
            self._addresses.by_key.clear()

    async def _unread(self, wanted: Mapping[bytes, WantedList]) -> list[WantedList]:
        """Those whose list was not read yet: a feed that is read once more asks nothing once more."""
        answered: asyncio.Future[Sequence[bytes | None] | None] = asyncio.get_running_loop().create_future()

        def keep(answer: Sequence[bytes | None] | None) -> None:
            if not answered.done():
                answered.set_result(answer)

        self._lists.find_access(list(wanted), keep)
        found = await answered
        if found is None:
            raise OSError("the lists of dealers cannot be asked")
        return [
            each
            for each, packed in zip(wanted.values(), found, strict=True)
            if packed is None
            or int.from_bytes(packed[:_DATE_BYTES], "big") < each.consent_at
            or (int.from_bytes(packed[:_DATE_BYTES], "big") == each.consent_at and not read_at_of(packed))
        ]

    async def look_at_dealers(self) -> None:
        """Ask the registry for each dealer of ours; what cannot be asked stays as it was."""
        self._states_at = self._clock()
        for link in self._links:
            for code in self._states[link.code]:
                found = await link.api.with_priority(Priority.BULK).retailer(link.registry, code)
                if isinstance(found, Failure):
                    if not (isinstance(found, Refused) and _NO_DEALER & set(found.codes)):
                        log.warning("dealers.not_asked", brand=link.code, failure=failure_words(found))
                        continue
                    state = UNKNOWN_DEALER
                else:
                    state = found.status if found.status.isalpha() and len(found.status) <= _A_WORD else UNKNOWN_DEALER
                if state != self._states[link.code][code]:
                    tell = log.info if state == ACTIVE else log.error
                    tell("dealers.state", brand=link.code, dealer=code, state=state)
                self._states[link.code][code] = state

    @property
    def not_active(self) -> dict[int, int]:
        """How many of our dealers the registry does not call active, by brand."""
        return {
            brand: sum(state not in (ACTIVE, NOT_ASKED) for state in states.values())
            for brand, states in self._states.items()
        }

    def describe(self) -> dict[str, object]:
        return {
            "waiting": self._reader.waiting + sum(map(len, self._wanted.values())),
            "left_out": self._left_out,
            "dealers": {
                str(brand): {str(code): state for code, state in states.items()}
                for brand, states in self._states.items()
            },
        }

"""What a worker's scheduled sends are, written down so that another worker goes on with them when this one is gone.

The store keeps notes under names that say nothing and cannot list them, so each name is one that can be made again:
a day's book holds the workers that wrote on that day, one note each; a worker's pages of that day are numbered from 0.
Whatever is written on a day is kept until its last message must have left, so no page goes before one behind it.

A worker that lives changes its *sign of life* every few seconds. Whoever sees the same sign stand still for a term (no
two clocks are compared), or sees that the worker has left, takes its pages over: writes them among its own, then says
that they are taken. Two that do so at once look after the same sends, which does no harm.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import orjson
import structlog

from filters.sms.http import HttpRequest
from filters.vocabulary import RecipientType
from gateway.sms.sealed_notes import SealedNotes

log = structlog.stdlib.get_logger(__name__)

DAY_S = 86_400
PAGE_SENDS = 1000
TERM_S = 45.0
"""So long a sign of life stands still before its worker counts as gone."""

TURN_S = 120
"""So long nobody else takes over what one has begun to."""

LONGEST_LEAD_S = 7 * DAY_S

_PAGES_AT_ONCE = 64
"""Asked for together; a gap this long is the end."""

_PLACES_AT_ONCE = 8

_SPARE_S = 3600
_LEFT, _TAKEN = b"left", b"taken"


class ScheduledSend(NamedTuple):
    """One person's part in one job. ``part`` tells the parts of a job apart that are called off each by itself.

    ``send_at``: seconds since 1970 UTC by which the provider has sent it. ``key`` is the person's in the index.
    """

    upstream: str
    message_id: str
    part: str
    brand: int
    key: bytes
    recipient_type: RecipientType | None
    send_at: float
    request: HttpRequest

    @property
    def name(self) -> tuple[str, ...]:
        return ("scheduled job", self.upstream, self.message_id, self.part)


class ScheduledJournal:
    """One worker's, for one upstream: who does not know that one leaves it alone.

    ``instance`` names this process and no other, ever; ``longest_lead_s`` is the longest time that a
    provider may hold a message; ``monotonic`` gives seconds that no correction of the clock turns back."""

    def __init__(
        self,
        notes: SealedNotes,
        upstream: str,
        instance: str,
        *,
        longest_lead_s: float = LONGEST_LEAD_S,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        term_s: float = TERM_S,
    ) -> None:
        self._notes = notes
        self._upstream = upstream
        self._instance = instance
        self._longest_lead_s = max(longest_lead_s, LONGEST_LEAD_S)
        self._clock = clock
        self._monotonic = monotonic
        self._term_s = term_s
        self._day = -1
        self._next_pages: dict[int, int] = {}
        self._beats = 0
        self._registering = asyncio.Lock()
        self._signs: dict[str, tuple[bytes | None, float]] = {}
        """Other workers' signs of life, and since when they stand still."""

    # -- writing --------------------------------------------------------------------------------------------------

    async def write(self, sends: Sequence[ScheduledSend]) -> bool:
        """Whether all are written down."""
        if not sends:
            return True
        day = int(self._clock()) // DAY_S
        if not await self._register(day):
            return False
        pages = [sends[start : start + PAGE_SENDS] for start in range(0, len(sends), PAGE_SENDS)]
        return all(await asyncio.gather(*(self._write_page(day, page) for page in pages)))

    async def beat(self) -> None:
        """Show that this worker lives; nothing where it has written nothing."""
        if self._day >= 0:
            self._beats += 1
            await self._notes.keep(self._sign_of(self._instance), b"%d" % self._beats)

    async def leave(self, *, is_empty: bool) -> None:
        """This worker ends; where nothing is left to do, nobody has to take it over."""
        if self._day >= 0:
            await self._notes.keep(self._sign_of(self._instance), _TAKEN if is_empty else _LEFT)

    async def _register(self, day: int) -> bool:
        """Into the day's book, before the first page of the day."""
        async with self._registering:
            if day <= self._day:
                return True
            place = 0
            is_ours: bool | None = False
            while not is_ours:
                found = await self._notes.find([self._place_in(day, place + nth) for nth in range(_PLACES_AT_ONCE)])
                if found is None:
                    return False
                # Not the first that can be claimed: under a new key those written under older ones seem free.
                free = next((nth for nth, plain in enumerate(found) if plain is None), None)
                if free is None:
                    place += _PLACES_AT_ONCE
                    continue
                place += free
                is_ours = await self._notes.claim(
                    self._place_in(day, place), self._instance.encode(), self._keep_s(day)
                )
                if is_ours is None:
                    return False
            self._day = day
            self._next_pages = {day - 1: self._next_pages.get(day - 1, 0), day: 0}
        await self.beat()
        return True

    async def _write_page(self, day: int, sends: Sequence[ScheduledSend]) -> bool:
        packed = pack_sends(sends)
        for _ in range(3):
            number = self._next_pages.get(day, 0)
            self._next_pages[day] = number + 1
            is_ours = await self._notes.claim(self._page_of(day, self._instance, number), packed, self._keep_s(day))
            if is_ours is not False:
                return bool(is_ours)
        return False

    def _keep_s(self, day: int) -> int:
        return int((day + 1) * DAY_S + self._longest_lead_s + _SPARE_S - self._clock())

    # -- taking over ----------------------------------------------------------------------------------------------

    async def take_over(self) -> list[ScheduledSend]:
        """What workers that are gone left behind and is still to come, now written down among our own."""
        found: list[ScheduledSend] = []
        writers = await self._read_books()
        if writers is None:
            self._signs.clear()  # what stood still while nobody could read says nothing
            return found
        signs = await self._notes.find([self._sign_of(name) for name in writers])
        if signs is None:
            self._signs.clear()
            return found
        for (name, days), sign in zip(writers.items(), signs, strict=True):
            if self._is_gone(name, sign):
                found += await self._take_over_from(name, days)
        return found

    def _is_gone(self, name: str, sign: bytes | None) -> bool:
        if sign == _TAKEN:
            self._signs.pop(name, None)
            return False
        now = self._monotonic()
        before, since = self._signs.get(name, (None, now))
        if sign != before or name not in self._signs:
            self._signs[name] = (sign, now)
            since = now
        return sign == _LEFT or now - since >= self._term_s

    async def _take_over_from(self, name: str, days: Iterable[int]) -> list[ScheduledSend]:
        if not await self._notes.claim(("scheduled heir", self._upstream, name), self._instance.encode(), TURN_S):
            return []
        sends: list[ScheduledSend] = []
        for day in sorted(days):
            pages = await self._read_pages(day, name)
            if pages is None:
                return []
            sends += pages
        now = self._clock()
        own = list({(send.key, send.name): send for send in sends if send.send_at > now}.values())
        if not await self.write(own) or not await self._notes.keep(self._sign_of(name), _TAKEN):
            log.warning("scheduled.not_taken_over", sends=len(own))
        self._signs.pop(name, None)
        if own:
            log.info("scheduled.taken_over", sends=len(own))
        return own

    async def _read_books(self) -> dict[str, list[int]] | None:
        """Other workers and the days on which they wrote; None if the store could not be asked."""
        today = int(self._clock()) // DAY_S
        days = list(range(today - int(self._longest_lead_s) // DAY_S - 2, today + 2))
        writers: dict[str, list[int]] = {}
        place = 0
        while days:
            found = await self._notes.find(
                [self._place_in(day, place + nth) for day in days for nth in range(_PLACES_AT_ONCE)]
            )
            if found is None:
                return None
            full: list[int] = []
            for number, day in enumerate(days):
                names = [
                    plain
                    for plain in found[number * _PLACES_AT_ONCE : (number + 1) * _PLACES_AT_ONCE]
                    if plain is not None
                ]
                for plain in names:
                    if (name := plain.decode()) != self._instance:
                        writers.setdefault(name, []).append(day)
                if len(names) == _PLACES_AT_ONCE:
                    full.append(day)
            days, place = full, place + _PLACES_AT_ONCE
        return writers

    async def _read_pages(self, day: int, name: str) -> list[ScheduledSend] | None:
        sends: list[ScheduledSend] = []
        start = 0
        while True:
            numbers = range(start, start + _PAGES_AT_ONCE)
            found = await self._notes.find([self._page_of(day, name, number) for number in numbers])
            if found is None:
                return None
            for plain in found:
                if plain is not None:
                    sends += unpack_sends(plain)
            if not any(found):
                return sends
            start += _PAGES_AT_ONCE

    def _place_in(self, day: int, place: int) -> tuple[str, ...]:
        return ("scheduled book", self._upstream, str(day), str(place))

    def _page_of(self, day: int, name: str, number: int) -> tuple[str, ...]:
        return ("scheduled page", self._upstream, str(day), name, str(number))

    def _sign_of(self, name: str) -> tuple[str, ...]:
        return ("scheduled sign of life", self._upstream, name)


def pack_sends(sends: Sequence[ScheduledSend]) -> bytes:
    """A request that calls off a whole job is written once, however many people it concerns."""
    requests: dict[HttpRequest, int] = {}
    rows = [
        [
            send.upstream,
            send.message_id,
            send.part,
            send.brand,
            send.key.hex(),
            send.recipient_type,
            send.send_at,
            requests.setdefault(send.request, len(requests)),
        ]
        for send in sends
    ]
    return orjson.dumps({"requests": [_pack_request(request) for request in requests], "sends": rows})


def unpack_sends(plain: bytes) -> list[ScheduledSend]:
    """What ``pack_sends`` packed; nothing, said in the log, where another version of us wrote it in another form: one
    note must not hide the others."""
    try:
        return _unpack_sends(plain)
    except (ValueError, KeyError, TypeError) as fault:
        log.error("scheduled.unreadable", fault=type(fault).__name__)
        return []


def _unpack_sends(plain: bytes) -> list[ScheduledSend]:
    fields = orjson.loads(plain)
    requests = [_unpack_request(packed) for packed in fields["requests"]]
    return [
        ScheduledSend(
            upstream,
            message_id,
            part,
            brand,
            bytes.fromhex(key),
            RecipientType(kind) if kind is not None else None,
            send_at,
            requests[number],
        )
        for upstream, message_id, part, brand, key, kind, send_at, number in fields["sends"]
    ]


def _pack_request(request: HttpRequest) -> list[Any]:
    method, path, query, headers, body = request
    return [method, path, query, headers, base64.b64encode(body).decode()]


def _unpack_request(packed: list[Any]) -> HttpRequest:
    method, path, query, headers, body = packed
    return HttpRequest(method, path, query, tuple((name, value) for name, value in headers), base64.b64decode(body))

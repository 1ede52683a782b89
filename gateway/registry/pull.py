"""Pull: what changed in the registry, page by page, into the index (İYS API reference, 6.7).

Per brand and source one ``Place``: the cursor, and the stretch of registry time of which every movement is in the index
(``since`` to ``until``). Changes are durable before the cursor that passes them, so a kill anywhere only repeats, and
repeating changes nothing. A source is followed until an answer is empty and names no cursor to go on with; then
everything stored up to an hour before that question is known.

The brand's watermark follows if it lies within that stretch. If it lies before it (away for longer than the feed's
seven days, or never loaded) there is a *gap*: the feed goes on being read, but the watermark stays, the index ages
visibly, and an alarm is raised, until a verification of all addresses or a new complete import has moved the watermark
into the stretch. The index keeps no addresses, so this takes their list.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from filters.consent_key import ConsentKeys
from filters.registry.error_codes import Advice
from filters.registry.failures import Failure, Refused
from filters.registry.merging import read_movements
from filters.registry.values import ChangesPage, ChangesSource, Movement
from gateway.registry.failures import failure_words
from gateway.registry.feed_place import Place, unpack_place
from gateway.registry.ports import BrandLink, SyncIndex, SyncMemory
from gateway.registry.questions import QuestionBook, wait_for
from gateway.registry.unheard import UnheardRefusals

log = structlog.stdlib.get_logger(__name__)

LAG_S = 3600
"""The feed never shows the last hour."""

WINDOW_S = 7 * 86400
"""So far back it reaches."""

WINDOW_MARGIN_S = 600
"""What is nearer to the window's end than this may fall out of it while we ask."""

PAGE = 1000
MOST_EMPTY = 3
"""So many empty answers in a row are followed where each names another cursor: which one an empty answer carries is not
documented, and a page may be empty because nothing on it is for us to see."""

_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 300.0
_TO_BE_MENDED_S = 900.0
_CURSOR_REFUSED = frozenset({400, 404, 422})


@dataclass(slots=True)
class _Told:
    """What is told of one source of one brand. Instants are 0 before the first time."""

    succeeded_at: int = 0
    moved_at: int = 0
    until: int = 0
    failure: str = ""
    failed_at: int = 0
    movements: int = 0
    unreadable: int = 0
    failures: Counter[str] = field(default_factory=Counter)


class Pull:
    """A ``Task``; one turn reads each brand's two sources to their end. ``clock``: seconds since 1970 UTC."""

    name = "pull"

    def __init__(
        self,
        links: Sequence[BrandLink],
        index: SyncIndex,
        memory: SyncMemory,
        book: QuestionBook,
        keys: ConsentKeys,
        *,
        interval_s: float = 60.0,
        heard: Callable[[int, Sequence[Movement]], None] | None = None,
        unheard: UnheardRefusals | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``heard`` is told of the movements of a brand once they are in the index; it must be quick, not raise."""
        self._links = links
        self._index = index
        self._memory = memory
        self._book = book
        self._keys = keys
        self._interval_s = interval_s
        self._heard = heard
        self._unheard = unheard
        self._clock = clock
        self._told = {(link.code, source): _Told() for link in links for source in ChangesSource}
        self._gaps: dict[int, int | None] = {link.code: None for link in links}
        self._held: dict[int, bool] = {link.code: False for link in links}

    async def run(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as brands:  # one that fails takes the others along, to begin again together
            for link in self._links:
                brands.create_task(self._follow(link, stop), name=f"pull-{link.code}")

    async def _follow(self, link: BrandLink, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            failure = await self.turn(link, stop)
            failures = failures + 1 if failure is not None else 0
            if failure is not None and failure.advice in (Advice.MEND_ACCOUNT, Advice.NEVER):
                # A person has to see to it; and each such answer counts against the account (reference, 1.2).
                await wait_for(stop, _TO_BE_MENDED_S)
                continue
            growing_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(failures - 1, 10)) if failures else 0.0
            pause_s = self._interval_s if failure is None else min(3600.0, max(growing_s, failure.pause_s))
            await wait_for(stop, pause_s)

    async def turn(self, link: BrandLink, stop: asyncio.Event | None = None) -> Failure | None:
        """Read both sources to their end and move the watermark. Raises ``OSError`` where the store does not answer."""
        places: list[Place] = []
        for source in (ChangesSource.REGISTRY, ChangesSource.PROVIDER):
            found = await self._read_source(link, source, stop)
            if found is None:
                return None  # told to stop
            if isinstance(found, Failure):
                self._note_failure(link.code, source, found)
                return found
            places.append(found)
        await self._move_watermark(link.code, places)
        return None

    async def _read_source(
        self, link: BrandLink, source: ChangesSource, stop: asyncio.Event | None
    ) -> Place | Failure | None:
        name = f"pull/{link.code}/{source}"
        place = self._usable(unpack_place(await self._memory.recall(name)), int(self._clock()))
        told = self._told[link.code, source]
        derive = partial(self._keys.derive, link.code)
        passed: set[str] = set()
        ahead: str | None = None  # named by an empty answer; followed, but kept only if something lies behind it
        empty = 0
        while stop is None or not stop.is_set():
            asked_at = int(self._clock())
            page = await link.api.changes(link.registry, source, ahead or place.after, PAGE)
            if isinstance(page, Failure):
                if isinstance(page, Refused) and page.status in _CURSOR_REFUSED and ahead is not None:
                    ahead, empty = None, MOST_EMPTY  # it led nowhere
                    continue
                if isinstance(page, Refused) and page.status in _CURSOR_REFUSED and place.after is not None:
                    # Unknown or expired: from the window's beginning, which only repeats.
                    log.warning("registry.cursor.refused", brand=link.code, source=source, failure=failure_words(page))
                    place = self._anew(place, int(self._clock()))
                    continue
                return page
            if not page.size:
                empty += 1
                if page.after not in (None, ahead, place.after) and empty <= MOST_EMPTY:
                    ahead = page.after
                    continue
                place = place._replace(until=max(place.until, asked_at - LAG_S))
                await self._memory.keep(name, place.pack())
                told.succeeded_at, told.until, told.failure = asked_at, place.until, ""
                return place
            await self._take(link, page, derive, told)
            if page.after is None or page.after == place.after or page.after in passed:
                # Not to be asked for again without end; the next turn begins where this one did.
                log.error("registry.cursor.missing", brand=link.code, source=source)
                told.failures["no cursor"] += 1
                told.failure, told.failed_at = "no cursor", asked_at
                return _NoCursor()
            passed.add(page.after)
            ahead, empty = None, 0
            place = place._replace(after=page.after, until=max(place.until, _known_until(page, asked_at)))
            await self._memory.keep(name, place.pack())
            told.moved_at = asked_at
        return None

    async def _take(self, link: BrandLink, page: ChangesPage, derive: Callable[[bytes], bytes], told: _Told) -> None:
        found = read_movements(page.movements, tuple(each.recipient for each in page.unread), derive)
        if found.subjects or found.unknown:
            told.unreadable += len(page.unread) + found.unknown
            log.error(
                "registry.movements.unreadable",
                brand=link.code,
                to_be_asked=len(found.subjects),
                unknown_addresses=found.unknown,
                fields=sorted({each.field for each in page.unread}),
            )
            await self._book.add(link.code, found.subjects)
        if found.changes:
            await self._index.apply(link.code, found.changes)
            if self._heard is not None:
                self._heard(link.code, page.movements)
            if self._unheard is not None:
                await self._unheard.tell_again(link.code, page.movements)
        told.movements += len(page.movements)

    def _usable(self, place: Place | None, now: int) -> Place:
        """``place`` if the feed still reaches back to its end; else one that begins where the feed does."""
        begins_at = now - WINDOW_S + WINDOW_MARGIN_S
        if place is None or place.until < begins_at or place.until > now:
            # Nothing is known to lie without a hole before the feed's beginning; nor up to a time that is still to
            # come, as a clock noted it that ran ahead.
            return Place(None, begins_at, begins_at)
        return place

    def _anew(self, place: Place, now: int) -> Place:
        return self._usable(place._replace(after=None), now)

    async def _move_watermark(self, code: int, places: Sequence[Place]) -> None:
        since = max(place.since for place in places)
        until = min(place.until for place in places)
        watermark_at = (await self._index.watermarks()).get(code)
        self._note_gap(code, watermark_at, since)
        if self._gaps[code] is not None or watermark_at is None:
            return
        self._held[code] = bool(await self._book.waiting(code))
        if not self._held[code] and until > watermark_at:
            await self._index.apply(code, [], watermark_at=until)

    def _note_gap(self, code: int, watermark_at: int | None, since: int) -> None:
        gap_from = watermark_at if watermark_at is not None and watermark_at < since else None
        if gap_from is not None and self._gaps[code] is None:
            log.error(
                "registry.gap",
                brand=code,
                known_until=gap_from,
                feed_since=since,
                mend="izinkapi registry verify with the list of all addresses, or a new complete import",
            )
        if gap_from is None and self._gaps[code] is not None:
            log.info("registry.gap.closed", brand=code)
        self._gaps[code] = gap_from

    def _note_failure(self, code: int, source: ChangesSource, failure: Failure) -> None:
        told = self._told[code, source]
        words = failure_words(failure)
        told.failures[words] += 1
        if told.failure != words:
            log.warning("registry.pull.failed", brand=code, source=source, failure=words)
        told.failure, told.failed_at = words, int(self._clock())

    def describe(self) -> dict[str, object]:
        """By brand: ``gap_since_at`` (None for none), ``is_held`` by open questions, and each source."""
        return {
            str(link.code): {
                "gap_since_at": self._gaps[link.code],
                "is_held": self._held[link.code],
                **{
                    str(source): {
                        "succeeded_at": told.succeeded_at,
                        "cursor_moved_at": told.moved_at,
                        "known_until_at": told.until,
                        "failure": told.failure,
                        "failed_at": told.failed_at,
                        "failures": dict(told.failures),
                        "movements": told.movements,
                        "unreadable": told.unreadable,
                    }
                    for source in ChangesSource
                    for told in (self._told[link.code, source],)
                },
            }
            for link in self._links
        }


def _known_until(page: ChangesPage, asked_at: int) -> int:
    """Up to when everything is known once ``page`` is read: movements come in the order in which they were stored.

    Further ones of its last second may be on the next page.
    """
    stored_at = page.movements[-1].created_at if page.movements else None
    return 0 if stored_at is None else min(stored_at - 1, asked_at - LAG_S)


@dataclass(frozen=True, slots=True)
class _NoCursor(Failure):
    """A page with movements and no way to the next one, or only back to one before."""

    @property
    def pause_s(self) -> float:
        return 60.0

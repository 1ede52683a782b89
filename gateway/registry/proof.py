"""The daily proof: each finished day of each brand, once the registry has written its file, and a sample beside it.

What was proven is kept in the memory, so that a day is proven once, however often the service begins anew, and days
missed while it was away are proven as far as the registry reaches back. Nothing is agreed to (``izinkapi registry
reconcile --save`` does that, by an operator's hand).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any, Protocol

import orjson
import structlog

from filters.consent_key import ConsentKeys
from filters.registry.words import render_day
from gateway.registry.ports import BrandLink, SyncIndex, SyncMemory
from gateway.registry.proof_day import DayResult, DayState, Sample, prove_day
from gateway.registry.proof_sample import SampleResult, prove_sample

log = structlog.stdlib.get_logger(__name__)

REACH_DAYS = 7
LOOK_EVERY_S = 900.0
_PROVEN = frozenset({DayState.AGREED, DayState.REPAIRED, DayState.NOTHING})
_KEPT_DAYS = 14


class ProofObserver(Protocol):
    """Who counts. Must not raise."""

    def day_proven(self, result: DayResult) -> None: ...

    def sample_proven(self, result: SampleResult) -> None: ...


class SilentProof:
    """Hears everything and says nothing."""

    def day_proven(self, result: DayResult) -> None: ...

    def sample_proven(self, result: SampleResult) -> None: ...


class Proof:
    """A ``Task`` of the sync service. ``clock``: wall clock, which the registry's days follow (UTC+3)."""

    name = "proof"

    def __init__(
        self,
        links: Sequence[BrandLink],
        index: SyncIndex,
        memory: SyncMemory,
        keys: ConsentKeys,
        *,
        observer: ProofObserver | None = None,
        look_every_s: float = LOOK_EVERY_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._links = links
        self._index = index
        self._memory = memory
        self._keys = keys
        self._observer = observer or SilentProof()
        self._look_every_s = look_every_s
        self._clock = clock
        self._told: dict[str, Any] = {}

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.step()
            try:
                async with asyncio.timeout(self._look_every_s):
                    await stop.wait()
            except TimeoutError:
                continue

    def describe(self) -> dict[str, object]:
        return dict(self._told)

    async def step(self) -> None:
        """Prove what can be proven now. Raises ``OSError`` of the store."""
        today = date.fromisoformat(render_day(int(self._clock())))
        for link in self._links:
            known = await recall_days(self._memory, link.code)
            sample: Sample = {}
            for back in range(REACH_DAYS, 0, -1):
                day = (today - timedelta(days=back)).isoformat()
                if day in known and known[day]["state"] in _PROVEN:
                    continue
                result = await prove_day(link, self._index, self._keys, day, sample=sample)
                known[day] = as_json(result)
                self._tell(result)
                if result.state is DayState.FAILED:
                    break  # whatever it is, it will be so for the next day too
            await keep_days(self._memory, link.code, known)
            self._told[str(link.code)] = {"days": {day: told["state"] for day, told in known.items()}}
            if sample:
                found = await prove_sample(link, self._index, self._keys, sample, clock=self._clock)
                self._observer.sample_proven(found)
                self._told[str(link.code)]["sample"] = found._asdict()
                if found.divergence:
                    log.error("index.divergence", by="sample", **found._asdict())

    def _tell(self, result: DayResult) -> None:
        self._observer.day_proven(result)
        fields = {"brand": result.brand, "day": result.day, "state": str(result.state)}
        if result.state is DayState.FAILED:
            log.warning("proof.failed", problem=result.problem, **fields)
        elif result.divergence or not result.counts_agree:
            log.error(
                "index.divergence",
                by="daily file",
                missing=result.missing,
                contrary=result.contrary,
                repaired=result.repaired,
                counts_agree=result.counts_agree,
                **fields,
            )
        elif result.state in _PROVEN:
            log.info("proof.completed", movements=result.movements, **fields)


def as_json(result: DayResult) -> dict[str, Any]:
    """For the memory, for ``--json``; no address in it."""
    told = result._asdict()
    told["sides"] = [side._asdict() for side in result.sides]
    return {**told, "divergence": result.divergence}


async def recall_days(memory: SyncMemory, brand: int) -> dict[str, dict[str, Any]]:
    """What was proven of ``brand``, by day."""
    packed = await memory.recall(_name(brand))
    try:
        known = orjson.loads(packed) if packed else {}
    except ValueError:
        return {}
    return known if isinstance(known, dict) else {}


async def keep_days(memory: SyncMemory, brand: int, known: dict[str, dict[str, Any]]) -> None:
    """The last days only."""
    last = dict(sorted(known.items())[-_KEPT_DAYS:])
    await memory.keep(_name(brand), orjson.dumps(last))


def _name(brand: int) -> str:
    return f"proof/{brand}"

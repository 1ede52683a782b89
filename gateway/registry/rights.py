"""Whether each brand belongs to the account that is to act for it: asked at the start and once a day."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from filters.registry.failures import CallFailure, Failure
from filters.registry.values import BrandInfo
from gateway.registry.failures import failure_words
from gateway.registry.ports import BrandLink
from gateway.registry.questions import wait_for

log = structlog.stdlib.get_logger(__name__)

EVERY_S = 86_400.0
_AGAIN_AFTER_S = 600.0


@dataclass(slots=True)
class _Seen:
    state: str = "not asked yet"
    checked_at: int = 0
    name: str = ""
    approvals: int = 0
    rejections: int = 0


class Rights:
    """A ``Task``. States: ``owned``, ``not owned`` (the account does not list it), or why it could not be asked."""

    name = "rights"

    def __init__(self, links: Sequence[BrandLink], clock: Callable[[], float] = time.time) -> None:
        self._links = links
        self._clock = clock
        self._seen = {link.code: _Seen() for link in links}

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            is_known = await self.check()
            await wait_for(stop, EVERY_S if is_known else _AGAIN_AFTER_S)

    async def check(self) -> bool:
        """Ask for every brand, one question an account and firm; whether all could be answered."""
        answers: dict[tuple[int, int], tuple[BrandInfo, ...] | CallFailure] = {}
        for link in self._links:
            account = (id(link.api), link.registry.iys_code)
            if account not in answers:
                answers[account] = await link.api.brands(link.registry.iys_code)
            self._note(link, answers[account])
        return not any(isinstance(answer, Failure) for answer in answers.values())

    def _note(self, link: BrandLink, answer: tuple[BrandInfo, ...] | CallFailure) -> None:
        seen = self._seen[link.code]
        before = seen.state
        if isinstance(answer, Failure):
            seen.state = failure_words(answer)
        else:
            seen.checked_at = int(self._clock())
            found = next((each for each in answer if each.brand_code == link.registry.brand_code), None)
            seen.state = "not owned" if found is None else "owned"
            if found is not None:
                seen.name, seen.approvals, seen.rejections = found.name, found.approvals, found.rejections
        if seen.state != before:
            tell = log.info if seen.state == "owned" else log.error
            tell("registry.brand", brand=link.code, iys_code=link.registry.iys_code, state=seen.state)

    @property
    def not_owned(self) -> tuple[int, ...]:
        """Brands that the registry did not list for their account when last asked."""
        return tuple(code for code, seen in self._seen.items() if seen.state == "not owned")

    def describe(self) -> dict[str, object]:
        return {
            str(code): {
                "state": seen.state,
                "checked_at": seen.checked_at,
                "name": seen.name,
                "approvals": seen.approvals,
                "rejections": seen.rejections,
            }
            for code, seen in self._seen.items()
        }

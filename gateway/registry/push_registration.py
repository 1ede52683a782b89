"""Registers our push receiver with the registry, where it is not yet, and looks once a day whether it still is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from filters.registry.failures import CallFailure, Failure
from filters.registry.values import PushConnection
from filters.vocabulary import Channel
from gateway.registry.failures import failure_words
from gateway.registry.ports import BrandLink
from gateway.registry.questions import wait_for

log = structlog.stdlib.get_logger(__name__)

EVERY_S = 86_400.0
_FIRST_AFTER_S = 1.0
_AGAIN_AFTER_S = 300.0
_LONGEST_AFTER_S = 3600.0


class PushRegistration:
    """A ``Task``. ``channels``: of which movements are wanted."""

    name = "push_registration"

    def __init__(
        self,
        links: Sequence[BrandLink],
        url: str,
        username: str,
        password: str,
        channels: Sequence[Channel] = (Channel.EMAIL, Channel.SMS, Channel.CALL),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._links = links
        self._url = url
        self._connections = tuple(PushConnection(url, channel, username, password) for channel in channels)
        self._clock = clock
        self._states = {link.code: "not asked yet" for link in links}
        self._checked_at = dict.fromkeys(self._states, 0)

    async def run(self, stop: asyncio.Event) -> None:
        await wait_for(stop, _FIRST_AFTER_S)  # the registry calls back at once: the receiver must be up
        failures = 0
        while not stop.is_set():
            outcomes = [await self.register(link) for link in self._links]
            failures = 0 if all(outcomes) else failures + 1
            again_s = min(_LONGEST_AFTER_S, _AGAIN_AFTER_S * 2.0 ** min(failures - 1, 10))
            await wait_for(stop, EVERY_S if not failures else again_s)

    async def register(self, link: BrandLink) -> bool:
        """Whether the registry pushes to us now, as far as it says. Never asked for what it already has."""
        known = await link.api.push_registrations(link.registry)
        if isinstance(known, Failure):
            return self._note(link.code, known)
        # The state is a Turkish phrase; what begins with "not" in it ends in "değil".
        connected = {each.channel for each in known if each.url == self._url and "değil" not in each.status.lower()}
        missing = [each for each in self._connections if each.channel not in connected]
        return self._note(link.code, await link.api.register_push(link.registry, missing) if missing else None)

    def _note(self, code: int, failure: CallFailure | None) -> bool:
        state = "registered" if failure is None else failure_words(failure)
        self._checked_at[code] = int(self._clock())
        if state != self._states[code]:
            self._states[code] = state
            tell = log.info if failure is None else log.error
            tell("registry.push.registration", brand=code, state=state)
        return failure is None

    def describe(self) -> dict[str, object]:
        return {
            str(code): {"state": state, "checked_at": self._checked_at[code]} for code, state in self._states.items()
        }

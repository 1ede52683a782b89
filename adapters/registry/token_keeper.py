"""Keeps the one token that all users of one account share: one login for all, renewed by one of them before its end."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable

from adapters.registry.ports import SharedRecord
from adapters.registry.records import LocalRecord
from adapters.registry.settings import Credentials
from filters.registry import token_state as states
from filters.registry.call import Call
from filters.registry.calls import token as calls
from filters.registry.calls.token import TokenAnswer
from filters.registry.failures import CallFailure, Failure, Limited, LoginRefused, Refused
from filters.registry.token_state import TokenState, TokenStep

SendTokenCall = Callable[[Call[TokenAnswer]], Awaitable[TokenAnswer | CallFailure]]

_LEASE_S = 45.0
"""Longer than a refresh and a login may take, with their turns; after it another process takes over from a dead one."""
_LOOK_AGAIN_S = 0.1
_REFUSED_PAUSE_S = 900.0
_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 600.0
_LONGEST_MEMORY_S = 3600.0
"""A pause that ends later than any can is of a clock set back since."""
_RECORD_LOST_S = 5.0
_NO_CREDENTIALS = (400, 401, 403)


class TokenKeeper:
    """``record`` lies where only the program can read; it holds tokens. ``clock`` is the wall clock.

    However many ask, one request at a time goes to the token endpoint, and after a failure none before its pause is
    over: further tries would lengthen the registry's block of an hour.
    """

    def __init__(
        self,
        credentials: Credentials,
        send: SendTokenCall,
        record: SharedRecord | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._credentials = credentials
        self._send = send
        self._record: SharedRecord = record or LocalRecord()
        self._clock = clock
        self._me = secrets.token_hex(8)
        self._known = TokenState()
        self._renewal: asyncio.Task[str | CallFailure] | None = None
        self._failure: CallFailure | None = None
        self._not_before = 0.0
        self._failures = 0

    async def token(self) -> str | CallFailure:
        """A token good for the next request, or why there is none."""
        if states.next_step(self._known, self._clock()) is TokenStep.USE:
            return self._known.access_token
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew(), name="registry token")
        renewal = self._renewal
        try:
            return await asyncio.shield(renewal)  # whoever gives up does not take the login from the others
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if renewal.cancelled() and (caller is None or not caller.cancelling()):
                return Limited(_RECORD_LOST_S)  # closed meanwhile: that cancels the login, not the caller
            raise

    async def refused(self, token: str) -> None:
        """The registry answered 401 to a request with ``token``."""
        self._known = states.without_access(self._known, token)
        try:
            await self._change(lambda state: states.without_access(state, token))
        except OSError:
            return  # the next renewal meets the same fault, and says so

    async def close(self) -> None:
        """End a renewal under way."""
        renewal, self._renewal = self._renewal, None
        if renewal is not None:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)

    async def _renew(self) -> str | CallFailure:
        try:
            while True:
                packed = await self._record.read()
                state = states.unpack(packed)
                now = self._clock()
                step = states.next_step(state, now)
                if step is TokenStep.USE:
                    self._known = state
                    return state.access_token
                if step is TokenStep.WAIT:
                    # A lease that ends later than any can is of a clock gone wrong: let it count from now.
                    if state.busy_until > now + 2 * _LEASE_S:
                        await self._change(lambda found: states.released(found, found.busy_by))
                    await asyncio.sleep(_LOOK_AGAIN_S)
                    continue
                if now < self._not_before <= now + _LONGEST_MEMORY_S and self._failure is not None:
                    return self._spare(state, self._paused(self._failure, now))
                claimed = states.claimed(state, self._me, now, _LEASE_S)
                try:
                    is_ours = await self._record.replace(packed, states.pack(claimed))
                except asyncio.CancelledError:
                    await asyncio.shield(self._release())
                    raise
                if is_ours:
                    return await self._ask(claimed, step)
        except OSError:
            return Limited(_RECORD_LOST_S)

    async def _ask(self, state: TokenState, step: TokenStep) -> str | CallFailure:
        """Refresh or log in; ``state`` is ours until we are done."""
        is_done = False
        try:
            answer: TokenAnswer | CallFailure | None = None
            if step is TokenStep.REFRESH:
                answer = await self._send(calls.refresh(state.refresh_token))
                if isinstance(answer, Refused) and answer.status in _NO_CREDENTIALS:
                    refused = state.refresh_token
                    state = await self._change(lambda found: states.without_refresh(found, refused))
                    answer = None
            if answer is None:
                answer = await self._send(calls.login(self._credentials.username, self._credentials.password))
            now = self._clock()
            if isinstance(answer, Failure):
                is_done = True
                state = await self._change(lambda found: states.released(found, self._me))
                return self._spare(state, self._remember(answer, now))
            fresh = states.renewed(answer, now)
            await self._change(lambda found: fresh)
            is_done = True
            self._known, self._failure, self._failures, self._not_before = fresh, None, 0, 0.0
            return fresh.access_token
        finally:
            if not is_done:  # cancelled, or the record was lost: others need not wait for the end of the lease
                await asyncio.shield(self._release())

    async def _release(self) -> None:
        try:
            await self._change(lambda found: states.released(found, self._me))
        except OSError:
            return

    def _remember(self, failure: CallFailure, now: float) -> CallFailure:
        if isinstance(failure, Refused) and failure.status in _NO_CREDENTIALS:
            code = failure.errors[0].code if failure.errors else ""
            failure = LoginRefused(failure.status, code, _REFUSED_PAUSE_S)
        self._failures += 1
        growing_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 16))
        is_known = isinstance(failure, Limited | LoginRefused)
        self._failure = failure
        self._not_before = now + (failure.pause_s if is_known else growing_s)
        return failure

    def _paused(self, failure: CallFailure, now: float) -> CallFailure:
        left_s = max(0.0, self._not_before - now)
        if isinstance(failure, LoginRefused):
            return LoginRefused(failure.status, failure.code, left_s)
        if isinstance(failure, Limited):
            return Limited(left_s, failure.code)
        return failure

    def _spare(self, state: TokenState, failure: CallFailure) -> str | CallFailure:
        """A token that could not be renewed early is still good until it ends."""
        if state.is_usable(self._clock()):
            self._known = state
            return state.access_token
        return failure

    async def _change(self, change: Callable[[TokenState], TokenState]) -> TokenState:
        while True:
            packed = await self._record.read()
            state = states.unpack(packed)
            changed = change(state)
            if changed == state or await self._record.replace(packed, states.pack(changed)):
                return changed

"""Performs a call: waits for its turn, takes the shared token, sends, reads the answer; one repeat, on 401 only."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from adapters.registry.gate import RateGate
from adapters.registry.ports import RegistryObserver, SharedRecord, SilentObserver
from adapters.registry.settings import Credentials, Patience
from adapters.registry.token_keeper import TokenKeeper
from adapters.registry.transport import HttpTransport
from filters.registry.call import Call, Quota, interpret
from filters.registry.calls.token import TokenAnswer
from filters.registry.failures import CallFailure, Failure, Limited, Refused, TransportFault, TransportProblem

_Result = TypeVar("_Result")
_Told = TypeVar("_Told")
_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])")
_QUOTA_OF_CODE = {
    "H083": Quota.NONE,
    "H084": Quota.TOKEN,
    "H086": Quota.STATUS,
    "H089": Quota.HISTORY,
    "H124": Quota.NONE,
}
_LOGIN_TURN_S = 5.0


def failure_word(failure: Failure) -> str:
    """The kind of a failure as one word of a closed list: ``transport_fault``, ``limited``, ``refused`` …"""
    return _WORD_START.sub("_", type(failure).__name__).lower()


class Performer:
    """What one account needs to talk: gate (of the address), token (of the account), transport."""

    def __init__(
        self,
        transport: HttpTransport,
        credentials: Credentials,
        gate: RateGate,
        token_record: SharedRecord | None = None,
        *,
        patience: Patience | None = None,
        observer: RegistryObserver | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._transport = transport
        self._gate = gate
        self._patience = patience or Patience()
        self._observer: RegistryObserver = observer or SilentObserver()
        self._keeper = TokenKeeper(credentials, self._send_token_call, token_record, clock)

    async def perform(
        self, call: Call[_Result], write: Callable[[bytes], object] | None = None
    ) -> _Result | CallFailure:
        """The answer to ``call``, or why there is none. Never raises, except what ``write`` raises.

        With ``write`` the body of a success goes there, block by block, and ``call.read`` gets b"". After a failure
        what was written is to be thrown away.
        """
        token = await self._keeper.token()  # before the turn: without a token none is needed
        if not isinstance(token, str):
            return token
        for is_last in (False, True):
            turn = await self._gate.enter(call.quota, call.priority, self._patience.turn_s)
            if isinstance(turn, Limited):
                return self._told(call, turn, 0.0)
            try:
                token = await self._keeper.token()  # it may have ended while we waited
                if not isinstance(token, str):
                    return token
                result = await self._send(call, token, write)
            finally:
                await self._gate.leave(turn)
            if is_last or not isinstance(result, Refused) or result.status != 401:
                return result
            # A 401 is said before anything is done, so the same request may go again with another token.
            await self._keeper.refused(token)
        raise AssertionError("the second round always returns")

    async def close(self) -> None:
        """End a login under way; gate and transport belong to others."""
        await self._keeper.close()

    async def _send_token_call(self, call: Call[TokenAnswer]) -> TokenAnswer | CallFailure:
        turn = await self._gate.enter(call.quota, call.priority, _LOGIN_TURN_S)
        if isinstance(turn, Limited):
            return self._told(call, turn, 0.0)
        try:
            result = await self._send(call, None)
        finally:
            await self._gate.leave(turn)
        if isinstance(result, TransportFault) and result.problem in (
            TransportProblem.NOT_CONNECTED,
            TransportProblem.TLS,
        ):
            try:
                await self._gate.give_back(call.quota)
            except OSError:
                return result
        return result

    async def _send(
        self, call: Call[_Result], token: str | None, write: Callable[[bytes], object] | None = None
    ) -> _Result | CallFailure:
        began_at = time.monotonic()
        answer = await self._transport.exchange(call, token, write)
        if isinstance(answer, TransportFault):
            return self._told(call, answer, began_at)
        result = interpret(call, answer.status, answer.body)
        if isinstance(result, Limited):
            result = await self._shut(call, result)
        return self._told(call, result, began_at)

    async def _shut(self, call: Call[Any], limited: Limited) -> Limited:
        quota = _QUOTA_OF_CODE.get(limited.code, Quota.TOKEN if call.quota is Quota.TOKEN else Quota.NONE)
        pause_s = limited.retry_after_s
        if quota is Quota.TOKEN and pause_s < 3600:
            pause_s = 3600.0  # a code we do not know: a further try within the hour could begin it anew
        try:
            await self._gate.shut(quota, pause_s + 1.0)
        except OSError:
            return Limited(pause_s, limited.code)
        return Limited(pause_s, limited.code)

    def _told(self, call: Call[Any], result: _Told, began_at: float) -> _Told:
        word = failure_word(result) if isinstance(result, Failure) else "ok"
        self._observer.call_ended(call.name, word, time.monotonic() - began_at if began_at else 0.0)
        return result

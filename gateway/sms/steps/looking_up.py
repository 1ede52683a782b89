"""Look up: all recipients in one question, and again while another worker has the same request at the provider."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from filters.consent_key import ConsentKeys
from filters.exchange import Lookup
from filters.vocabulary import LookupFailure
from gateway.dealers import DealerLists, index_for
from gateway.ports import ConsentIndex
from gateway.sms.at_provider import LOOK_AGAIN_S, WAIT_S, AtProvider
from gateway.sms.callbacks import answer_of
from gateway.sms.heavy import HeavySteps
from gateway.sms.in_hand import SmsInHand
from gateway.sms.steps.faults import log_fault


class Looking:
    """Asks the index. ``any_brand`` is asked under where a request has none: then only the memory of retries counts."""

    def __init__(
        self,
        index: ConsentIndex,
        dealer_lists: DealerLists | None,
        keys: ConsentKeys,
        any_brand: int,
        at_provider: AtProvider,
        heavy: HeavySteps,
        monotonic: Callable[[], float],
    ) -> None:
        self._index = index
        self._dealer_lists = dealer_lists
        self._keys = keys
        self._any_brand = any_brand
        self._at_provider = at_provider
        self._heavy = heavy
        self._monotonic = monotonic

    async def look_up(self, sms: SmsInHand) -> None:
        """An exempt request asks only who has it already, and does without the answer."""
        code = await self.derive_keys(sms)
        keys = sms.keys if sms.is_commercial else ()
        asked_at = self._monotonic()
        try:
            index = index_for(self._index, self._dealer_lists, sms.client)
            answer: Lookup | LookupFailure = await answer_of(partial(index.lookup, code, keys, sms.digest))
        except Exception as fault:  # an index that raises has told us nothing
            log_fault(sms, fault)
            answer = LookupFailure.BROKEN
        if isinstance(answer, Lookup) and len(answer.values) != len(keys):  # whose state is whose?
            answer = LookupFailure.BROKEN
        sms.lookup = answer
        sms.lookup_s = self._monotonic() - asked_at

    async def await_other_worker(self, sms: SmsInHand) -> bool:
        """Whether no other worker has the same request at the provider, now or after some waiting."""
        if isinstance(sms.lookup, Lookup) and not sms.lookup.taken:
            return True
        until = self._monotonic() + WAIT_S
        while isinstance(sms.lookup, Lookup) and self._at_provider.is_elsewhere(sms.lookup.taken):
            if self._monotonic() >= until:
                return False
            await asyncio.sleep(LOOK_AGAIN_S)
            await self.look_up(sms)
        return True

    async def derive_keys(self, sms: SmsInHand) -> int:
        """The keys, once; the code of the brand under which they are."""
        code = sms.brand.brand.code if sms.brand else self._any_brand
        if sms.keys[0]:
            return code
        if sms.is_heavy:
            await self._heavy.run(sms, partial(self._derive, sms, code))
        else:
            self._derive(sms, code)
        return code

    def _derive(self, sms: SmsInHand, code: int) -> None:
        # Of a number that is none nobody has a record; its key stands for what was written, and is sent nowhere.
        sms.keys = self._keys.derive_many(
            code,
            [
                number[1] if number is not None else b"\0" + spelled.encode("utf-8", "replace")
                for number, spelled, _, _ in sms.asked.recipients
            ],
        )

"""Settlements of a request are numbered: equal ones once, however many there are."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from filters.client import Client
from filters.sms.dialects.plain import SEND, PlainDialect
from filters.sms.http import HttpRequest
from filters.sms.judgement import Settlement
from filters.vocabulary import Outcome, Verdict
from gateway.sms.in_hand import SmsInHand
from gateway.sms.route import SmsRoute
from loadtest.plain_provider import PlainProvider
from tests.support.sms_world import MemoryUpstream


@given(st.lists(st.integers(0, 9), max_size=40))
def test_equal_settlements_have_one_number_and_are_counted_together(codes: list[int]) -> None:
    route = SmsRoute("http", PlainDialect(), MemoryUpstream(PlainProvider()))
    sms = SmsInHand(HttpRequest("POST", "/"), SEND, route, Client("shop", ()), "sms-1", 0.0)
    wanted = [Settlement("R1", "CONSENT", Verdict.PERMIT, Outcome.RELAYED, str(code)) for code in codes]
    sms.settled = [sms.number_of(each) for each in wanted]
    assert [sms.settlements[number] for number in sms.settled] == wanted
    assert len(sms.settlements) == len(set(wanted))
    assert dict(sms.count()) == Counter(wanted)

"""The path of an SMS request: who gets it, who does not, and what everybody is told."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import orjson
import pytest

from filters.decision.policy import Policy
from filters.sms.dialects.plain import SEND
from filters.sms.http import HttpRequest, UpstreamFault
from filters.sms.suffix import SuffixPolicy
from filters.vocabulary import Channel, LookupFailure, MessageClass, RecipientType, Status
from gateway.sms import pipeline
from gateway.sms.steps import conclusion
from tests.support.sms_world import (
    NOW,
    SHOP_CLIENT,
    ProviderFault,
    SmsWorld,
    make_brand,
    message,
    number,
    outcomes,
)

YES, NO, STRANGER = number(1), number(2), number(3)


@pytest.fixture
async def shop(world: SmsWorld) -> SmsWorld:
    """One who consented, one who refused; of all others nothing is known."""
    await world.consent([YES])
    await world.consent([NO], Status.REJECTED)
    return world


async def test_only_the_consenting_reach_the_provider(shop: SmsWorld) -> None:
    status, answer = await shop.ask(message(NO, YES, STRANGER))
    assert shop.provider.numbers() == [YES]
    assert status == 200
    assert outcomes(answer) == ["dropped", "relayed", "dropped"]
    assert [entry.get("reason") for entry in answer["recipients"]] == ["REFUSED", None, "NO_CONSENT"]


async def test_the_text_carries_the_opt_out_and_the_answer_tells_its_segments(shop: SmsWorld) -> None:
    _, answer = await shop.ask(message(YES))
    (taken,) = shop.provider.taken
    assert taken.text.startswith("Bahar indirimi basladi")
    assert "RET ORNEK" in taken.text
    assert "3338" in taken.text
    assert answer["segments"] == [{"before": 1, "after": 1}]


async def test_nobody_left_means_nothing_goes_upstream_and_an_id_is_minted(shop: SmsWorld) -> None:
    status, answer = await shop.ask(message(NO, STRANGER))
    assert shop.upstream.asked == []
    assert status == 200
    assert answer["id"].startswith("izin-")
    assert outcomes(answer) == ["dropped", "dropped"]
    kept = await shop.dropped.find("shop", "provider", [answer["id"]])
    assert kept is not None
    assert kept[answer["id"]].is_minted
    assert [entry.spelled for entry in kept[answer["id"]].entries] == [NO, STRANGER]


async def test_every_spelling_is_one_number_and_the_senders_own_comes_back(shop: SmsWorld) -> None:
    spelled = ["05320000001", "905320000001", "+90 532 000 00 01", "5320000001"]
    _, answer = await shop.ask(message(*spelled))
    assert shop.provider.numbers() == [YES] * 4
    assert [entry["to"] for entry in answer["recipients"]] == spelled


async def test_what_is_no_number_is_answered_for_and_not_sent(shop: SmsWorld) -> None:
    _, answer = await shop.ask(message("0532", YES, "+90532 000 00 01 / 02"))
    assert shop.provider.numbers() == [YES]
    assert outcomes(answer) == ["dropped", "relayed", "dropped"]
    assert answer["recipients"][0]["reason"] == "ADDRESS_INVALID"


async def test_each_recipient_may_have_a_text_of_its_own(shop: SmsWorld) -> None:
    await shop.consent([number(7)])
    body = {
        "recipients": [{"to": NO, "text": "Sayin A"}, {"to": YES, "text": "Sayin B"}, {"to": number(7), "text": "C"}],
        "class": "commercial",
    }
    await shop.ask(body)
    assert [(taken.to, taken.text.split(" Ornek")[0][:7]) for taken in shop.provider.taken] == [
        (YES, "Sayin B"),
        (number(7), shop.provider.taken[1].text[:7]),
    ]
    assert shop.provider.taken[1].text.startswith("C ")


# -- class ----------------------------------------------------------------------------------------------------------


async def test_an_untagged_request_is_commercial(shop: SmsWorld) -> None:
    body = message(YES, STRANGER)
    del body["class"]
    await shop.ask(body)
    assert shop.provider.numbers() == [YES]
    assert "RET ORNEK" in shop.provider.taken[0].text


@pytest.mark.parametrize("failure", [None, *LookupFailure])
async def test_informational_passes_whatever_happens_to_the_registry(
    shop: SmsWorld, failure: LookupFailure | None
) -> None:
    shop.index.failure = failure
    status, answer = await shop.ask(message(NO, STRANGER, text="Kargonuz yolda", **{"class": "informational"}))
    assert status == 200
    assert outcomes(answer) == ["relayed", "relayed"]
    assert [taken.text for taken in shop.provider.taken] == ["Kargonuz yolda"] * 2


async def test_a_tag_against_the_clients_rights_is_refused_in_the_dialects_own_form(shop: SmsWorld) -> None:
    client = replace(SHOP_CLIENT, allowed_classes=frozenset({MessageClass.COMMERCIAL}))
    status, answer = await shop.ask(message(YES, **{"class": "informational"}), client)
    assert (status, answer["error"]["code"]) == (403, "not_allowed")
    assert shop.upstream.asked == []


async def test_two_tags_that_disagree_refuse_the_request(shop: SmsWorld) -> None:
    status, answer = await shop.ask(
        message(YES, **{"class": "informational"}), headers=[("x-izin-class", "commercial")]
    )
    assert (status, answer["error"]["code"]) == (400, "malformed")
    assert shop.upstream.asked == []


async def test_a_class_fixed_for_the_client_is_tightened_by_a_tag_and_never_loosened(shop: SmsWorld) -> None:
    await shop.ask(message(STRANGER, **{"class": "informational"}), replace(SHOP_CLIENT, fixed_class="commercial"))
    assert shop.upstream.asked == []
    await shop.ask(message(STRANGER), replace(SHOP_CLIENT, fixed_class=MessageClass.INFORMATIONAL))
    assert shop.upstream.asked == []


async def test_a_one_time_password_is_never_commercial(shop: SmsWorld) -> None:
    status, _ = await shop.ask(message(YES, text="Kodunuz 123456", kind="otp"))
    assert status == 403
    status, _ = await shop.ask(message(YES, text="Kodunuz 123456", kind="otp", **{"class": "informational"}))
    assert status == 200
    assert [taken.text for taken in shop.provider.taken] == ["Kodunuz 123456"]


async def test_the_declared_recipient_type_decides_which_record_counts(make_world: Callable[..., SmsWorld]) -> None:
    world = make_world()
    await world.consent([YES], kind=RecipientType.BUSINESS)
    _, answer = await world.ask(message(YES, recipient_type="business"))
    assert outcomes(answer) == ["relayed"]


async def test_consent_to_mail_is_none_to_sms(world: SmsWorld) -> None:
    await world.consent([YES], channel=Channel.EMAIL)
    await world.ask(message(YES))
    assert world.upstream.asked == []


# -- what cannot be sent ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", list(LookupFailure))
async def test_without_an_answer_of_the_index_nothing_commercial_is_sent(
    shop: SmsWorld, failure: LookupFailure
) -> None:
    shop.index.failure = failure
    status, answer = await shop.ask(message(YES))
    assert (status, answer["error"]["code"]) == (503, "unavailable")
    assert shop.upstream.asked == []


async def test_a_stale_index_permits_nobody_and_says_so_as_a_temporary_fault(shop: SmsWorld) -> None:
    shop.now = NOW + 3 * 86400
    status, _ = await shop.ask(message(YES, NO))
    assert status == 503
    assert shop.upstream.asked == []


async def test_an_inactive_brand_sends_nothing(make_world: Callable[..., SmsWorld]) -> None:
    world = make_world(brand=make_brand(is_active=False))
    await world.consent([YES])
    _, answer = await world.ask(message(YES))
    assert answer["recipients"][0]["reason"] == "BRAND_UNREGISTERED"
    assert world.upstream.asked == []


async def test_a_text_in_which_the_opt_out_has_no_room_refuses_the_request(
    make_world: Callable[..., SmsWorld],
) -> None:
    world = make_world(suffix=SuffixPolicy.FIT)
    await world.consent([YES])
    status, answer = await world.ask(message(YES, text="a" * 150))
    assert (status, answer["error"]["code"]) == (422, "text_too_long")
    assert "cut" in answer["error"]["detail"]
    assert world.upstream.asked == []
    (record,) = world.records()
    assert record["recipients"][0]["reason"] == "OPTOUT_IMPOSSIBLE"


async def test_a_send_too_far_ahead_is_refused(make_world: Callable[..., SmsWorld]) -> None:
    """A refusal that comes in between would come too late (lead times are bounded)."""
    world = make_world(max_lead_s=86400.0)
    await world.consent([YES])
    status, _ = await world.ask(message(YES, send_at="2026-12-24T09:00:00+03:00"))
    assert status == 403
    assert world.upstream.asked == []


async def test_broken_evidence_keeps_commercial_requests_back(shop: SmsWorld) -> None:
    shop.evidence.is_failing = True
    status, _ = await shop.ask(message(YES))
    assert status == 503
    shop.evidence.is_failing = False
    status, answer = await shop.ask(message(YES))
    assert status == 200
    assert outcomes(answer) == ["relayed"]
    assert len(shop.provider.numbers()) == 1, "whoever the first attempt reached is not reached again"


# -- hand-over --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [UpstreamFault.LOST, UpstreamFault.TIMED_OUT, UpstreamFault.GARBAGE])
async def test_an_unknown_outcome_is_said_so_and_never_sent_again(shop: SmsWorld, fault: UpstreamFault) -> None:
    shop.upstream.faults = [fault]
    body = message(YES, NO)
    status, answer = await shop.ask(body)
    assert (status, answer["error"]["code"]) == (504, "unknown_outcome")
    status, answer = await shop.ask(body)
    assert (status, answer["error"]["code"]) == (504, "unknown_outcome")
    assert len(shop.provider.numbers()) == 1
    assert shop.records()[0]["recipients"][0]["outcome"] == "unknown"


async def test_another_request_to_the_same_person_is_not_held_for_an_unknown_one(shop: SmsWorld) -> None:
    shop.upstream.faults = [UpstreamFault.TIMED_OUT]
    await shop.ask(message(YES))
    status, _ = await shop.ask(message(YES, text="Baska bir ileti"))
    assert status == 200


async def test_an_answer_nobody_can_read_is_an_unknown_outcome(shop: SmsWorld) -> None:
    shop.provider.fault = ProviderFault.GARBAGE
    status, _ = await shop.ask(message(YES))
    assert status == 504
    shop.provider.fault = ProviderFault.NONE
    await shop.ask(message(YES))
    assert len(shop.provider.taken) == 1


@pytest.mark.parametrize("fault", [UpstreamFault.UNREACHABLE, UpstreamFault.NO_ROOM])
async def test_what_the_provider_never_saw_may_be_sent_again(shop: SmsWorld, fault: UpstreamFault) -> None:
    shop.upstream.faults = [fault]
    status, answer = await shop.ask(message(YES))
    assert (status, answer["error"]["code"]) == (503, "unavailable")
    status, answer = await shop.ask(message(YES))
    assert status == 200
    assert shop.provider.numbers() == [YES]


async def test_the_providers_own_refusal_is_passed_on_as_it_is(shop: SmsWorld) -> None:
    shop.provider.fault = ProviderFault.WRONG_KEY
    response = await shop.ask_raw(b'{"text":"x","class":"commercial","recipients":["%s"]}' % YES.encode())
    assert response.status == 401
    assert b"wrong key" in response.body


async def test_a_decision_that_waited_too_long_is_made_again(shop: SmsWorld) -> None:
    """A refusal that came while the request waited for its turn is heeded (E19)."""
    await shop.consent([number(9)])

    async def refuse_meanwhile() -> None:
        await shop.consent([YES], Status.REJECTED, at=NOW - 1, own=True)

    shop.upstream.before = [refuse_meanwhile]
    shop.upstream.faults = [UpstreamFault.EXPIRED]
    _, answer = await shop.ask(message(YES, number(9)))
    assert outcomes(answer) == ["dropped", "relayed"]
    assert shop.provider.numbers() == [number(9)]
    assert answer["recipients"][0]["reason"] == "LOCAL_RET"


async def test_a_hand_over_may_wait_no_longer_than_its_decision_holds(shop: SmsWorld) -> None:
    await shop.ask(message(YES))
    await shop.ask(message(YES, text="Kargonuz yolda", **{"class": "informational"}))
    assert shop.upstream.valid_s == [2.0, None]


async def test_a_provider_without_room_for_ever_is_a_temporary_fault(shop: SmsWorld) -> None:
    shop.upstream.faults = [UpstreamFault.EXPIRED] * 10
    status, _ = await shop.ask(message(YES))
    assert status == 503
    assert shop.provider.numbers() == []


async def test_a_client_that_comes_again_while_the_provider_is_silent_does_not_reach_anyone_twice(
    shop: SmsWorld,
) -> None:
    """It has less patience than we have: its repetition waits for the answer that it did not wait for."""
    answering, has_left = asyncio.Event(), False
    shop.upstream.before = [answering.wait]
    body = json.dumps(message(YES)).encode()
    request = HttpRequest("POST", "/v1/messages", "", (("content-type", "application/json"),), body)
    first = asyncio.create_task(shop.pipeline.handle(request, SEND, shop.route, SHOP_CLIENT, lambda: has_left))
    while not shop.upstream.asked:
        await asyncio.sleep(0)
    has_left = True
    again = asyncio.create_task(shop.ask_raw(body))
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(shop.upstream.asked) == 1
    answering.set()
    answered, response = await first, await again
    assert len(shop.upstream.asked) == 1
    assert orjson.loads(response.body)["id"] == orjson.loads(answered.response.body)["id"]
    assert outcomes(orjson.loads(response.body)) == ["relayed"]


async def test_two_clients_that_wait_send_two_messages_however_alike(shop: SmsWorld) -> None:
    answering = asyncio.Event()
    shop.upstream.before = [answering.wait, answering.wait]
    asks = [asyncio.create_task(shop.ask(message(YES))) for _ in range(2)]
    while len(shop.upstream.asked) < 2:
        await asyncio.sleep(0)
    answering.set()
    assert [status for status, _ in await asyncio.gather(*asks)] == [200, 200]


async def test_a_client_that_left_without_our_word_does_not_reach_anyone_twice(shop: SmsWorld) -> None:
    body = b'{"text":"x","class":"commercial","recipients":["%s"]}' % YES.encode()
    await shop.ask_raw(body, is_gone=True)
    response = await shop.ask_raw(body)
    assert response.status == 200
    assert shop.provider.numbers() == [YES]
    assert b"job-1" in response.body, "the retry hears the provider's own id"


# -- a fault of ours -------------------------------------------------------------------------------------------------


def break_once(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> None:
    """The step raises the first time it is called."""
    step, calls = getattr(module, name), itertools.count()

    def broken(*arguments: object) -> object:
        if not next(calls):
            raise RuntimeError("a step of ours")
        return step(*arguments)

    monkeypatch.setattr(module, name, broken)


async def test_a_fault_before_the_hand_over_leaves_nothing_behind_and_the_retry_is_sent(
    shop: SmsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_once(monkeypatch, pipeline, "write_upstream")
    status, answer = await shop.ask(message(YES, NO))
    assert (status, answer["error"]["code"]) == (503, "unavailable")
    assert shop.provider.numbers() == []
    status, answer = await shop.ask(message(YES, NO))
    assert status == 200
    assert outcomes(answer) == ["relayed", "dropped"]
    assert shop.provider.numbers() == [YES]


async def test_a_fault_after_the_providers_answer_is_known_leaves_nobody_to_be_sent_to_again(
    shop: SmsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The retry hears that it was taken, for it was."""
    break_once(monkeypatch, conclusion, "_answer")
    status, _ = await shop.ask(message(YES, NO))
    assert status == 503
    status, answer = await shop.ask(message(YES, NO))
    assert status == 200
    assert outcomes(answer) == ["relayed", "dropped"]
    assert shop.provider.numbers() == [YES]


async def test_a_fault_before_the_providers_answer_is_read_leaves_the_outcome_unknown_for_the_retry_too(
    shop: SmsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is never told as a success, and never sent again."""
    break_once(monkeypatch, conclusion, "_settle")
    status, _ = await shop.ask(message(YES, NO))
    assert status == 503
    status, answer = await shop.ask(message(YES, NO))
    assert (status, answer["error"]["code"]) == (504, "unknown_outcome")
    assert shop.provider.numbers() == [YES]


# -- record ---------------------------------------------------------------------------------------------------------


async def test_the_record_names_everybody_by_key_and_nobody_by_number(shop: SmsWorld) -> None:
    await shop.ask(message(NO, YES, STRANGER, campaign="bahar"))
    (record,) = shop.records()
    assert [entry["verdict"] for entry in record["recipients"]] == ["drop", "permit", "drop"]
    assert [entry["outcome"] for entry in record["recipients"]] == ["dropped", "relayed", "dropped"]
    assert record["recipients"][1]["registry"][0]["status"] == "approved"
    assert record["recipients"][2]["registry"] == []
    assert record["recipients"][1]["sent_sha256"]
    assert record["recipients"][0]["sent_sha256"] == ""
    assert (record["channel"], record["campaign"], record["brand"]) == ("sms", "bahar", 600123)
    for each in (YES, NO, STRANGER):
        assert each[1:].encode() not in shop.evidence.records[0]


async def test_the_record_is_kept_before_the_answer(shop: SmsWorld) -> None:
    shop.evidence.is_hanging = True
    import asyncio

    asking = asyncio.create_task(shop.ask(message(YES)))
    await asyncio.sleep(0.02)
    assert shop.provider.numbers() == [YES]
    assert not asking.done()
    asking.cancel()


async def test_a_dry_run_decides_and_sends_nothing(shop: SmsWorld) -> None:
    _, answer = await shop.ask(message(NO, YES, dry_run=True))
    assert outcomes(answer) == ["dropped", "relayed"]
    assert answer["dry_run"] is True
    assert shop.upstream.asked == []


async def test_recipients_abroad_can_be_exempt(make_world: Callable[..., SmsWorld]) -> None:
    from filters.decision.policy import Abroad

    world = make_world(policy=Policy(abroad=Abroad.EXEMPT))
    await world.consent([YES])
    _, answer = await world.ask(message("+4915112345678", STRANGER))
    assert outcomes(answer) == ["relayed", "dropped"]

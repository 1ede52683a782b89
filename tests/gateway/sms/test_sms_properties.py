"""What holds for every SMS request, whatever is in it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from filters.phone import PhoneError, parse_phone
from filters.sms.http import UpstreamFault
from filters.vocabulary import LookupFailure, MessageClass, Status
from loadtest.plain_provider import Fault as ProviderFault
from tests.support.sms_world import SmsWorld, number

CONSENTING = [number(n) for n in range(4)]
REFUSING = [number(100 + n) for n in range(4)]
STRANGERS = [number(200 + n) for n in range(4)]


def spellings(e164: str) -> list[str]:
    national = e164[3:]
    spaced = f"{national[:3]} {national[3:6]} {national[6:8]} {national[8:]}"
    return [
        e164,
        national,
        f"0{national}",
        f"90{national}",
        f"0090{national}",
        f"+90 {spaced}",
        f"0 ({national[:3]}) {national[3:]}",
    ]


spelled = st.sampled_from([spelling for e164 in CONSENTING + REFUSING + STRANGERS for spelling in spellings(e164)])
odd = st.one_of(
    st.sampled_from(
        [
            f"{CONSENTING[0]},{REFUSING[0]}",
            f"{CONSENTING[0]};{REFUSING[0]}",
            f"{CONSENTING[0]} {REFUSING[0]}",
            f"{CONSENTING[0]}\n{REFUSING[0]}",
            f"{CONSENTING[0]}x12",
            f"{CONSENTING[0]};ext=1",
            f"+90{REFUSING[0][1:]}",
            CONSENTING[0].replace("5", "٥"),
            "",
            " ",
        ]
    ),
    st.text(max_size=20),
)
texts = st.sampled_from(["Bahar indirimi", "Sayın müşterimiz, şimdi alışveriş zamanı", "x" * 200, "👍"])
entries = st.one_of(
    spelled,
    odd,
    st.fixed_dictionaries({"to": spelled | odd}, optional={"text": texts, "reference": st.text(max_size=8)}),
)
bodies = st.fixed_dictionaries(
    {"recipients": st.lists(entries, min_size=1, max_size=12), "text": texts},
    optional={
        "class": st.sampled_from([str(each) for each in MessageClass]),
        "recipient_type": st.sampled_from(["individual", "business"]),
        "encoding": st.sampled_from(["auto", "turkish", "unicode"]),
        "sender": st.just("ORNEK"),
    },
)


async def send(
    body: Any, failure: LookupFailure | None, upstream: UpstreamFault | None, provider: ProviderFault
) -> tuple[SmsWorld, int, Any, Any]:
    world = SmsWorld()
    try:
        await world.consent(CONSENTING)
        await world.consent(REFUSING, Status.REJECTED)
        world.index.failure = failure
        world.upstream.faults = [upstream] if upstream else []
        world.provider.fault = provider
        raw = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8", "surrogatepass")
        first = await world.ask_raw(raw)
        second = await world.ask_raw(raw)
        return world, first.status, json.loads(first.body), json.loads(second.body)
    finally:
        world.close()


def is_consenting(spelling: str) -> bool:
    try:
        return parse_phone(spelling).e164 in CONSENTING
    except PhoneError:
        return False


@settings(max_examples=60, deadline=None)
@given(
    bodies,
    st.none() | st.sampled_from(LookupFailure),
    st.none() | st.sampled_from(UpstreamFault),
    st.sampled_from([ProviderFault.NONE, ProviderFault.GARBAGE, ProviderFault.BUSY, ProviderFault.WRONG_KEY]),
)
def test_nobody_without_consent_is_in_any_upstream_request(
    body: dict[str, Any], failure: LookupFailure | None, upstream: UpstreamFault | None, provider: ProviderFault
) -> None:
    """Commercial requests: the numbers upstream are the consenting ones of the request, in its order; with the
    opt-out in each text; every recipient of the answer has exactly one outcome, in the order asked for; and whatever
    the provider may have taken is not sent again."""
    world, status, answer, _ = asyncio.run(send(body, failure, upstream, provider))
    asked = [entry if isinstance(entry, str) else entry["to"] for entry in body["recipients"]]
    if body.get("class", "commercial") == "commercial":
        if body.get("recipient_type") != "business":
            expected = [parse_phone(each).e164 for each in asked if is_consenting(each)]
            for heard in world.provider.heard:
                assert [entry["to"] for entry in heard["recipients"]] == expected
        assert set(world.provider.numbers()) <= set(CONSENTING)
        for taken in world.provider.taken:
            assert "3338" in taken.text
            assert "RET ORNEK" in taken.text
        if failure is not None:
            assert world.provider.heard == []
    if status == 200:
        assert [entry["to"] for entry in answer["recipients"]] == asked
        assert sum(answer["counts"].values()) == len(asked)
    if (upstream is not None and upstream.is_unknown) or provider is ProviderFault.GARBAGE:
        sent = [taken.to for taken in world.provider.taken]
        if failure is None:
            assert len(sent) <= len(asked), "the second attempt reached somebody again"


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=80),
        st.text(max_size=80).map(str.encode),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | spelled | st.text(max_size=10),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(["text", "recipients", "to", "To", "recipient", "class", "sender", "no", "TEXT"]),
                    inner,
                )
            ),
            max_leaves=15,
        ).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    )
)
def test_whatever_a_body_holds_it_is_answered_and_reaches_the_consenting_alone(body: bytes) -> None:
    world, status, _, _ = asyncio.run(send(body, None, None, ProviderFault.NONE))
    assert 200 <= status < 505
    if b'"class"' not in body:
        assert set(world.provider.numbers()) <= set(CONSENTING)

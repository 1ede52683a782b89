"""Requests and answers between listener, pipeline and link."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.smpp.carrier import (
    Carried,
    RecipientAnswer,
    WrittenRequest,
    bodies_of,
    pack_answers,
    pack_fault,
    pack_groups,
    pack_request,
    pack_results,
    unpack_answers,
    unpack_request,
    unpack_results,
)
from filters.smpp.exchange import SubmitResult
from filters.smpp.fields import Address, PduError
from filters.smpp.frames import render_frame
from filters.smpp.message import ShortMessage, parse_submit, render_submit
from filters.sms.http import HttpRequest, HttpResponse
from filters.vocabulary import Outcome

SHOP = Address(5, 0, "SHOP")
NUMBERS = [Address(1, 1, f"90532123456{last}") for last in range(4)]
RECEIVED = Carried(((),), "shop", "", 1.7e9)


def written(groups: list[list[ShortMessage]]) -> HttpRequest:
    return pack_groups(groups, RECEIVED)


def with_octets(request: HttpRequest, octets: bytes) -> HttpRequest:
    changed = WrittenRequest(request.method, request.path, request.query, request.headers, octets)
    changed.received = RECEIVED
    return changed


@given(st.integers(1, 3), st.integers(1, 3), st.binary(max_size=140))
def test_what_leaves_is_what_is_read_back(destinations: int, parts: int, payload: bytes) -> None:
    """For each destination its parts, in order, and the bodies that leave are those that were read."""
    groups = [
        [ShortMessage(SHOP, number, payload + bytes((part,))) for part in range(parts)]
        for number in NUMBERS[:destinations]
    ]
    request = written(groups)
    assert unpack_request(request).groups == tuple(tuple(group) for group in groups)
    assert [[parse_submit(body) for body in group] for group in bodies_of(request)] == groups


def test_a_request_is_read_from_its_octets_and_not_from_memory() -> None:
    """Whoever changed an octet between writing and sending is found out."""
    request = written([[ShortMessage(SHOP, NUMBERS[0], b"Bahar")]])
    changed = with_octets(request, request.body.replace(NUMBERS[0].value.encode(), NUMBERS[1].value.encode()))
    assert unpack_request(changed).groups[0][0].destination == NUMBERS[1]


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0\0\0\x10",
        render_frame(0x05, 0, render_submit(ShortMessage(SHOP, NUMBERS[0], b"x"))),
        render_frame(0x04, 0, render_submit(ShortMessage(SHOP, NUMBERS[0], b"x")), status=8),
        render_frame(0x04, 0, render_submit(ShortMessage(SHOP, NUMBERS[0], b"x"))) + b"\0",
        render_frame(0x04, 0, b""),
    ],
)
def test_octets_that_are_no_submit_sm_are_no_request(octets: bytes) -> None:
    with pytest.raises((ValueError, PduError)):
        unpack_request(with_octets(written([[ShortMessage(SHOP, NUMBERS[0], b"x")]]), octets))


def test_a_message_in_one_submit_sm_is_carried_in_the_octets_it_came_in() -> None:
    message = ShortMessage(SHOP, NUMBERS[0], b"Bahar")
    body = render_submit(message)
    who = {"system_id": "shop", "system_type": "", "received_at": 1.7e9}
    came = pack_request([message], (NUMBERS[0],), **who, body=body)
    made = pack_request([message], (NUMBERS[0],), **who)
    assert came.body == made.body == render_frame(0x04, 0, body)
    assert unpack_request(came).groups == ((message,),)


def test_answers_come_back_as_they_were() -> None:
    results = [[SubmitResult(Outcome.RELAYED, 0, "4711")]]
    assert unpack_results(pack_results(results)) == results
    answers = [RecipientAnswer(0, ("4711",)), RecipientAnswer(0x45, is_for_consent=True)]
    assert unpack_answers(pack_answers(answers), 2) == answers
    assert unpack_answers(pack_fault(503, 8), 2) == [RecipientAnswer(8)] * 2


@pytest.mark.parametrize("response", [HttpResponse(200), HttpResponse(200, (), b"[]"), pack_results([])])
def test_what_is_no_answer_of_ours_is_refused(response: HttpResponse) -> None:
    with pytest.raises(ValueError, match="carried answer"):
        unpack_answers(response, 1)


def test_answers_for_others_are_refused() -> None:
    with pytest.raises(ValueError, match="number of destinations"):
        unpack_answers(pack_answers([RecipientAnswer(0)]), 2)
    with pytest.raises(ValueError, match="not one of ours"):
        unpack_results(HttpResponse(200, (), b"[[]]"))
    with pytest.raises(ValueError, match="not one of ours"):
        unpack_request(HttpRequest("SMPP", "/submit/1"))

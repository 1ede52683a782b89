"""Answers are what the provider's clients can read, and none that says no looks like success."""

from __future__ import annotations

import re

import pytest

from filters.reason import Reason
from filters.sms.dialect import Fault, RefusalModel, Segments
from filters.sms.http import HttpResponse
from filters.sms.message import SmsFate, Submission
from filters.vocabulary import Outcome
from tests.support.sms_dialect_case import DialectCase

PAIRS = [("5321110001", "Merhaba"), ("05321110002", "Merhaba"), ("905321110003", "Merhaba")]
REFUSED = SmsFate(Outcome.DROPPED, Reason.REFUSED)
NO_CONSENT = SmsFate(Outcome.DROPPED, Reason.NO_CONSENT)
BAD_NUMBER = SmsFate(Outcome.DROPPED, Reason.ADDRESS_INVALID)
PUT_OFF = SmsFate(Outcome.DEFERRED, Reason.LOOKUP_FAILED)


def submission_of(case: DialectCase) -> Submission:
    request = case.compose(PAIRS[:1] if case.is_single else PAIRS, case.tags[0])
    call = case.dialect.recognise(request)
    assert call is not None
    return case.dialect.read(request, call)


def answered(case: DialectCase, *fates: SmsFate, minted: str = "") -> HttpResponse:
    submission = submission_of(case)
    several = [fates[position % len(fates)] for position in range(len(submission.recipients))]
    minted = minted or case.dialect.mint_id(4711)
    return case.dialect.write_answer(submission, several, None, minted, [Segments(1, 1)])


@pytest.mark.parametrize("fault", list(Fault))
def test_no_fault_looks_like_success(case: DialectCase, fault: Fault) -> None:
    """Clients that look at the HTTP status only, and those that look at the code only, see a refusal."""
    response = case.dialect.write_fault(fault, "messages[0].no: expected one number")
    assert not case.is_success(response)
    assert response.body


def test_nobody_left_is_answered_as_the_provider_would(case: DialectCase) -> None:
    """Where refusals show in the report: success, with the minted id; or the provider's word for "nobody left"."""
    if case.dialect.refusal_model is not RefusalModel.IN_REPORT:
        return
    minted = case.dialect.mint_id(2**100 + 7)
    response = answered(case, NO_CONSENT, REFUSED, minted=minted)
    if case.knows_nobody_left:
        assert not case.is_success(response)
    else:
        assert case.is_success(response)
        assert case.job_id(response) == minted
        assert re.fullmatch(case.id_shape, minted)


@pytest.mark.parametrize("fates", [(PUT_OFF,), (NO_CONSENT, PUT_OFF)], ids=["all", "some"])
def test_who_is_put_off_hears_no_success(case: DialectCase, fates: tuple[SmsFate, ...]) -> None:
    """Success says "look into the report"; a client that hears it does not come again."""
    if case.dialect.refusal_model is not RefusalModel.IN_REPORT:
        return
    assert not case.is_success(answered(case, *fates))


def test_numbers_that_are_none_are_a_fault_of_the_request(case: DialectCase) -> None:
    """Where no number at all could be read, the sender hears that and not of consent."""
    if case.dialect.refusal_model is not RefusalModel.IN_REPORT:
        return
    assert not case.is_success(answered(case, BAD_NUMBER))


@pytest.mark.parametrize(
    "body", [b"", b"<html>502</html>", b"\x00\xff", b"[]", b"null", b'{"a":', b"{}", b'"x"', b"-1"]
)
@pytest.mark.parametrize("status", [200, 500, 502])
def test_an_answer_that_cannot_be_read_is_unknown(case: DialectCase, status: int, body: bytes) -> None:
    """Neither sent nor refused: nobody knows, and the client is told to come again later."""
    submission = submission_of(case)
    kept = range(len(submission.recipients))
    relayed = case.dialect.read_answer(submission, kept, HttpResponse(status, (), body))
    assert {fate.outcome for fate in relayed.fates} == {Outcome.UNKNOWN}
    assert len(relayed.fates) == len(kept)
    assert not relayed.is_passed_on

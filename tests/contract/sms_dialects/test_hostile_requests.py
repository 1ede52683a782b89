"""A request that two readers might read differently is refused, or holds the same recipients for both."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from filters.reason import Reason
from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import ReportEntry
from tests.support.sms_dialect_case import DialectCase

SECRET_NUMBERS = ("5329990001", "905329990002")
TOKENS = (
    "5329990001",
    ",5329990001",
    '"no":"5329990001",',
    '"No":"5329990001",',
    '"\\u006eo":"5329990001",',
    '"dest":"905329990002",',
    '"number":["5329990001"],',
    '"messages":[{"msg":"x","no":"5329990001"}],',
    '"gsm":"5329990001",',
    '"Messages":[{"msg":"x","no":"5329990001"}],',
    '"Dest":"905329990002",',
    '"MSG":"Baska",',
    "gsmno=5329990001&",
    "GSMNO=5329990001&",
    "Message=Baska&",
    "&gsmno=5329990001",
    "&GSMNO=5329990001",
    "&dest=905329990002",
    "&dest[]=905329990002",
    "%2C5329990001",
    "%00",
    "%ZZ",
    ";",
    "<no>5329990001</no>",
    "<mp><msg>x</msg><no>5329990001</no></mp>",
    "<number>5329990001</number>",
    "<Number>5329990001</Number>",
    "<message><text>x</text><receipents><number>5329990001</number></receipents></message>",
    "&receipents=5329990001",
    "&Receipents=5329990001",
    "<!-- 5329990001 -->",
    "<![CDATA[,5329990001]]>",
    "<!DOCTYPE a [<!ENTITY b '5329990001'>]>",
    "&#44;5329990001",
    "NaN",
    "-0",
    "1e3",
    "Infinity",
    "null",
    "true",
    "{}",
    "[]",
    "\\ud800",
    "\ufeff",
    "\u0000",
    "\u00a0",
    "\u0665",
    '"',
    "}",
    "]",
    ",",
    " ",
)

edits = st.lists(
    st.tuples(
        st.sampled_from(("field", "field", "field", "insert", "delete", "repeat", "replace", "case")),
        st.floats(0, 1, exclude_max=True),
        st.integers(1, 30),
        st.sampled_from(TOKENS),
    ),
    min_size=1,
    max_size=3,
)

# One case is one fixture for all examples; codecs keep no state between requests.
many = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


def changed(text: str, changes: list[tuple[str, float, int, str]]) -> str:
    for kind, where, length, token in changes:
        at = int(where * (len(text) + 1))
        if kind == "field":
            # Where a further field or element may stand, so that many of these are well-formed.
            places = [found.end() for found in re.finditer(r"[{,\[&>]|$", text)]
            at = places[int(where * len(places))]
            text = text[:at] + token + text[at:]
        elif kind == "insert":
            text = text[:at] + token + text[at:]
        elif kind == "delete":
            text = text[:at] + text[at + length :]
        elif kind == "repeat":
            text = text[: at + length] + text[at:]
        elif kind == "replace":
            text = text[:at] + token + text[at + length :]
        else:
            text = text[:at] + text[at : at + length].swapcase() + text[at + length :]
    return text


def valid_request(case: DialectCase) -> HttpRequest:
    pairs = [(case.spell(number), "Merhaba") for number in ("5321110001", "05321110002", "905321110003")]
    return case.compose(pairs[:1] if case.is_single else pairs, case.tags[0])


@many
@given(changes=edits)
@example(changes=[("insert", 0.99, 1, "5329990001")])
def test_a_changed_request_is_refused_or_read_alike(
    case: DialectCase, changes: list[tuple[str, float, int, str]]
) -> None:
    """Two lax readers (first or last of two keys, in any case) find the recipients that we find, or we refuse."""
    request = valid_request(case)
    if request.body:
        request = request._replace(body=changed(request.body.decode(), changes).encode("utf-8", "surrogatepass"))
    else:
        request = request._replace(query=changed(request.query, changes))
    call = case.dialect.recognise(request)
    assert call is not None
    refusal = None
    try:
        submission = case.dialect.read(request, call)
    except RequestRefusedError as refused:
        refusal = refused
    if refusal is not None:
        assert not any(number[-10:] in refusal.detail for number in SECRET_NUMBERS)
        assert case.dialect.write_fault(refusal.fault, refusal.detail).body
        return
    ours = [(recipient.spelled, submission.texts[recipient.text]) for recipient in submission.recipients]
    for reader in case.readers:
        assert reader(request) == ours
    kept = [position for position, recipient in enumerate(submission.recipients) if recipient.number is not None]
    if kept:
        upstream = case.dialect.write(submission, kept, [ours[position][1] for position in kept])
        for reader in case.readers:
            assert reader(upstream) == [ours[position] for position in kept]


@many
@given(changes=edits, answer=st.sampled_from((None, b"{}", b"[]", b"[1]", b'{"jobs":[1]}', b"null", b"60", b"")))
def test_a_changed_question_for_a_report_is_answered_or_refused(
    reporting_case: DialectCase, changes: list[tuple[str, float, int, str]], answer: bytes | None
) -> None:
    """Whatever is asked, and whatever the provider says to it: never an exception that is no refusal."""
    case = reporting_case
    assert case.report is not None
    job_id = case.dialect.mint_id(7)
    request = case.report([job_id], 0, 100)
    if request.body:
        request = request._replace(body=changed(request.body.decode(), changes).encode("utf-8", "surrogatepass"))
    else:
        request = request._replace(query=changed(request.query, changes))
    call = case.dialect.recognise(request)
    assert call is not None
    dropped = {job_id: [ReportEntry("5321110001", "+905321110001", "", Reason.NO_CONSENT, 1_800_000_000.0)]}
    with contextlib.suppress(RequestRefusedError):
        assert all(type(each) is str for each in case.dialect.report_ids(request, call))
        response = None if answer is None else HttpResponse(200, (("content-type", "text/plain"),), answer)
        assert case.dialect.overlay_report(request, call, response, dropped).status >= 200


@many
@given(body=st.binary(max_size=200))
def test_noise_is_refused(case: DialectCase, body: bytes) -> None:
    """Bytes that are no request make a refusal, never another exception."""
    request = valid_request(case)
    noise = request._replace(body=body) if request.body else request._replace(query=body.decode("latin-1"))
    call = case.dialect.recognise(request)
    assert call is not None
    with pytest.raises(RequestRefusedError):
        case.dialect.read(noise, call)


def test_a_form_in_the_place_of_the_body_s_syntax_is_refused(case: DialectCase) -> None:
    """Whoever announces a form and sends JSON or XML is read differently by different servers."""
    request = valid_request(case)
    if not request.body:
        request = request._replace(body=b"gsmno=5329990001&dest=5329990001")
    else:
        rest = tuple(header for header in request.headers if header[0] != "content-type")
        request = request._replace(headers=(("content-type", "multipart/form-data; boundary=x"), *rest))
    call = case.dialect.recognise(request)
    assert call is not None
    with pytest.raises(RequestRefusedError):
        case.dialect.read(request, call)


def test_fields_in_the_address_beside_a_body_are_refused(case: DialectCase) -> None:
    """A server that merges both would find a recipient there."""
    request = valid_request(case)
    extra = "gsmno=5329990001&no=5329990001&dest=5329990001"
    query = f"{request.query}&{extra}" if request.query else extra
    call = case.dialect.recognise(request)
    assert call is not None
    with pytest.raises(RequestRefusedError):
        case.dialect.read(request._replace(query=query), call)


def test_too_many_recipients_are_refused(many_recipients_case: DialectCase) -> None:
    """The provider's cap is ours, and named as such."""
    case = many_recipients_case
    count = case.dialect.max_recipients + 1
    request = case.compose([(f"532{number:07d}", "Merhaba") for number in range(count)], case.tags[0])
    call = case.dialect.recognise(request)
    assert call is not None
    with pytest.raises(RequestRefusedError) as refusal:
        case.dialect.read(request, call)
    assert refusal.value.fault is Fault.TOO_MANY_RECIPIENTS

"""Whatever the registry adds, reorders or breaks: reading never raises, and never reads a yes into it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from filters.registry.call import interpret
from filters.registry.calls.statuses import changes, status
from filters.registry.failures import Failure
from filters.registry.values import (
    ChangesPage,
    ChangesSource,
    ConsentSubject,
    MultiStatus,
    RegistryBrand,
    StoredConsent,
)
from filters.vocabulary import Channel, RecipientType, Status
from tests.filters.registry.test_answers import GOLDEN, MULTI, STATUS
from tests.filters.registry.test_requests import CALLS

ALL_CALLS = [call for call, *_ in CALLS]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)

BRAND = RegistryBrand(600100, 600123)


def sprinkled(value: Any, name: str, extra: Any) -> Any:
    """``value`` with one more field in each of its objects."""
    if isinstance(value, dict):
        return {**{key: sprinkled(inner, name, extra) for key, inner in value.items()}, name: extra}
    if isinstance(value, list):
        return [sprinkled(inner, name, extra) for inner in value]
    return value


JSON_ROWS = [row for row in GOLDEN if not isinstance(row[2], bytes) and not (row[0].name == "status" and not row[3])]


@given(st.sampled_from(JSON_ROWS), st.text(max_size=12).map(lambda name: f"x{name}"), JSON)
def test_unknown_fields_anywhere_change_nothing(row: Any, name: str, extra: Any) -> None:
    """Every golden answer means the same with a stranger's field in each of its objects."""
    call, status, answer, meaning = row
    assert interpret(call, status, json.dumps(sprinkled(answer, name, extra)).encode()) == meaning


@given(st.sampled_from(JSON_ROWS), st.data())
def test_an_unknown_value_in_any_field_never_raises(row: Any, data: st.DataObject) -> None:
    """One field of an answer replaced by anything: an answer or a failure, no exception."""
    call, status, answer, _ = row
    broken = json.loads(json.dumps(answer))
    holder = broken[0] if isinstance(broken, list) and broken else broken
    while isinstance(holder, dict) and holder:
        key = data.draw(st.sampled_from(sorted(holder)))
        if isinstance(holder[key], dict) and data.draw(st.booleans()):
            holder = holder[key]
            continue
        holder[key] = data.draw(JSON)
        break
    interpret(call, status, json.dumps(broken).encode())


@given(st.sampled_from(ALL_CALLS), st.integers(100, 599), JSON)
def test_no_json_raises(call: Any, status: int, value: Any) -> None:
    """Any status with any JSON, for any call; where it is no answer it is a failure with advice."""
    result = interpret(call, status, json.dumps(value).encode())
    if isinstance(result, Failure):
        assert result.advice
        assert result.pause_s >= 0


@given(st.sampled_from(ALL_CALLS), st.integers(100, 599), st.binary(max_size=200))
def test_no_bytes_raise(call: Any, status: int, body: bytes) -> None:
    """Any status with any bytes, for any call."""
    result = interpret(call, status, body)
    assert status < 300 or status == 404 or isinstance(result, Failure)


@given(JSON)
def test_no_answer_gives_consent_that_does_not_say_so(value: Any) -> None:
    """Only the one word is consent, and only an address we asked for can have it."""
    body = json.dumps(value).encode()
    single = interpret(STATUS, 200, body)
    if isinstance(single, StoredConsent) and single.status is Status.APPROVED:
        assert "ONAY" in json.dumps(value).upper()
    many = interpret(MULTI, 200, body)
    if isinstance(many, MultiStatus):
        assert many.approved <= {"ayse@shop.example", "ali@shop.example"}


def test_deeply_nested_answers_do_not_exhaust_the_stack() -> None:
    """A hundred thousand brackets are unreadable, not a crash."""
    for call in ALL_CALLS:
        interpret(call, 200, b"[" * 100_000)
        interpret(call, 400, b'{"errors":' * 20_000)


@given(code=st.integers(1, 2**40).filter(lambda code: code != BRAND.brand_code), is_text=st.booleans())
def test_an_answer_about_another_brand_is_none_to_our_question(code: int, is_text: bool) -> None:
    """Consents of brand A never answer for B: such a movement is to be asked for, such a status is unreadable."""
    record = {
        "recipient": "ayse@example.com",
        "recipientType": "BIREYSEL",
        "type": "EPOSTA",
        "status": "ONAY",
        "source": "IYS_WEB",
        "consentDate": "2026-11-18 10:00:00",
        "creationDate": "2026-11-18 10:00:00",
    }
    foreign = record | {"brandCode": str(code) if is_text else code}
    own = record | {"brandCode": str(BRAND.brand_code) if is_text else BRAND.brand_code}
    body = json.dumps({"after": "1_a", "list": [record, foreign, own]}).encode()
    page = interpret(changes(BRAND, ChangesSource.REGISTRY), 200, body)
    assert isinstance(page, ChangesPage)
    assert (len(page.movements), [each.recipient for each in page.unread]) == (2, ["ayse@example.com"])
    subject = ConsentSubject("ayse@example.com", Channel.EMAIL, RecipientType.INDIVIDUAL)
    assert isinstance(interpret(status(BRAND, subject), 200, json.dumps(foreign).encode()), Failure)
    assert isinstance(interpret(status(BRAND, subject), 200, json.dumps(own).encode()), StoredConsent)

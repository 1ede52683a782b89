"""How long a provider may hold a message for hours or speed: never less than it does hold one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.dialects.holding import DAY_S, DAYS, read_excluded_hours, read_speed, read_window
from filters.sms.dialects.registry import make_dialect
from filters.sms.http import HttpRequest
from filters.sms.message import Submission

MINUTE = 60
WEEK_MINUTES = 7 * 24 * 60


def _is_open(minute: int, days: list[int], start: int, end: int) -> bool:
    """Whether a window that begins on one of ``days`` is open in this minute of the week; one may pass midnight."""
    length = (end - start - 1) % 1440 + 1
    return any((minute - day * 1440 - start) % WEEK_MINUTES < length for day in days)


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=7, unique=True),
    st.integers(0, 23),
    st.integers(0, 23),
    st.integers(0, WEEK_MINUTES - 1),
    st.integers(0, 2000),
)
def test_no_message_leaves_later_than_the_bound(days: list[int], start: int, end: int, now: int, work: int) -> None:
    """Minute by minute, whenever the request comes: a job of so many minutes of work, done while the window is
    open."""
    window = read_window([DAYS[day] for day in days], {"hour": start}, {"hour": end, "minute": 0}, "window")
    minute, left = now, work
    while True:
        if _is_open(minute % WEEK_MINUTES, days, start * 60, end * 60):
            if left == 0:
                break
            left -= 1
        minute += 1
    assert (minute - now) * MINUTE <= window.hold_s(work * MINUTE)


@pytest.mark.parametrize(
    ("days", "start", "end", "hours"),
    [
        (None, 10, 20, 14),
        (["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"], 10, 20, 62),
        (["MONDAY"], 9, 17, 160),
        (None, 22, 6, 16),
        (None, 0, 0, 0),
    ],
)
def test_a_window_is_shut_no_longer_than_it_says(days: list[str] | None, start: int, end: int, hours: int) -> None:
    """A bound that is far too long would refuse what is allowed."""
    assert read_window(days, {"hour": start}, {"hour": end}, "window").hold_s(0) == hours * 3600


@pytest.mark.parametrize(
    ("limit", "recipients", "seconds"),
    [
        (None, 50_000, 0),
        ({"amount": 10}, 25, 180),
        ({"amount": 1, "timeUnit": "DAY"}, 3, 3 * DAY_S),
        ({"amount": 50_000, "timeUnit": "HOUR"}, 1, 3600),
    ],
)
def test_a_speed_takes_its_time(limit: Any, recipients: int, seconds: float) -> None:
    assert read_speed(limit, recipients, "speed") == seconds


@pytest.mark.parametrize(
    ("start", "end", "hours"), [("", "", 0), ("22:00", "08:00", 10), ("2000", "2200", 2), ("120000", "12:00", 24)]
)
def test_excluded_hours_hold_no_longer_than_they_last(start: str, end: str, hours: int) -> None:
    assert read_excluded_hours(start, end, "hours") == hours * 3600


@pytest.mark.parametrize(
    "body",
    [
        {"window": {"days": ["monday"]}},
        {"window": {"from": {"hour": 9}}},
        {"window": {"from": {"hour": 24}, "to": {"hour": 9}}},
        {"speed": {"amount": 0}},
        {"speed": {"amount": 1, "timeUnit": "MONTH"}},
    ],
)
def test_infobip_holds_that_cannot_be_read_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(RequestRefusedError):
        _read_infobip(body)


@pytest.mark.parametrize("hours", [("22:00", ""), ("soon", "later"), ("01012030220000", "02012030220000")])
def test_jetsms_hours_that_cannot_be_read_are_refused(hours: tuple[str, str]) -> None:
    """Nobody could say how long the provider holds the message."""
    with pytest.raises(RequestRefusedError) as caught:
        _read_jetsms(exclusionstarttime=hours[0], exclusionexpiretime=hours[1])
    assert caught.value.fault is Fault.MALFORMED


def test_infobip_adds_speed_and_hours() -> None:
    """Two days of work in windows of ten hours that are shut for fourteen: five times shut, at the most."""
    body = {
        "window": {"from": {"hour": 10}, "to": {"hour": 20}},
        "speed": {"amount": 1, "timeUnit": "DAY"},
    }
    assert _read_infobip(body, recipients=2).hold_s == 48 * 3600 + 5 * 14 * 3600


def test_jetsms_and_infobip_hold_nothing_unasked() -> None:
    assert _read_jetsms().hold_s == 0
    assert _read_infobip({}).hold_s == 0


@pytest.mark.parametrize("said", ["KURUM", "TACİR", "BIREYSEL,TACIR", "0"])
def test_a_recipient_type_that_jetsms_is_not_known_to_have_is_refused(said: str) -> None:
    """Taken for none, it would fall to the client's default, while the provider checks another list."""
    with pytest.raises(RequestRefusedError) as caught:
        _read_jetsms(recipienttype=said)
    assert "recipienttype" in caught.value.detail


def _read_jetsms(**more: Any) -> Submission:
    body = {
        "user": "jet-1", "password": "x", "originator": "ORNEK",
        "smsmessages": [{"messagetext": "merhaba", "recipient": "5320000001"}], **more,
    }  # fmt: skip
    return _read("jetsms", "/api/SendSms", body)


def _read_infobip(holds: dict[str, Any], recipients: int = 1) -> Submission:
    message: dict[str, Any] = {
        "sender": "ORNEK",
        "destinations": [{"to": f"90532000000{number}"} for number in range(recipients)],
        "content": {"text": "merhaba"},
        "options": {"deliveryTimeWindow": holds.get("window")},
    }
    schedule = {"sendingSpeedLimit": holds.get("speed")}
    return _read("infobip", "/sms/3/messages", {"messages": [message], "options": {"schedule": schedule}})


def _read(name: str, path: str, body: dict[str, Any]) -> Submission:
    dialect = make_dialect(name)
    headers = (("content-type", "application/json"),)
    request = HttpRequest("POST", path, "", headers, json.dumps(body).encode())
    call = dialect.recognise(request)
    assert call is not None
    return dialect.read(request, call)

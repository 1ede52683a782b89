"""Reconciliation of a finished day."""

from __future__ import annotations

from datetime import date, timedelta

from loadtest.registry.api.call import NO_CONTENT, Answer, Call
from loadtest.registry.book.timestamp import render_timestamp
from loadtest.registry.rules.codes import fail
from loadtest.registry.rules.dates import day_bounds_ms, day_of, find_day
from loadtest.registry.rules.words import RECIPIENT_TYPES

_REACH = timedelta(days=7)
_SHARE_QUEUED = 0.5


def summary(call: Call) -> Answer:
    """Counts by channel and side."""
    day = _read_day(call)
    kind = call.parts["recipientType"]
    if kind not in RECIPIENT_TYPES:
        raise fail("H116", ["recipientType"], kind)
    stats = call.registry.reconciliation.summary(call.brand, day, RECIPIENT_TYPES.index(kind))
    return Answer(200, {"changeStats": stats})


def show(call: Call) -> Answer:
    """How far the day's file is, and its hash once it is complete."""
    day = _read_day(call)
    book = call.registry.reconciliation
    if not book.has_movements(call.brand, day):
        return NO_CONTENT
    status = _progress(call, day)
    return Answer(
        200,
        {
            "processStatus": status,
            "hashValue": book.hash(call.brand, day) if status == "completed" else "",
            "hashMethod": "SHA-384",
            "agreementStatus": book.is_agreed(call.brand, day),
        },
    )


def save(call: Call) -> Answer:
    """The provider's word that both sides agree; for ever."""
    day = _read_day(call)
    given = call.json_object("H095")
    if given.get("agreementStatus") is not True:
        raise fail("H512", ["agreementStatus"], given.get("agreementStatus"))
    if not call.registry.reconciliation.has_movements(call.brand, day):
        return NO_CONTENT
    call.registry.reconciliation.agree(call.brand, day)
    return Answer(200, {"agreementCaptured": True})


def download(call: Call) -> Answer:
    """The day's file."""
    day = _read_day(call)
    if _has_file(call, day):
        return Answer(200, call.registry.reconciliation.file(call.brand, day), "text/csv; charset=utf-8")
    return NO_CONTENT


def timestamp(call: Call) -> Answer:
    """A time stamp over the day's file."""
    day = _read_day(call)
    if not _has_file(call, day):
        return NO_CONTENT
    ready_at = day_bounds_ms(day)[1] / 1000 + call.registry.settings.report_ready_s
    content = call.registry.reconciliation.file(call.brand, day)
    return Answer(200, render_timestamp(content, ready_at, day.toordinal()), "application/timestamp-reply")


def _has_file(call: Call, day: date) -> bool:
    return _progress(call, day) == "completed" and call.registry.reconciliation.has_movements(call.brand, day)


def _progress(call: Call, day: date) -> str:
    ready_s = call.registry.settings.report_ready_s
    past_s = call.now_ms / 1000 - day_bounds_ms(day)[1] / 1000
    if past_s >= ready_s:
        return "completed"
    return "queued" if past_s < ready_s * _SHARE_QUEUED else "inprogress"


def _read_day(call: Call) -> date:
    right = call.right()
    if right is not None and not right.has_agreement_control:
        raise fail("H355")
    text = call.parts["reportDate"]
    day = find_day(text)
    if day is None:
        raise fail("H501", ["reportDate"], text)
    today = day_of(call.now_ms / 1000)
    if not today - _REACH <= day < today:
        raise fail("H502", ["reportDate"], text)
    return day

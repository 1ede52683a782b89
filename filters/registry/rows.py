"""A row that a sender hands us, in the registry's own field names, as a consent; or the codes the registry would give.

Strict, as the registry is: unknown fields, null and "" are errors (İYS API reference, 1 and 3). Addresses become
canonical where only letters' case differs; a phone number in another spelling than E.164 is refused, not repaired.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from filters.address import AddressError, parse_email
from filters.phone import PhoneError, parse_phone
from filters.registry import words
from filters.registry.values import ConsentToAdd
from filters.registry.writing import find_problem
from filters.vocabulary import Channel, RecipientType

FIELDS = (
    "recipient",
    "type",
    "recipientType",
    "status",
    "source",
    "consentDate",
    "retailerCode",
    "retailerAccess",
)
_KNOWN = frozenset(FIELDS)
_TIME_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", re.ASCII)
_MOST_CHARACTERS = 320


def read_row(row: object, now: int) -> ConsentToAdd | tuple[str, ...]:
    """The consent, or every code that speaks against it. ``now``: seconds since 1970 UTC."""
    if not isinstance(row, Mapping):
        return ("H085",)
    codes: list[str] = []
    if not set(row) <= _KNOWN:
        codes.append("H118")
    channel = words.find_channel(row.get("type")) if row.get("type") in words.CHANNEL_WORDS.values() else None
    if channel is None:
        codes.append("H117" if "type" in row else "H111")
    kind: RecipientType | None = RecipientType.INDIVIDUAL
    if "recipientType" in row:
        known = row["recipientType"] in words.RECIPIENT_TYPE_WORDS.values()
        kind = words.find_recipient_type(row["recipientType"]) if known else None
        if kind is None:
            codes.append("H116")
    status = words.find_status(row.get("status")) if row.get("status") in words.STATUS_WORDS.values() else None
    if status is None:
        codes.append("H115" if "status" in row else "H110")
    source = row.get("source")
    if "source" in row and source not in words.PROVIDER_SOURCES:
        codes.append("H119")
    consent_at, problem = _read_time(row)
    if problem:
        codes.append(problem)
    retailer, access, problem = _read_retailers(row)
    if problem:
        codes.append(problem)
    recipient, problem = _read_recipient(row, channel)
    if problem:
        codes.append(problem)
    if codes or channel is None or kind is None or status is None:
        return tuple(codes)
    consent = ConsentToAdd(
        recipient, channel, kind, status, consent_at, source if isinstance(source, str) else None, retailer, access
    )
    refused = find_problem(consent, now)
    return consent if refused is None else (refused,)


def _read_time(row: Mapping[str, Any]) -> tuple[int | None, str]:
    if "consentDate" not in row:
        return None, ""
    text = row["consentDate"]
    if not isinstance(text, str) or not _TIME_FORM.fullmatch(text):
        return None, "H158"
    at = words.find_time(text)
    return at, "H157" if at is None else ""


def _read_recipient(row: Mapping[str, Any], channel: Channel | None) -> tuple[str, str]:
    if "recipient" not in row:
        return "", "H114"
    text = row["recipient"]
    if channel is None:
        return "", ""
    wrong = "H120" if channel is Channel.EMAIL else "H121"
    if not isinstance(text, str) or len(text) > _MOST_CHARACTERS:
        return "", wrong
    try:
        if channel is Channel.EMAIL:
            return parse_email(text.encode(), allow_utf8=False).key.decode("ascii"), ""
        number = parse_phone(text).e164
    except (AddressError, PhoneError, UnicodeError):
        return "", wrong
    return number, "" if number == text else wrong


def _read_retailers(row: Mapping[str, Any]) -> tuple[int | None, tuple[int, ...], str]:
    code = row.get("retailerCode")
    if "retailerCode" in row and type(code) is not int:
        return None, (), "H267" if code in (None, "") else "H180"
    listed = row.get("retailerAccess", [])
    if type(listed) is not list or any(type(each) is not int for each in listed):
        return None, (), "H180"
    if "retailerAccess" in row and not listed:
        return None, (), "H163"
    return code, tuple(listed), ""

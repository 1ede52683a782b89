"""Proving, day by day, that both sides agree (İYS API reference, 7). ``day`` is ``YYYY-MM-DD``, yesterday to 7 ago."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from filters.registry.call import Call, brand_path, json_body
from filters.registry.reading import (
    UnreadableError,
    as_list,
    as_object,
    find,
    find_count,
    find_flag,
    find_text,
    parse_object,
)
from filters.registry.values import Agreement, ChangeStat, RegistryBrand
from filters.registry.words import RECIPIENT_TYPE_WORDS, find_channel, is_day
from filters.vocabulary import Channel, RecipientType

MAX_FILE_BYTES = 4 << 30
_MAX_STAMP_BYTES = 1 << 20


def summary(brand: RegistryBrand, day: str, recipient_type: RecipientType) -> Call[tuple[ChangeStat, ...]]:
    """Counts of the day; a channel without movement may be missing."""
    path = f"changes/{_day(day)}/recipients/{RECIPIENT_TYPE_WORDS[recipient_type]}"
    return Call("reconciliation_summary", "GET", brand_path(brand, path), _read_summary)


def agreement(brand: RegistryBrand, day: str) -> Call[Agreement | None]:
    """State and hash of the daily file; None if there is nothing."""
    path = f"agreements/{_day(day)}"
    return Call("reconciliation_info", "GET", brand_path(brand, path), _read_agreement)


def agree(brand: RegistryBrand, day: str) -> Call[bool]:
    """Say for good that both sides agree; False if the day had no movement. It cannot be undone."""
    path = f"agreements/{_day(day)}"
    body = json_body({"agreementStatus": True})
    return Call("reconciliation_save", "PUT", brand_path(brand, path), _read_agreed, body=body)


def daily_file(brand: RegistryBrand, day: str) -> Call[bytes | None]:
    """The file of all movements, CSV; None if there is none. May be large: to be streamed."""
    path = f"changes/{_day(day)}/file"
    return Call("reconciliation_file", "GET", brand_path(brand, path), _read_bytes, max_answer_bytes=MAX_FILE_BYTES)


def time_stamp(brand: RegistryBrand, day: str) -> Call[bytes | None]:
    """The binary time-stamp response (``.tsr``) over the file; None if there is none."""
    path = f"agreements/{_day(day)}/timestamp"
    return Call(
        "reconciliation_time_stamp", "GET", brand_path(brand, path), _read_bytes, max_answer_bytes=_MAX_STAMP_BYTES
    )


def _day(day: str) -> str:
    if not is_day(day):
        raise ValueError("report day: expected YYYY-MM-DD")
    return day


def _read_summary(status: int, body: bytes) -> tuple[ChangeStat, ...]:
    if status == 204:
        return ()
    stats: list[ChangeStat] = []
    for item in as_list(find(parse_object(body), "changeStats"), "changeStats"):
        fields = as_object(item, "changeStats entry")
        channel = find_channel(find(fields, "type"))
        if channel is None:
            raise UnreadableError("type: not known")
        listed = as_list(find(fields, "consents"), "consents")
        stats.extend(_stat(channel, as_object(counts, "consents entry")) for counts in listed)
    return tuple(stats)


def _stat(channel: Channel, fields: Mapping[str, Any]) -> ChangeStat:
    return ChangeStat(
        channel,
        find_text(fields, "source").upper(),
        find_count(fields, "approval"),
        find_count(fields, "rejection"),
        find_count(fields, "pending"),
        find_count(fields, "total"),
    )


def _read_agreement(status: int, body: bytes) -> Agreement | None:
    if not body.strip():
        return None
    fields = parse_object(body)
    return Agreement(
        find_text(fields, "processStatus").lower(),
        find_text(fields, "hashValue").lower(),
        find_text(fields, "hashMethod").upper().replace("-", ""),
        bool(find_flag(fields, "agreementStatus")),
    )


def _read_agreed(status: int, body: bytes) -> bool:
    if status == 204:
        return False
    captured = find_flag(parse_object(body), "agreementCaptured")
    if captured is None:
        raise UnreadableError("agreementCaptured: missing")
    return captured


def _read_bytes(status: int, body: bytes) -> bytes | None:
    return None if status == 204 else body

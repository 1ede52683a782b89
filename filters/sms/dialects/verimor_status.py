"""Verimor's status call and status push (sms-dialects 5.2), with the numbers in them that never left the gateway.

A page has at most 100 rows; the next one is asked for by ``greater_than``, the last message id seen. Rows of ours carry
ids above all of the provider's, so that they come behind its rows and are walked through in the same way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from filters.phone import PhoneError, parse_phone
from filters.reason import Reason
from filters.sms.dialect import RequestRefusedError
from filters.sms.dialects.in_report import passed_on
from filters.sms.dialects.strict_form import parse_fields
from filters.sms.dialects.strict_json import json_response, malformed, parse_json
from filters.sms.dialects.times import write_time
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import ReportEntry

PAGE_ROWS = 100

NOT_ALLOWED_BY_IYS = "NOT_ALLOWED_BY_IYS"
INVALID_DESTINATION = "INVALID_DESTINATION_ADDRESS"

_FIELDS = frozenset({"username", "password", "id", "custom_id", "dest", "greater_than"})
_OUR_FIRST_ID = 9 * 10**17
_CAMPAIGNS = 10**11
_ROWS_EACH = 10**6
_SEPARATOR = "\x1f"
_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


def join_reference(custom_id: str, message_id: str) -> str:
    """The sender's own ids of campaign and message in one text; "" where it gave neither."""
    return f"{custom_id}{_SEPARATOR}{message_id}" if custom_id else message_id


def split_reference(reference: str) -> tuple[str, str]:
    """Campaign and message of ``join_reference``."""
    before, separator, after = reference.partition(_SEPARATOR)
    return (before, after) if separator else ("", before)


def asked_campaign_ids(request: HttpRequest) -> Sequence[str]:
    """The ``id`` of a status request; empty where it asks by ``custom_id``. Raises ``RequestRefusedError``."""
    found = parse_fields(request.query, _FIELDS).get("id", "")
    return [found] if found else []


def find_custom_id(request: HttpRequest) -> tuple[str, str] | None:
    """User name and ``custom_id`` of a status request that names no campaign."""
    asked = parse_fields(request.query, _FIELDS)
    custom_id = asked.get("custom_id", "")
    return None if asked.get("id") or not custom_id else (asked.get("username", ""), custom_id)


def overlay(
    request: HttpRequest, response: HttpResponse | None, dropped: Mapping[str, Sequence[ReportEntry]]
) -> HttpResponse:
    """The upstream's page, filled up with rows of ours once it is not full by itself."""
    asked = parse_fields(request.query, _FIELDS)
    after = asked.get("greater_than", "") or "0"
    if not (after.isascii() and after.isdigit() and len(after) <= 20):
        raise malformed("greater_than: expected a message id")
    is_ours_only = int(after) >= _OUR_FIRST_ID
    upstream: list[Any] = []
    if response is not None:
        found = _read_rows(response)
        if found is None and not (is_ours_only and response.status in (400, 404)):
            return passed_on(response)
        upstream = found or []
    if len(upstream) >= PAGE_ROWS and response is not None:
        return passed_on(response)
    campaigns = _asked(asked, upstream, dropped)
    ours = [
        row for campaign in campaigns for row in rows_of(campaign, dropped[campaign]) if row["message_id"] > int(after)
    ]
    ours = [row for row in ours if _is_wanted(asked, row)]
    ours.sort(key=lambda row: row["message_id"])
    return json_response(200, [*upstream, *ours[: PAGE_ROWS - len(upstream)]])


def rows_of(campaign: str, entries: Iterable[ReportEntry]) -> list[dict[str, Any]]:
    """Rows as status and push show them, one for each dropped number of ``campaign``."""
    digest = int.from_bytes(hashlib.sha256(campaign.encode()).digest()[:8], "big")
    first = _OUR_FIRST_ID + digest % _CAMPAIGNS * _ROWS_EACH
    return [_row(campaign, first + number, entry) for number, entry in enumerate(entries, start=1)]


def render_push(campaign: str, entries: Iterable[ReportEntry]) -> bytes:
    """What the provider would post to the sender's status address about these numbers."""
    return json_response(200, [{"type": "outbound", **row} for row in rows_of(campaign, entries)]).body


def _read_rows(response: HttpResponse) -> list[Any] | None:
    if response.status != 200:
        return None
    try:
        found = parse_json(response.body)
    except RequestRefusedError:
        return None
    return found if type(found) is list else None


def _asked(
    asked: Mapping[str, str], upstream: Iterable[Any], dropped: Mapping[str, Sequence[ReportEntry]]
) -> list[str]:
    """The campaigns whose rows belong in the answer."""
    if asked.get("id"):
        return [asked["id"]] if asked["id"] in dropped else []
    custom_id = asked.get("custom_id", "")
    if not custom_id:
        return []
    named = {str(row.get("campaign_id")) for row in upstream if type(row) is dict}
    return sorted(
        campaign
        for campaign, entries in dropped.items()
        if campaign in named or any(split_reference(entry.reference)[0] == custom_id for entry in entries)
    )


def _is_wanted(asked: Mapping[str, str], row: Mapping[str, Any]) -> bool:
    wanted = [piece.strip() for piece in asked.get("dest", "").split(",") if piece.strip()]
    return not wanted or _plain(row["dest"]) in {_plain(piece) for piece in wanted}


def _plain(spelled: str) -> str:
    try:
        return parse_phone(spelled).e164
    except PhoneError:
        return spelled


def _row(campaign: str, message_id: int, entry: ReportEntry) -> dict[str, Any]:
    custom_id, own_id = split_reference(entry.reference)
    at = write_time(entry.dropped_at, _TIME_FORMAT)
    return {
        "campaign_id": int(campaign) if campaign.isascii() and campaign.isdigit() and len(campaign) <= 18 else campaign,
        "campaign_custom_id": custom_id or None,
        "message_id": message_id,
        "message_custom_id": own_id or None,
        "dest": entry.spelled,
        "size": 0,
        "international_multiplier": 1,
        "credits": 0,
        "status": INVALID_DESTINATION if entry.reason is Reason.ADDRESS_INVALID else NOT_ALLOWED_BY_IYS,
        "gsm_error": None,
        "sent_at": at,
        "done_at": at,
    }

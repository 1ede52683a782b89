"""İleti Merkezi's report of one order (sms-dialects 4.2), with the numbers in it that never left the gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from filters.sms.dialects.iletimerkezi_values import answer_of, read_answer_code
from filters.sms.dialects.in_report import page_of, passed_on
from filters.sms.dialects.strict_json import code_field, json_response, parse_json, read_json_object
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import ReportEntry

MAX_PAGE_ROWS = 1000

ORDER_DONE = 114
NOT_SENT = 112
UNKNOWN_ORDER = 455


def asked_order_ids(request: HttpRequest) -> Sequence[str]:
    """The id of the order of a report or cancellation request. Raises ``RequestRefusedError``."""
    order = _order_of(request)
    found = code_field(order, "id", "order")
    return [found] if found else []


def overlay(
    request: HttpRequest, response: HttpResponse | None, dropped: Mapping[str, Sequence[ReportEntry]]
) -> HttpResponse:
    """The upstream's page with ours behind it; "unknown order" and "not due yet" give way to what we know."""
    order = _order_of(request)
    order_id = code_field(order, "id", "order")
    page, size = _number(order, "page", 1), _number(order, "rowCount", MAX_PAGE_ROWS)
    size = size if 1 <= size <= MAX_PAGE_ROWS else MAX_PAGE_ROWS
    ours = [
        {"number": entry.spelled, "status": NOT_SENT}
        for entry in page_of(dropped.get(order_id, ()), max(page - 1, 0), size)
    ]
    if response is None:
        if not dropped.get(order_id):
            return answer_of(UNKNOWN_ORDER)
        total = len(dropped[order_id])
        return answer_of(
            200, id=order_id, status=ORDER_DONE, total=total, delivered=0, undelivered=total, waiting=0, message=ours
        )
    code, upstream = read_answer_code(response)
    if code != 200 or not ours:
        return passed_on(response)
    rows = upstream.get("message")
    rows = rows if type(rows) is list else [rows] if type(rows) is dict else []
    answer = parse_json(response.body)
    answer["response"]["order"] = {**upstream, "message": [*rows, *ours]}
    return json_response(response.status, answer)


def _order_of(request: HttpRequest) -> dict[str, Any]:
    found: Any = read_json_object(request)
    for name in ("request", "order"):
        found = found.get(name) if type(found) is dict else None
    return found if type(found) is dict else {}


def _number(order: dict[str, Any], name: str, default: int) -> int:
    value = str(order.get(name))
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else default

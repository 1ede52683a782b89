"""İleti Merkezi's report of one order (sms-dialects 4.2), with the numbers in it that never left the gateway."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from filters.sms.dialects.iletimerkezi_json import Syntax, Tree
from filters.sms.dialects.in_report import page_of, passed_on
from filters.sms.dialects.strict_json import code_field, write_json
from filters.sms.http import HttpResponse
from filters.sms.message import ReportEntry

MAX_PAGE_ROWS = 1000

ORDER_DONE = 114
NOT_SENT = 112
UNKNOWN_ORDER = 455

# Ids of messages of ours: far above the provider's, and small enough for clients whose numbers are floats.
_OUR_FIRST_ID = 8 * 10**15
_ORDERS, _MESSAGES_EACH = 10**10, 10**5


def asked_order_ids(order: Tree) -> Sequence[str]:
    """The id in the order of a report or cancellation request. Raises ``RequestRefusedError``."""
    found = code_field(order, "id", "order")
    return [found] if found else []


def overlay(
    syntax: Syntax, order: Tree, response: HttpResponse | None, dropped: Mapping[str, Sequence[ReportEntry]]
) -> HttpResponse:
    """The upstream's page with ours behind it; "unknown order" and "not due yet" give way to what we know."""
    order_id = code_field(order, "id", "order")
    page, size = _number(order, "page", 1), _number(order, "rowCount", MAX_PAGE_ROWS)
    size = size if 1 <= size <= MAX_PAGE_ROWS else MAX_PAGE_ROWS
    ours = [
        {"number": entry.spelled, "status": NOT_SENT}
        for entry in page_of(dropped.get(order_id, ()), max(page - 1, 0), size)
    ]
    if response is None:
        if not dropped.get(order_id):
            return syntax.answer(UNKNOWN_ORDER)
        total = len(dropped[order_id])
        counts = {"total": total, "delivered": 0, "undelivered": total, "waiting": 0}
        return syntax.answer(200, "", {"id": order_id, "status": ORDER_DONE, **counts, "message": ours})
    code, upstream = syntax.read_answer(response)
    if code != 200 or not ours or not upstream:
        return passed_on(response)
    return syntax.add_rows(response, ours)


def render_posts(order_id: str, entries: Sequence[ReportEntry]) -> Iterator[bytes]:
    """What the provider posts to the address set in its panel: one message each, and one word for whatever was not
    sent."""
    digest = int.from_bytes(hashlib.sha256(order_id.encode()).digest()[:8], "big")
    first = _OUR_FIRST_ID + digest % _ORDERS * _MESSAGES_EACH
    packet = int(order_id) if order_id.isascii() and order_id.isdigit() and len(order_id) <= 18 else order_id
    for number, entry in enumerate(entries):
        report = {
            "id": first + number,
            "packet_id": packet,
            "status": "undelivered",
            "to": entry.e164 or entry.spelled,
            "body": entry.text,
        }
        yield write_json({"report": report})


def _number(order: Tree, name: str, default: int) -> int:
    value = str(order.get(name))
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else default

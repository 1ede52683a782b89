"""What Verimor posts: an array of rows, among them SMS that people sent to our numbers (sms-dialects 5.2).

Nothing is signed: the source is verified by the secret path or the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from filters.sms.dialect import InboundMessage, RequestRefusedError
from filters.sms.dialects.strict_json import code_field, malformed, parse_json, text_field
from filters.sms.dialects.verimor_values import read_send_at
from filters.sms.http import HttpRequest


def read(request: HttpRequest) -> Sequence[InboundMessage]:
    """The rows of type "inbound"; rows of other types (status, daily İYS summary) are not ours to read here.

    Raises ``RequestRefusedError``.
    """
    found = parse_json(request.body)
    if type(found) is not list:
        raise malformed("the body: expected a list")
    messages = []
    for number, row in enumerate(found):
        if type(row) is not dict:
            raise malformed(f"[{number}]: expected an object")
        if row.get("type") == "inbound":
            messages.append(_read_row(row, f"[{number}]"))
    return messages


def _read_row(row: dict[str, Any], where: str) -> InboundMessage:
    keyword, content = text_field(row, "keyword", where), text_field(row, "content", where)
    if keyword.casefold() not in content.casefold():
        # The word that led to us may stand apart; whose list is meant shows in both together.
        content = f"{keyword} {content}".strip()
    return InboundMessage(
        sender=code_field(row, "source_addr", where, default=None),
        destination=code_field(row, "destination_addr", where, default=None),
        text=content,
        message_id=code_field(row, "message_id", where, default=None),
        received_at=_find_time(row.get("received_at") or row.get("created_at")),
    )


def _find_time(value: object) -> float | None:
    """None for a time that cannot be read: it is only for the record."""
    try:
        return read_send_at(value) if isinstance(value, str) else None
    except RequestRefusedError:
        return None

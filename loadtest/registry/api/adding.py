"""Consents written by the provider: one at a time, or up to a thousand in one request and told of later."""

from __future__ import annotations

from typing import Any

from loadtest.registry.api.call import Answer, Call
from loadtest.registry.rules.codes import entry, fail, fail_all
from loadtest.registry.rules.dates import render_instant
from loadtest.registry.rules.items import Errors, Item, check_item
from loadtest.registry.rules.words import MAX_BULK, TYPES

_MAX_ID = 36
_ECHOED = ("recipient", "type", "source", "status", "consentDate", "recipientType")


def add_consent(call: Call) -> Answer:
    """Single add. V2 answers an identical repeat with the first receipt."""
    registry = call.registry
    item, errors = check_item(call.json_object("H085"), registry.surroundings(call.iys_code, call.brand))
    if item is None:
        raise fail_all(errors)
    call.need_channel(TYPES[item.type])
    if call.is_v2 and (repeat := registry.consents.find_repeat(call.brand, item)) is not None:
        written = repeat[0]
    else:
        key = (item.type, item.recipient_type, item.recipient)
        if registry.consents.find(call.brand, *key) is None and not registry.has_quota_left(call.iys_code, 1):
            raise fail("H525")
        outcome = registry.consents.add(call.brand, item, call.now_ms)
        if isinstance(outcome, str):
            raise fail(outcome)
        registry.consents.remember(call.brand, item, outcome, None)
        registry.database.connection.commit()
        written = outcome
    return Answer(
        200, {"transactionId": written.transaction_id, "creationDate": render_instant(written.created_ms / 1000)}
    )


def add_many(call: Call) -> Answer:
    """Bulk add: all or nothing on what can be seen at once."""
    registry = call.registry
    given = call.json()
    if not isinstance(given, list) or not given:
        raise fail("H092")
    if len(given) > MAX_BULK:
        registry.breach("bulk-size", str(len(given)))
        raise fail("H091")
    if not all(isinstance(each, dict) for each in given):
        raise fail("H092")
    around = registry.surroundings(call.iys_code, call.brand)
    items: list[Item] = []
    errors: Errors = []
    seen: set[tuple[int, int, str]] = set()
    for index, each in enumerate(given):
        item, found = check_item(each, around)
        errors += [error | {"index": index} for error in found]
        if item is None:
            continue
        call.need_channel(TYPES[item.type])
        key = (item.recipient_type, item.type, item.recipient)
        if key in seen:
            errors.append(entry("H194", ["recipient"], each["recipient"], index))
        seen.add(key)
        items.append(item)
    if errors:
        raise fail_all(errors)
    if not registry.has_quota_left(call.iys_code, 1):
        raise fail("H525")
    request, sub_ids = registry.bulk.take(
        call.brand, items, call.now_ms, registry.settings.bulk_delay_s, is_v2=call.is_v2
    )
    registry.database.connection.commit()
    creation_date = render_instant(call.now_ms / 1000)
    sub_requests: list[dict[str, Any]] = [
        {name: each[name] for name in _ECHOED if name in each}
        | {"recipient": item.recipient, "subRequestId": sub_id, "creationDate": creation_date}
        for each, item, sub_id in zip(given, items, sub_ids, strict=True)
    ]
    for sub_request in sub_requests:
        sub_request.setdefault("recipientType", "BIREYSEL")
    return Answer(202, {"requestId": request, "subRequests": sub_requests})


def poll(call: Call) -> Answer:
    """What became of a bulk request's items."""
    request = call.parts["requestId"]
    if len(request) > _MAX_ID:
        raise fail("H198", ["requestId"], request)
    if request.isalpha():
        raise fail("H199", ["requestId"], request)
    if request.isdecimal():
        raise fail("H400", ["requestId"], request)
    return Answer(200, call.registry.bulk.poll(call.brand, request, call.now_ms, is_v2=call.is_v2))

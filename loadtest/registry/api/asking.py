"""Questions about consents: one, many, the past of one, and everything that changed."""

from __future__ import annotations

from typing import Any

from loadtest.registry.api.call import MAX_DIGITS, NO_CONTENT, Answer, Call
from loadtest.registry.book.changes import parse_cursor, render_cursor
from loadtest.registry.book.database import transaction_id
from loadtest.registry.rules.codes import entry as error_entry
from loadtest.registry.rules.codes import fail, fail_all
from loadtest.registry.rules.dates import render_instant
from loadtest.registry.rules.items import Errors
from loadtest.registry.rules.recipients import find_recipient_fault, normalise
from loadtest.registry.rules.words import (
    MAX_CHANGES,
    MAX_RECIPIENTS,
    RECIPIENT_TYPES,
    STATUSES,
    TYPES,
)

Key = tuple[int, int, str]


def read_key(given: dict[str, Any]) -> Key:
    """Type, recipient type and address of a query's body. Raises what is wrong with them."""
    channel, kind, errors = read_kinds(given)
    recipient = given.get("recipient")
    if recipient is None:
        errors.append(error_entry("H114", ["recipient"]))
    elif (code := find_recipient_fault(recipient, channel, "H166")) is not None:
        errors.append(error_entry(code, ["recipient"], recipient))
    if errors:
        raise fail_all(errors)
    return TYPES.index(str(channel)), RECIPIENT_TYPES.index(str(kind)), normalise(str(recipient))


def read_kinds(given: dict[str, Any]) -> tuple[str | None, str | None, Errors]:
    """``type`` and ``recipientType`` as words, None where they are wrong, and the errors."""
    errors: Errors = []
    channel = given.get("type")
    if channel not in TYPES:
        errors.append(error_entry("H117", ["type"], channel))
        channel = None
    kind = given.get("recipientType")
    if kind is None:
        errors.append(error_entry("H170", ["recipientType"]))
    elif kind not in RECIPIENT_TYPES:
        errors.append(error_entry("H116", ["recipientType"], kind))
        kind = None
    return channel, kind, errors


def single_status(call: Call) -> Answer:
    """One consent. For an unknown address nothing is documented: 200 with an empty object, or 404 by setting."""
    registry = call.registry
    call.limit(registry.limits.check_status(call.source, call.now_ms / 1000))
    channel, kind, recipient = read_key(call.json_object("H097"))
    call.need_channel(TYPES[channel])
    stored = registry.consents.find(call.brand, channel, kind, recipient)
    if stored is None:
        return Answer(404, {"errors": []}) if registry.settings.is_unknown_status_404 else Answer(200, {})
    made: dict[str, Any] = {
        "recipient": recipient,
        "recipientType": RECIPIENT_TYPES[kind],
        "type": TYPES[channel],
        "status": STATUSES[stored.status],
        "source": stored.source,
        "consentDate": "" if stored.consent_at is None else render_instant(stored.consent_at),
        "creationDate": render_instant(stored.created_ms / 1000),
        "transactionId": transaction_id(recipient, channel, stored.created_ms),
        "retailerAccessCount": len(stored.access),
    }
    if stored.retailer is not None:
        made["retailerCode"] = stored.retailer
        retailer = registry.retailers.find(call.brand, stored.retailer)
        if retailer is not None:
            made["retailerTitle"] = retailer.get("title", "")
    return Answer(200, made)


def multi_status(call: Call) -> Answer:
    """Those of up to a thousand addresses that have consented; refusals and unknown ones are alike absent."""
    kind, channel = call.parts["recipientType"], call.parts["type"]
    if kind not in RECIPIENT_TYPES:
        raise fail("H116", ["recipientType"], kind)
    if channel not in TYPES:
        raise fail("H117", ["type"], channel)
    call.need_channel(channel)
    given = call.json_object("H403")
    # The code for too many is not documented; the one of the other lists of addresses is the nearest.
    recipients = call.recipients(given, MAX_RECIPIENTS, "multi-status-size")
    errors: Errors = []
    asked: dict[str, int] = {}
    for number, each in enumerate(recipients):
        if find_recipient_fault(each, channel) is not None:
            errors.append(error_entry("H464", ["recipients", number], each))
            continue
        recipient = normalise(each)
        if recipient in asked:
            errors.append(error_entry("H193", ["recipients", number], each))
        asked[recipient] = number
    if errors:
        raise fail_all(errors)
    approved = call.registry.consents.select_approved(
        call.brand, TYPES.index(channel), RECIPIENT_TYPES.index(kind), list(asked)
    )
    found = [recipient for recipient in asked if recipient in approved]
    return Answer(200, {"requestId": call.registry.new_id(), "list": found})


def history(call: Call) -> Answer:
    """All movements of one consent, newest consent date first."""
    registry = call.registry
    call.limit(registry.limits.check_history(call.source, call.now_ms / 1000))
    offset, limit = call.page()
    channel, kind, recipient = read_key(call.json_object("H097"))
    call.need_channel(TYPES[channel])
    movements = registry.consents.history(call.brand, channel, kind, recipient)
    lines = [each.render() for each in movements[offset : offset + limit]]
    for line in lines:
        line.pop("citizenName", None)
    return Answer(
        200, {"list": lines, "pagination": {"totalCount": len(movements), "pageSize": limit, "offset": offset}}
    )


def changes(call: Call) -> Answer:
    """The feed. A cursor that is none gets H098 (not documented)."""
    side = call.query.get("source", "IYS")
    if side not in {"IYS", "HS"}:
        raise fail("H506", ["source"], side)
    text = call.query.get("limit", str(MAX_CHANGES))
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS) or not 1 <= int(text) <= MAX_CHANGES:
        if text.strip("0").isdecimal():  # a number, and not zero: more than are given
            call.registry.breach("changes-limit", text)
        raise fail("H507", ["limit"], text)
    after = call.query.get("after", "")
    try:
        cursor = parse_cursor(after) if after else None
    except ValueError as error:
        raise fail("H098", ["after"], after) from error
    right = call.right()
    types = [number for number, name in enumerate(TYPES) if right is None or name in right.channels]
    movements = call.registry.changes.read(
        call.brand, is_iys=side == "IYS", after=cursor, limit=int(text), now_ms=call.now_ms, types=types
    )
    if not movements:
        return NO_CONTENT
    return Answer(200, {"after": render_cursor(movements[-1]), "list": [each.render() for each in movements]})

"""Opt-out links for e-mails, made by the registry itself. Simple: no template, no credits."""

from __future__ import annotations

import secrets
from typing import Any

from loadtest.registry.api.call import Answer, Call
from loadtest.registry.book.consents import CitizenError
from loadtest.registry.registry import Registry
from loadtest.registry.rules.codes import CODES, fail, fail_all
from loadtest.registry.rules.codes import entry as error_entry
from loadtest.registry.rules.items import Errors
from loadtest.registry.rules.recipients import find_recipient_fault, normalise
from loadtest.registry.rules.words import MAX_LINKS, RECIPIENT_TYPES, TYPES

PATH = "/_link/"
_LIFE_MS = 90 * 86_400 * 1000
_EMAIL = TYPES.index("EPOSTA")


def make_links(call: Call) -> Answer:
    """One link for each address that has consented, an error entry for each other."""
    registry = call.registry
    subscription = registry.world.providers[call.iys_code].subscription
    right = call.right()
    if subscription is None or not subscription.has_via or (right is not None and not right.has_via_control):
        raise fail("H355")
    given = call.json_object("H095")
    recipients = call.recipients(given, MAX_LINKS, "links-size")
    errors: Errors = []
    for number, each in enumerate(recipients):
        if not isinstance(each, dict) or find_recipient_fault(each.get("recipient"), "EPOSTA") is not None:
            errors.append(error_entry("H120", ["recipients", number]))
        elif each.get("recipientType") not in RECIPIENT_TYPES:
            errors.append(error_entry("H116", ["recipients", number]))
    if errors:
        raise fail_all(errors)
    made = [_make(call, each) for each in recipients]
    registry.database.connection.commit()
    return Answer(200, made)


def _make(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    recipient, kind = normalise(given["recipient"]), RECIPIENT_TYPES.index(given["recipientType"])
    stored = call.registry.consents.find(call.brand, _EMAIL, kind, recipient)
    if stored is None or not stored.status:
        return {"recipient": recipient, "code": "H568", "message": CODES["H568"].message}
    mark = secrets.token_urlsafe(16)
    call.registry.database.connection.execute(
        "INSERT INTO links VALUES (?, ?, ?, ?, ?)", (mark, call.brand, recipient, kind, call.now_ms + _LIFE_MS)
    )
    return {"url": f"{call.registry.public_url}{PATH}{mark}", "recipient": recipient}


def follow(registry: Registry, mark: str, now_ms: int) -> bool:
    """What the click does: a consent becomes a refusal. False if the link is unknown, old or used."""
    row = registry.database.connection.execute(
        "SELECT brand, recipient, recipient_type FROM links WHERE mark = ? AND expires_ms > ?", (mark, now_ms)
    ).fetchone()
    if row is None:
        return False
    try:
        registry.consents.move(row[0], (_EMAIL, row[2], row[1]), 0, "IYS_EPOSTA", now_ms)
    except CitizenError:
        return False
    return True

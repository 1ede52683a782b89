"""One consent object as it comes in: what is refused at once, whoever sends it and however (reference, section 3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from loadtest.registry.rules.codes import entry
from loadtest.registry.rules.dates import FIRST_OF_MAY_2015, DateError, day_of, parse_instant
from loadtest.registry.rules.recipients import find_recipient_fault, normalise
from loadtest.registry.rules.words import (
    MAX_ACCESS_IN_CONSENT,
    PROVIDER_SOURCES,
    RECIPIENT_TYPES,
    STATUSES,
    TYPES,
)
from loadtest.registry.rules.workdays import Workdays

_FIELDS = frozenset(
    {
        "recipient",
        "type",
        "recipientType",
        "status",
        "source",
        "consentDate",
        "retailerCode",
        "retailerAccess",
    }
)
_RETAILER_CODE_FROM, _RETAILER_CODE_TO = 10_000_000, 99_999_999

Errors = list[dict[str, Any]]


class Item(NamedTuple):
    """A consent to write. ``type``, ``recipient_type`` and ``status`` are places in the lists of words.py."""

    recipient: str
    type: int
    recipient_type: int
    status: int
    source: str | None
    consent_at: int | None
    retailer: int | None
    access: tuple[int, ...]


class Surroundings(NamedTuple):
    """What the rules look at beside the item. ``is_history_open``: the provider is not yet activated (no H467)."""

    now: float
    workdays: Workdays
    allowed_days: int
    is_history_open: bool
    is_retailer: Callable[[int], bool]


def check_item(given: object, around: Surroundings) -> tuple[Item | None, Errors]:
    """The item, or all that is wrong with it. ``given`` must be an object; anything else has its own code before."""
    assert isinstance(given, dict)
    errors: Errors = [entry("H118", [name], given[name]) for name in sorted(given.keys() - _FIELDS)]
    status = _one_of(given, "status", STATUSES, "H110", "H115", errors)
    channel = _one_of(given, "type", TYPES, "H111", "H117", errors)
    recipient_type = "BIREYSEL"
    if "recipientType" in given:
        recipient_type = _one_of(given, "recipientType", RECIPIENT_TYPES, "H170", "H116", errors) or ""
    recipient = _recipient(given, channel, errors)
    source = _source(given, recipient_type, errors)
    consent_at = _consent_at(given, recipient_type, source, around, errors)
    if source == "HS_KARAR" and status == "ONAY":
        errors.append(entry("H408", ["status"], status))
    retailer, access = _retailers(given, around, errors)
    if errors:
        return None, errors
    assert status is not None
    assert channel is not None
    numbers = TYPES.index(channel), RECIPIENT_TYPES.index(recipient_type), STATUSES.index(status)
    return Item(normalise(recipient), *numbers, source, consent_at, retailer, access), errors


def _one_of(
    given: dict[str, Any], name: str, words: tuple[str, ...], missing: str, wrong: str, errors: Errors
) -> str | None:
    value = given.get(name)
    if value is None and name not in given:
        errors.append(entry(missing, [name]))
    elif value in words:
        return str(value)
    else:
        errors.append(entry(wrong, [name], value))
    return None


def _recipient(given: dict[str, Any], channel: str | None, errors: Errors) -> str:
    recipient = given.get("recipient")
    if recipient is None:
        errors.append(entry("H114", ["recipient"]))
        return ""
    code = find_recipient_fault(recipient, channel)
    if code is not None:
        errors.append(entry(code, ["recipient"], recipient))
        return ""
    return str(recipient)


def _source(given: dict[str, Any], recipient_type: str, errors: Errors) -> str | None:
    if "source" not in given:
        if recipient_type == "BIREYSEL":
            errors.append(entry("H113", ["source"]))
        return None
    source = given["source"]
    if not isinstance(source, str) or source not in PROVIDER_SOURCES:
        errors.append(entry("H119", ["source"], source))
        return None
    return source


def _consent_at(
    given: dict[str, Any], recipient_type: str, source: str | None, around: Surroundings, errors: Errors
) -> int | None:
    if "consentDate" not in given:
        if recipient_type == "BIREYSEL":
            errors.append(entry("H112", ["consentDate"]))
        return None
    text = given["consentDate"]
    try:
        at = parse_instant(text)
    except DateError as error:
        errors.append(entry(error.code, ["consentDate"], text))
        return None
    code = _find_date_fault(at, source, around)
    if code is not None:
        errors.append(entry(code, ["consentDate"], text))
    return at


def _find_date_fault(at: int, source: str | None, around: Surroundings) -> str | None:
    if at < FIRST_OF_MAY_2015:
        return "H156"
    if source == "HS_2015":
        # Its one possible date is older than three days for ever; whether activation ends it is not documented.
        return None if at == FIRST_OF_MAY_2015 else "H155"
    if at > around.now:
        return "H162"
    if around.is_history_open:
        return None
    too_old = around.workdays.is_too_old(day_of(at), day_of(around.now), around.allowed_days)
    return "H467" if too_old else None


def _retailers(given: dict[str, Any], around: Surroundings, errors: Errors) -> tuple[int | None, tuple[int, ...]]:
    code = given.get("retailerCode")
    if "retailerCode" in given:
        if code is None:
            errors.append(entry("H266", ["retailerCode"], code))
        elif code == "":
            errors.append(entry("H267", ["retailerCode"], code))
        elif not is_retailer_code(code) or not around.is_retailer(code):
            errors.append(entry("H180", ["retailerCode"], code))
    access = given.get("retailerAccess", ())
    if "retailerAccess" in given:
        errors += check_access(access, around.is_retailer, MAX_ACCESS_IN_CONSENT)
    return (code, tuple(access)) if not errors else (None, ())


def is_retailer_code(code: object) -> bool:
    """An integer of eight digits."""
    return isinstance(code, int) and not isinstance(code, bool) and _RETAILER_CODE_FROM <= code <= _RETAILER_CODE_TO


def check_access(access: object, is_retailer: Callable[[int], bool], at_most: int) -> Errors:
    """What is wrong with a list of dealers."""
    if not isinstance(access, list) or not access:
        return [entry("H163", ["retailerAccess"], access)]
    if len(access) > at_most:
        return [entry("H126", ["retailerAccess"])]
    errors: Errors = []
    seen: set[object] = set()
    for number, code in enumerate(access):
        if not is_retailer_code(code) or not is_retailer(code):
            errors.append(entry("H180", ["retailerAccess", number], code))
        elif code in seen:
            errors.append(entry("H193", ["retailerAccess", number], code))
        else:
            seen.add(code)
    return errors

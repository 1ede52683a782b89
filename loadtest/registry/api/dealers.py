"""Dealers, and their access to consents."""

from __future__ import annotations

import re
from typing import Any

from loadtest.registry.api.asking import Key, read_key, read_kinds
from loadtest.registry.api.call import Answer, Call
from loadtest.registry.book.database import transaction_id
from loadtest.registry.book.retailers import shorten
from loadtest.registry.rules.codes import entry as error_entry
from loadtest.registry.rules.codes import fail, fail_all
from loadtest.registry.rules.dates import render_instant
from loadtest.registry.rules.items import Errors, check_access
from loadtest.registry.rules.recipients import find_recipient_fault, is_phone, normalise
from loadtest.registry.rules.words import MAX_ACCESS, MAX_RETAILERS, RECIPIENT_TYPES, TYPES

_TEXT_FIELDS = ("title", "name", "tckn", "tin", "mersis", "alias", "mobile", "status")
_FIELDS = frozenset({*_TEXT_FIELDS, "city", "town"})
_MAX_TEXT = 255
_MAX_RECIPIENTS = 100
_STATES = frozenset({"active", "passive", "suspended"})


def add_retailer(call: Call) -> Answer:
    """A new dealer gets a code of eight digits."""
    retailers = call.registry.retailers
    given = call.json_object("H016")
    errors = _check_retailer(given)
    if errors:
        raise fail_all(errors)
    known = retailers.all(call.brand)
    for name, code in (("tckn", "H230"), ("mersis", "H231")):
        twin = next((each for each in known if name in given and each.get(name) == given[name]), None)
        if twin is not None:
            raise fail("H253" if twin["status"] == "passive" else code, [name], given[name])
    if len(known) >= MAX_RETAILERS:
        raise fail("H067")
    return Answer(201, {"retailerCode": retailers.add(call.brand, given)})


def _check_retailer(given: dict[str, Any]) -> Errors:
    errors: Errors = []
    if given.keys() - _FIELDS or not all(isinstance(given.get(each, ""), str) for each in _TEXT_FIELDS):
        return [error_entry("H016")]
    for name in _TEXT_FIELDS:
        if len(given.get(name, "")) > _MAX_TEXT:
            errors.append(error_entry("H017", [name]))
    for name, code in (("title", "H214"), ("name", "H215"), ("tckn", "H216"), ("tin", "H288")):
        if not given.get(name, "").strip():
            errors.append(error_entry(code, [name]))
    errors += _check_place(given, "city", ("H217", "H218", "H219"))
    errors += _check_place(given, "town", ("H220", "H221", "H222"))
    if errors:
        return errors
    tckn, tin = given["tckn"], given["tin"]
    if not re.fullmatch("[0-9]{11}", tckn):
        errors.append(error_entry("H225", ["tckn"], tckn))
    elif tckn[0] == "0":
        errors.append(error_entry("H226", ["tckn"], tckn))
    if len(tin) not in {10, 11}:
        errors.append(error_entry("H244", ["tin"], tin))
    elif not re.fullmatch("[0-9]+", tin):
        errors.append(error_entry("H243", ["tin"], tin))
    if "mersis" in given:
        mersis = given["mersis"]
        if len(mersis) != 16:
            errors.append(error_entry("H227", ["mersis"], mersis))
        elif not re.fullmatch("[0-9]{16}", mersis):
            errors.append(error_entry("H228", ["mersis"], mersis))
    if "alias" in given and not given["alias"].replace(" ", "").isalnum():
        errors.append(error_entry("H229", ["alias"], given["alias"]))
    if "mobile" in given and not is_phone("+" + given["mobile"].removeprefix("+")):
        errors.append(error_entry("H224", ["mobile"], given["mobile"]))
    if given.get("status", "active") not in _STATES:
        errors.append(error_entry("H201", ["status"], given["status"]))
    return errors


def _check_place(given: dict[str, Any], name: str, codes: tuple[str, str, str]) -> Errors:
    place = given.get(name)
    if not place:
        return [error_entry(codes[0], [name])]
    if not isinstance(place, dict):
        return [error_entry("H016", [name])]
    errors = [] if place.get("code") else [error_entry(codes[1], [name, "code"])]
    return errors if place.get("name") else [*errors, error_entry(codes[2], [name, "name"])]


def list_retailers(call: Call) -> Answer:
    """Page by page, or ``all`` at once; ``short`` for fewer fields."""
    offset, limit = call.page()
    is_all, is_short = call.flag("all", "H184"), call.flag("short", "H185")
    everything = call.registry.retailers.all(call.brand)
    shown = everything if is_all else everything[offset : offset + limit]
    return _page(shown, everything, offset, limit, is_short=is_short)


def _page(
    shown: list[dict[str, Any]], everything: list[dict[str, Any]], offset: int, limit: int, *, is_short: bool
) -> Answer:
    pagination = {
        "offset": offset,
        "pageSize": limit,
        "totalCount": len(everything),
        "currentPage": offset // limit + 1,
    }
    return Answer(200, {"pagination": pagination, "list": [shorten(each) for each in shown] if is_short else shown})


def show_retailer(call: Call) -> Answer:
    return Answer(200, _find(call)[1])


def remove_retailer(call: Call) -> Answer:
    """Only a dealer that no consent names."""
    code, retailer = _find(call)
    if retailer["retailerAccessCount"]:
        raise fail("H061")
    call.registry.retailers.remove(call.brand, code)
    return Answer(200, "Başarılı".encode(), "text/plain; charset=utf-8")


def _find(call: Call) -> tuple[int, dict[str, Any]]:
    text = call.parts["retailerCode"]
    if not text.isdecimal() or len(text) > 8:
        raise fail("H016", ["retailerCode"], text)
    code = int(text)
    retailer = call.registry.retailers.find(call.brand, code)
    if retailer is None:
        owner = call.registry.retailers.owner(code)
        raise fail("H058" if owner is None else "H353", ["retailerCode"], code)
    return code, retailer


# Access to consents


def add_access(call: Call) -> Answer:
    """More dealers for one consent."""
    given = call.json_object("H090")
    access = _read_access(call, given)
    key = read_key(given)
    call.need_channel(TYPES[key[0]])
    stored = call.registry.consents.find(call.brand, *key)
    if stored is None:
        raise fail("H401")
    call.registry.consents.set_access(call.brand, key, stored.retailer, dict.fromkeys((*stored.access, *access)))
    call.registry.database.connection.commit()
    made = transaction_id(key[2], key[0], stored.created_ms)
    receipt = f"{made[:8]}-{made[8:12]}-{made[12:16]}-{made[16:20]}-{made[20:32]}"
    return Answer(200, {"transactionId": receipt, "creationDate": render_instant(call.now_ms / 1000)})


def set_access(call: Call) -> Answer:
    """Exactly these dealers; the one that took the consent is dropped too."""
    given = call.json_object("H171")
    access = _read_access(call, given)
    for key in _read_keys(call, given):
        call.registry.consents.set_access(call.brand, key, None, access)
    call.registry.database.connection.commit()
    return Answer(202)


def list_access(call: Call) -> Answer:
    """The dealers with access to one consent."""
    offset, limit = call.page()
    key = read_key(call.json_object("H173"))
    call.need_channel(TYPES[key[0]])
    stored = call.registry.consents.find(call.brand, *key)
    codes = () if stored is None else stored.access
    found = [each for code in codes if (each := call.registry.retailers.find(call.brand, code)) is not None]
    return _page(found[offset : offset + limit], found, offset, limit, is_short=False)


def remove_access(call: Call) -> Answer:
    """These dealers less."""
    given = call.json_object("H172")
    access = _read_access(call, given)
    for key in _read_keys(call, given):
        stored = call.registry.consents.find(call.brand, *key)
        if stored is not None:
            left = [code for code in stored.access if code not in access]
            call.registry.consents.set_access(call.brand, key, stored.retailer, left)
    call.registry.database.connection.commit()
    return Answer(202)


def remove_all_access(call: Call) -> Answer:
    """No dealer at all."""
    for key in _read_keys(call, call.json_object("H172")):
        stored = call.registry.consents.find(call.brand, *key)
        if stored is not None:
            call.registry.consents.set_access(call.brand, key, stored.retailer, ())
    call.registry.database.connection.commit()
    return Answer(202)


def _read_access(call: Call, given: dict[str, Any]) -> list[int]:
    if "retailerAccess" not in given:
        raise fail("H169", ["retailerAccess"])
    access = given["retailerAccess"]
    errors = check_access(access, lambda code: call.registry.retailers.is_known(call.brand, code), MAX_ACCESS)
    if errors:
        raise fail_all(errors)
    return list(access)


def _read_keys(call: Call, given: dict[str, Any]) -> list[Key]:
    channel, kind, errors = read_kinds(given)
    if errors:
        raise fail_all(errors)
    assert channel is not None
    assert kind is not None
    call.need_channel(channel)
    recipients = call.recipients(given, _MAX_RECIPIENTS)
    keys: list[Key] = []
    for number, each in enumerate(recipients):
        code = find_recipient_fault(each, channel, "H166")
        if code is not None:
            errors.append(error_entry(code, ["recipients", number], each))
            continue
        key = (TYPES.index(channel), RECIPIENT_TYPES.index(kind), normalise(each))
        if key in keys:
            errors.append(error_entry("H193", ["recipients", number], each))
        keys.append(key)
    if errors:
        raise fail_all(errors)
    return keys

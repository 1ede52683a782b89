"""Brands, partners' brands, subscriptions, cities and towns (İYS API reference, 5 and 8.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from filters.registry.call import Call, query_of
from filters.registry.reading import (
    as_list,
    as_object,
    find_count,
    find_flag,
    find_integer,
    find_part,
    find_text,
    find_time,
    need_integer,
    need_text,
    parse_json,
    parse_object,
    read_page,
)
from filters.registry.values import BrandInfo, Page, PartnerBrand, Place, Subscription
from filters.registry.words import CHANNEL_WORDS


def brands(iys_code: int) -> Call[tuple[BrandInfo, ...]]:
    """All brands of a provider."""
    return Call("brands", "GET", f"/sps/{_code(iys_code)}/brands", _read_brands)


def partner_brands(partner_code: int, offset: int | None = None, limit: int | None = None) -> Call[Page[PartnerBrand]]:
    """All brands a partner may act for, a page of them."""
    path = f"/integrator/{_code(partner_code)}/sps"
    return Call("partner_brands", "GET", path, _read_partner_brands, query_of(offset=offset, limit=limit))


def partner_brands_of(partner_code: int, iys_code: int) -> Call[Page[PartnerBrand]]:
    """The brands of one provider that a partner may act for."""
    path = f"/integrator/{_code(partner_code)}/sps/{_code(iys_code)}"
    return Call("partner_brands_of", "GET", path, _read_partner_brands)


def subscription(iys_code: int) -> Call[Subscription]:
    """The provider's contract."""
    return Call("subscription", "GET", f"/sps/{_code(iys_code)}/subscription", _read_subscription)


def partner_subscription(partner_code: int) -> Call[Subscription]:
    """The partner's contract."""
    path = f"/integrator/{_code(partner_code)}/subscription"
    return Call("partner_subscription", "GET", path, _read_subscription)


def cities() -> Call[tuple[Place, ...]]:
    return Call("cities", "GET", "/info/city", _read_places)


def city(code: int) -> Call[Place | None]:
    """None for an unknown code."""
    return Call("city", "GET", f"/info/city/{_code(code)}", _read_place)


def towns() -> Call[tuple[Place, ...]]:
    return Call("towns", "GET", "/info/town", _read_places)


def town(code: int) -> Call[Place | None]:
    """None for an unknown code."""
    return Call("town", "GET", f"/info/town/{_code(code)}", _read_place)


def _code(number: int) -> int:
    if number <= 0:
        raise ValueError("registry code: expected a positive number")
    return number


def _read_brands(status: int, body: bytes) -> tuple[BrandInfo, ...]:
    if status == 204:
        return ()
    return tuple(_brand(as_object(item, "brand")) for item in as_list(parse_json(body), "body"))


def _brand(fields: Mapping[str, Any]) -> BrandInfo:
    stats = find_part(fields, "stats")
    consents = find_part(stats, "consents")
    return BrandInfo(
        need_integer(fields, "brandCode"),
        find_text(fields, "name"),
        bool(find_flag(fields, "master")),
        find_count(consents, "approval"),
        find_count(consents, "rejection"),
        find_count(find_part(stats, "retailers"), "total"),
    )


def _read_partner_brands(status: int, body: bytes) -> Page[PartnerBrand]:
    return read_page(body, _partner_brand)


def _partner_brand(fields: Mapping[str, Any]) -> PartnerBrand:
    rights = {channel: find_text(fields, word) for channel, word in CHANNEL_WORDS.items()}
    return PartnerBrand(
        need_integer(fields, "iysCode"),
        need_integer(fields, "brandCode"),
        find_text(fields, "name"),
        find_text(fields, "title"),
        bool(find_flag(fields, "master")),
        bool(find_flag(fields, "agreementControl")),
        bool(find_flag(fields, "viaControl")),
        {channel: right for channel, right in rights.items() if right},
    )


def _read_subscription(status: int, body: bytes) -> Subscription:
    fields = parse_object(body)
    # The document spells the id in three ways; in one of them it is just "id".
    identifier = find_text(fields, "subscriptionId") or find_text(fields, "subscription_id") or find_text(fields, "id")
    return Subscription(
        identifier,
        need_text(fields, "status").upper(),
        find_time(fields, "startDate"),
        find_time(fields, "expirationDate"),
        find_text(fields, "subscriptionPackageName"),
        find_integer(fields, "consentLimit"),
        find_integer(fields, "usedConsentLimit"),
        find_flag(fields, "consentLimitExceed"),
        find_integer(fields, "iysCode"),
    )


def _read_places(status: int, body: bytes) -> tuple[Place, ...]:
    if not body.strip():
        return ()
    return tuple(_place(as_object(item, "place")) for item in as_list(_unwrapped(parse_json(body)), "body"))


def _read_place(status: int, body: bytes) -> Place | None:
    if not body.strip():
        return None
    value = _unwrapped(parse_json(body))
    if isinstance(value, list):
        value = value[0] if value else None
    return _place(as_object(value, "place")) if value else None


def _unwrapped(value: object) -> object:
    return value["list"] if isinstance(value, dict) and isinstance(value.get("list"), list) else value


def _place(fields: Mapping[str, Any]) -> Place:
    city_code = find_integer(fields, "city_code")
    return Place(
        need_integer(fields, "code"),
        find_text(fields, "name"),
        find_integer(fields, "cityCode") if city_code is None else city_code,
    )

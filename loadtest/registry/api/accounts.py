"""Brands, subscription, and what a partner may see of its providers."""

from __future__ import annotations

from typing import Any

from loadtest.registry.api.call import MAX_DIGITS, Answer, Call
from loadtest.registry.book.world import Brand, Provider, Right
from loadtest.registry.rules.codes import fail
from loadtest.registry.rules.dates import render_instant

_YEAR_S = 365 * 86_400


def brands(call: Call) -> Answer:
    """The provider's brands (for a partner: those it has rights to), with counts."""
    made = []
    for brand in _visible(call):
        approval, rejection = call.registry.consents.counts(brand.code)
        made.append(
            {
                "brandCode": brand.code,
                "name": brand.name,
                "master": brand.code == brand.iys_code,
                "stats": {
                    "consents": {"approval": approval, "rejection": rejection, "total": approval + rejection},
                    "retailers": {"total": call.registry.retailers.count(brand.code)},
                },
            }
        )
    return Answer(200, made)


def _visible(call: Call) -> list[Brand]:
    return [
        brand
        for brand in call.registry.world.brands.values()
        if brand.iys_code == call.iys_code and brand.code in call.session.brands
    ]


def subscription(call: Call) -> Answer:
    """The one call that works whatever the subscription's state."""
    provider = call.registry.world.providers[call.iys_code]
    if provider.subscription is None:
        raise fail("H524")
    return Answer(200, _render_subscription(call, provider, is_partner=call.session.user.role == "partner"))


def partner_subscription(call: Call) -> Answer:
    """The partner's own."""
    user = call.session.user
    if user.role != "partner":
        raise fail("H522")
    provider = call.registry.world.providers.get(user.integrator_code)
    if provider is None or provider.subscription is None:
        raise fail("H437")
    made = _render_subscription(call, provider, is_partner=True)
    return Answer(200, {**made, "iysCode": user.integrator_code})


def _render_subscription(call: Call, provider: Provider, *, is_partner: bool) -> dict[str, Any]:
    package = provider.subscription
    assert package is not None
    year_start = call.now_ms / 1000 // _YEAR_S * _YEAR_S
    made: dict[str, Any] = {
        "subscriptionId": f"{provider.iys_code:032x}",
        "startDate": render_instant(year_start),
        "expirationDate": render_instant(year_start + _YEAR_S),
        "subscriptionPackageName": package.name,
        "status": package.status,
    }
    if not is_partner:
        made |= {
            "consentLimit": package.consent_limit,
            "usedConsentLimit": call.registry.used_quota(provider.iys_code),
            "consentLimitExceed": package.is_exceeding_allowed,
        }
    return made


def partner_brands(call: Call) -> Answer:
    """All brands that the partner has rights to, page by page."""
    offset, limit = call.page()
    made = _partner_list(call)
    return Answer(
        200,
        {
            "pagination": {"offset": offset, "pageSize": limit, "totalCount": len(made)},
            "list": made[offset : offset + limit],
        },
    )


def partner_brands_of(call: Call) -> Answer:
    """The same for one provider."""
    offset, limit = call.page()
    text = call.parts["spsCode"]
    if not text.isdecimal() or len(text) > MAX_DIGITS:
        raise fail("H190", ["iysCode"], text)
    code = int(text)
    made = [each for each in _partner_list(call) if each["iysCode"] == code]
    if not made:
        raise fail("H031", ["iysCode"], code)
    return Answer(
        200,
        {
            "pagination": {"offset": offset, "pageSize": limit, "totalCount": len(made)},
            "list": made[offset : offset + limit],
        },
    )


def _partner_list(call: Call) -> list[dict[str, Any]]:
    if call.session.user.role != "partner":
        raise fail("H363")
    return [
        _render_right(call, right) for right in call.session.user.rights if right.brand in call.registry.world.brands
    ]


def _render_right(call: Call, right: Right) -> dict[str, Any]:
    brand = call.registry.world.brands[right.brand]
    return {
        "brandCode": brand.code,
        "iysCode": brand.iys_code,
        "name": brand.name,
        "title": call.registry.world.providers[brand.iys_code].name,
        "master": brand.code == brand.iys_code,
        "agreementControl": right.has_agreement_control,
        "viaControl": right.has_via_control,
        **dict.fromkeys(right.channels, "write"),
    }

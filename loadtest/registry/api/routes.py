"""Which path is which call, and what is checked before it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from loadtest.registry.api import accounts, adding, asking, dealers, links, places, reporting
from loadtest.registry.api.call import Answer, Call
from loadtest.registry.push import Push

_PROVIDER = "/sps/{iysCode}"
_BRAND = "/sps/{iysCode}/brands/{brandCode}"
_DAY = _BRAND + "/agreements/{reportDate}"


class Route(NamedTuple):
    """``is_look_up``: unknown codes are 404 (H001, H018) rather than 403. ``is_any_state``: needs no subscription."""

    name: str
    method: str
    path: str
    handler: Callable[[Call], Answer | Awaitable[Answer]]
    is_v2: bool = False
    is_look_up: bool = False
    is_any_state: bool = False


def routes(push: Push) -> list[Route]:
    """The table. Disputed paths stand in both spellings."""
    added = [
        Route(name + suffix, method, prefix + _BRAND + path, handler, is_v2=bool(prefix))
        for prefix, suffix in (("", ""), ("/v2", "-v2"))
        for name, method, path, handler in (
            ("add", "POST", "/consents", adding.add_consent),
            ("bulk", "POST", "/consents/request", adding.add_many),
            ("poll", "GET", "/consents/request/{requestId}", adding.poll),
        )
    ]
    return [
        *added,
        Route("brands", "GET", _PROVIDER + "/brands", accounts.brands, is_look_up=True),
        Route("subscription", "GET", _PROVIDER + "/subscription", accounts.subscription, is_any_state=True),
        Route("partner-brands", "GET", "/integrator/{integratorCode}/sps", accounts.partner_brands),
        Route("partner-brands", "GET", "/integrator/{integratorCode}/sps/{spsCode}", accounts.partner_brands_of),
        Route(
            "partner-subscription", "GET", "/integrator/{integratorCode}/subscription", accounts.partner_subscription
        ),
        Route("status", "POST", _BRAND + "/consents/status", asking.single_status),
        Route("multi-status", "POST", _BRAND + "/consents/{recipientType}/status/{type}", asking.multi_status),
        Route("history", "POST", _BRAND + "/consents/history", asking.history),
        Route("changes", "GET", _BRAND + "/consents/changes", asking.changes),
        Route("push-register", "POST", _BRAND + "/push/registration", push.register),
        Route("push-list", "GET", _BRAND + "/push/registration", push.show),
        Route("push-unregister", "POST", _BRAND + "/push/unregistration", push.unregister),
        Route("links", "POST", _BRAND + "/via-hash-links", links.make_links),
        Route("summary", "GET", _BRAND + "/changes/{reportDate}/recipients/{recipientType}", reporting.summary),
        Route("file", "GET", _BRAND + "/changes/{reportDate}/file", reporting.download),
        Route("agreement", "GET", _DAY, reporting.show),
        Route("agree", "PUT", _DAY, reporting.save),
        Route("timestamp", "GET", _DAY + "/timestamp", reporting.timestamp),
        Route("retailer-add", "POST", _BRAND + "/retailers", dealers.add_retailer, is_look_up=True),
        Route("retailer-list", "GET", _BRAND + "/retailers", dealers.list_retailers, is_look_up=True),
        Route("retailer", "GET", _BRAND + "/retailers/{retailerCode}", dealers.show_retailer, is_look_up=True),
        Route(
            "retailer-remove", "DELETE", _BRAND + "/retailers/{retailerCode}", dealers.remove_retailer, is_look_up=True
        ),
        Route("access-add", "POST", _BRAND + "/consents/retailers/access", dealers.add_access),
        Route("access-set", "PUT", _BRAND + "/consents/retailers/access", dealers.set_access),
        *(
            Route("access-list", "POST", _BRAND + path + "/access/list", dealers.list_access)
            for path in ("/consent/retailers", "/consents/retailers")
        ),
        *(
            Route(name, "POST", _BRAND + path + "/access/remove" + rest, handler)
            for path in ("/consents/retailers", "/consents/retailer")
            for name, rest, handler in (
                ("access-remove", "", dealers.remove_access),
                ("access-remove-all", "/all", dealers.remove_all_access),
            )
        ),
        *(Route("cities", "GET", path, places.cities) for path in ("/info/city", "/info/cities")),
        Route("city", "GET", "/info/city/{code}", places.city),
        *(Route("towns", "GET", path, places.towns) for path in ("/info/town", "/info/towns")),
        Route("town", "GET", "/info/town/{code}", places.town),
    ]

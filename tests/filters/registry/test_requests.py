"""Each call as it goes over the wire: method, target, body (İYS API reference, 4 to 8)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from filters.registry.call import Call, Priority, Quota
from filters.registry.calls import account, consents, push, reconciliation, retailers, statuses, token
from filters.registry.values import (
    ChangesSource,
    ConsentSubject,
    ConsentToAdd,
    Place,
    PushConnection,
    RegistryBrand,
    RetailerToAdd,
)
from filters.vocabulary import Channel, RecipientType, Status

BRAND = RegistryBrand(600123, 600124)
BASE = "/sps/600123/brands/600124"
MAIL = ConsentSubject("ayse@shop.example", Channel.EMAIL, RecipientType.INDIVIDUAL)
PHONE = ConsentSubject("+905550000001", Channel.SMS, RecipientType.BUSINESS)
MAIL_FIELDS = {"recipient": "ayse@shop.example", "recipientType": "BIREYSEL", "type": "EPOSTA"}
REFUSAL = ConsentToAdd(*MAIL, Status.REJECTED, 1782896400, "HS_WEB")
REFUSAL_FIELDS = {**MAIL_FIELDS, "status": "RET", "source": "HS_WEB", "consentDate": "2026-07-01 12:00:00"}
CONNECTION = PushConnection("https://izin.example/push", Channel.SMS, "iys", "secret")
CONNECTION_FIELDS = {"url": "https://izin.example/push", "type": "MESAJ", "username": "iys", "password": "secret"}
RETAILER = RetailerToAdd("Bayi A.Ş.", "Bayi", "10000000146", "1234567890", Place(34, "İstanbul"), Place(1, "Adalar"))
RETAILER_FIELDS = {
    "title": "Bayi A.Ş.",
    "name": "Bayi",
    "tckn": "10000000146",
    "tin": "1234567890",
    "city": {"name": "İstanbul", "code": 34},
    "town": {"name": "Adalar", "code": 1},
}
MANY = (Channel.EMAIL, RecipientType.INDIVIDUAL, ["ayse@shop.example"])
MANY_FIELDS = {"recipients": ["ayse@shop.example"], "recipientType": "BIREYSEL", "type": "EPOSTA"}

CALLS: list[tuple[Call[Any], str, str, Any]] = [
    (
        token.login("user", "word"),
        "POST",
        "/oauth2/token",
        {"grant_type": "password", "username": "user", "password": "word"},
    ),
    (token.refresh("r1"), "POST", "/oauth2/token", {"grant_type": "refresh_token", "refresh_token": "r1"}),
    (account.brands(600123), "GET", "/sps/600123/brands", None),
    (account.partner_brands(7), "GET", "/integrator/7/sps", None),
    (account.partner_brands(7, 100, 50), "GET", "/integrator/7/sps?offset=100&limit=50", None),
    (account.partner_brands_of(7, 600123), "GET", "/integrator/7/sps/600123", None),
    (account.subscription(600123), "GET", "/sps/600123/subscription", None),
    (account.partner_subscription(7), "GET", "/integrator/7/subscription", None),
    (account.cities(), "GET", "/info/city", None),
    (account.city(34), "GET", "/info/city/34", None),
    (account.towns(), "GET", "/info/town", None),
    (account.town(1), "GET", "/info/town/1", None),
    (consents.add_v1(BRAND, REFUSAL), "POST", f"{BASE}/consents", REFUSAL_FIELDS),
    (consents.add(BRAND, REFUSAL), "POST", f"/v2{BASE}/consents", REFUSAL_FIELDS),
    (consents.bulk_add_v1(BRAND, [REFUSAL]), "POST", f"{BASE}/consents/request", [REFUSAL_FIELDS]),
    (consents.bulk_add(BRAND, [REFUSAL]), "POST", f"/v2{BASE}/consents/request", [REFUSAL_FIELDS]),
    (consents.bulk_result_v1(BRAND, "a1"), "GET", f"{BASE}/consents/request/a1", None),
    (consents.bulk_result(BRAND, "a1-b2"), "GET", f"/v2{BASE}/consents/request/a1-b2", None),
    (statuses.status(BRAND, MAIL), "POST", f"{BASE}/consents/status", MAIL_FIELDS),
    (
        statuses.multi_status(BRAND, Channel.SMS, RecipientType.BUSINESS, ["+905550000001"]),
        "POST",
        f"{BASE}/consents/TACIR/status/MESAJ",
        {"recipients": ["+905550000001"]},
    ),
    (statuses.history(BRAND, MAIL), "POST", f"{BASE}/consents/history?limit=100&offset=0", MAIL_FIELDS),
    (
        statuses.changes(BRAND, ChangesSource.REGISTRY),
        "GET",
        f"{BASE}/consents/changes?source=IYS&limit=1000",
        None,
    ),
    (
        statuses.changes(BRAND, ChangesSource.PROVIDER, "17_a&b=c/d e", 500),
        "GET",
        f"{BASE}/consents/changes?source=HS&limit=500&after=17_a%26b%3Dc%2Fd%20e",
        None,
    ),
    (push.register_push(BRAND, [CONNECTION]), "POST", f"{BASE}/push/registration", {"connection": [CONNECTION_FIELDS]}),
    (push.push_registrations(BRAND), "GET", f"{BASE}/push/registration", None),
    (push.unregister_push(BRAND, CONNECTION), "POST", f"{BASE}/push/unregistration", CONNECTION_FIELDS),
    (
        push.opt_out_links(BRAND, ["ayse@shop.example"], RecipientType.INDIVIDUAL),
        "POST",
        f"{BASE}/via-hash-links",
        {"recipients": [{"recipient": "ayse@shop.example", "recipientType": "BIREYSEL"}]},
    ),
    (
        reconciliation.summary(BRAND, "2026-07-01", RecipientType.INDIVIDUAL),
        "GET",
        f"{BASE}/changes/2026-07-01/recipients/BIREYSEL",
        None,
    ),
    (reconciliation.agreement(BRAND, "2026-07-01"), "GET", f"{BASE}/agreements/2026-07-01", None),
    (reconciliation.agree(BRAND, "2026-07-01"), "PUT", f"{BASE}/agreements/2026-07-01", {"agreementStatus": True}),
    (reconciliation.daily_file(BRAND, "2026-07-01"), "GET", f"{BASE}/changes/2026-07-01/file", None),
    (reconciliation.time_stamp(BRAND, "2026-07-01"), "GET", f"{BASE}/agreements/2026-07-01/timestamp", None),
    (retailers.add_retailer(BRAND, RETAILER), "POST", f"{BASE}/retailers", RETAILER_FIELDS),
    (retailers.retailers(BRAND), "GET", f"{BASE}/retailers?offset=0&limit=100", None),
    (
        retailers.retailers(BRAND, 5, 10, is_all=True, is_short=False),
        "GET",
        f"{BASE}/retailers?offset=5&limit=10&all=true&short=false",
        None,
    ),
    (retailers.retailer(BRAND, 10000001), "GET", f"{BASE}/retailers/10000001", None),
    (retailers.delete_retailer(BRAND, 10000001), "DELETE", f"{BASE}/retailers/10000001", None),
    (
        retailers.add_access(BRAND, MAIL, [10000001]),
        "POST",
        f"{BASE}/consents/retailers/access",
        {**MAIL_FIELDS, "retailerAccess": [10000001]},
    ),
    (
        retailers.set_access(BRAND, *MANY, [10000001]),
        "PUT",
        f"{BASE}/consents/retailers/access",
        {**MANY_FIELDS, "retailerAccess": [10000001]},
    ),
    (
        retailers.access(BRAND, MAIL),
        "POST",
        f"{BASE}/consent/retailers/access/list?offset=0&limit=100",
        MAIL_FIELDS,
    ),
    (
        retailers.remove_access(BRAND, *MANY, [10000001]),
        "POST",
        f"{BASE}/consents/retailers/access/remove",
        {**MANY_FIELDS, "retailerAccess": [10000001]},
    ),
    (
        retailers.remove_all_access(BRAND, *MANY),
        "POST",
        f"{BASE}/consents/retailers/access/remove/all",
        MANY_FIELDS,
    ),
]


@pytest.mark.parametrize(("call", "method", "target", "body"), CALLS, ids=[call[0].name for call in CALLS])
def test_a_call_is_written_as_documented(call: Call[Any], method: str, target: str, body: Any) -> None:
    """Method, path with query, and body are exactly those of the reference; nothing more is sent."""
    assert (call.method, call.target) == (method, target)
    assert (None if call.body is None else json.loads(call.body)) == body


def test_only_some_calls_count_under_an_hourly_quota() -> None:
    """Logins, single status and history; everything else only for the second."""
    quotas = {call.name: call.quota for call, *_ in CALLS if call.quota is not Quota.NONE}
    assert quotas == {
        "login": Quota.TOKEN,
        "refresh": Quota.TOKEN,
        "status": Quota.STATUS,
        "history": Quota.HISTORY,
    }


def test_only_what_the_registry_does_not_recognise_again_must_not_be_repeated_blindly() -> None:
    """The first versions of the adds, and a new dealer; the second versions recognise a repeat."""
    assert {call.name for call, *_ in CALLS if not call.is_repeatable} == {"add_v1", "bulk_add_v1", "add_retailer"}


def test_a_refusal_goes_before_a_consent() -> None:
    """Refusals have a legal deadline; a list with one of them counts as such."""
    approval = REFUSAL._replace(status=Status.APPROVED, recipient="other@shop.example")
    assert consents.add(BRAND, REFUSAL).priority is Priority.REFUSAL
    assert consents.add(BRAND, approval).priority is Priority.ROUTINE
    assert consents.bulk_add(BRAND, [approval, REFUSAL]).priority is Priority.REFUSAL


def test_optional_fields_are_left_out_and_given_ones_sent() -> None:
    """A business consent may come without date and source; null and empty text would be errors there."""
    bare = ConsentToAdd(*PHONE, Status.APPROVED, None, None)
    assert json.loads(consents.add(BRAND, bare).body or b"") == {
        "recipient": "+905550000001",
        "type": "MESAJ",
        "recipientType": "TACIR",
        "status": "ONAY",
    }
    full = REFUSAL._replace(retailer_code=10000001, retailer_access=(10000002, 10000003))
    assert json.loads(consents.add(BRAND, full).body or b"") == {
        **REFUSAL_FIELDS,
        "retailerCode": 10000001,
        "retailerAccess": [10000002, 10000003],
    }


def test_a_calls_text_shows_neither_address_nor_password() -> None:
    """A call that ends in a log line by mistake names itself and no more than its path."""
    shown = " ".join(repr(call) for call, *_ in CALLS) + repr(CONNECTION) + repr(RETAILER)
    for secret in ("ayse", "905550000001", "word", "secret", "10000000146"):
        assert secret not in shown.replace("password", ""), secret


@pytest.mark.parametrize("request_id", ["", "abc", "123", "a/../b1", "a" * 36 + "1", "a1\n", "ç1"])
def test_a_poll_id_the_registry_would_refuse_is_not_asked_for(request_id: str) -> None:
    """At most 36 characters, not letters only, not digits only; never another path."""
    with pytest.raises(ValueError):
        consents.bulk_result(BRAND, request_id)


def test_pages_cursors_days_and_codes_out_of_range_are_not_asked_for() -> None:
    """Each would be a refusal that counts against us."""
    for wrong in (
        lambda: statuses.changes(BRAND, ChangesSource.REGISTRY, None, 1001),
        lambda: statuses.changes(BRAND, ChangesSource.REGISTRY, None, 0),
        lambda: statuses.changes(BRAND, ChangesSource.REGISTRY, ""),
        lambda: statuses.history(BRAND, MAIL, 0, 101),
        lambda: statuses.history(BRAND, MAIL, -1),
        lambda: retailers.retailers(BRAND, 0, 101),
        lambda: retailers.retailers(BRAND, -1),
        lambda: retailers.retailer(BRAND, 1),
        lambda: reconciliation.agree(BRAND, "yesterday"),
        lambda: account.brands(0),
        lambda: statuses.status(RegistryBrand(0, 1), MAIL),
    ):
        with pytest.raises(ValueError):
            wrong()

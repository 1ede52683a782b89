"""Answers as the registry gives them, made up after the reference's shapes, and what they mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from filters.consent import Consent
from filters.registry.call import Call, interpret
from filters.registry.calls import account, consents, push, reconciliation, retailers, statuses, token
from filters.registry.error_codes import Advice
from filters.registry.failures import Limited, Refused, ServerFault, Unreadable
from filters.registry.values import (
    Added,
    Agreement,
    BrandInfo,
    BulkAccepted,
    BulkItem,
    BulkResult,
    BulkState,
    ChangesPage,
    ChangesSource,
    ChangeStat,
    ConsentSubject,
    ConsentToAdd,
    ErrorEntry,
    Movement,
    MultiStatus,
    OptOutLink,
    Page,
    PartnerBrand,
    Place,
    PushRegistration,
    RegistryBrand,
    Retailer,
    StoredConsent,
    SubRequest,
    Subscription,
    UnreadMovement,
    find_consent,
)
from filters.vocabulary import Channel, RecipientType, Status

BRAND = RegistryBrand(600123, 600124)
MAIL = ConsentSubject("ayse@shop.example", Channel.EMAIL, RecipientType.INDIVIDUAL)
REFUSAL = ConsentToAdd(*MAIL, Status.REJECTED, 1782896400, "HS_WEB")
NOON, NOON_AT = "2026-07-01 12:00:00", 1782896400
HEX = "ab" * 32
ADD = consents.add(BRAND, REFUSAL)
BULK = consents.bulk_add(BRAND, [REFUSAL])
RESULT = consents.bulk_result(BRAND, "a1")
STATUS = statuses.status(BRAND, MAIL)
MULTI = statuses.multi_status(BRAND, Channel.EMAIL, RecipientType.INDIVIDUAL, ["ayse@shop.example", "ali@shop.example"])
CHANGES = statuses.changes(BRAND, ChangesSource.REGISTRY)
ITEM: dict[str, Any] = {
    "consentDate": NOON,
    "creationDate": NOON,
    "source": "IYS_WEB",
    "recipient": "Ayse@shop.example",
    "recipientType": "BIREYSEL",
    "status": "RET",
    "type": "EPOSTA",
    "transactionId": HEX,
}
MOVEMENT = Movement(MAIL, Status.REJECTED, "IYS_WEB", NOON_AT, NOON_AT, HEX)


def read(call: Call[Any], status: int, answer: object) -> Any:
    """What the answer means; bytes are taken as they are, everything else as JSON."""
    return interpret(call, status, answer if isinstance(answer, bytes) else json.dumps(answer).encode())


GOLDEN: list[tuple[Call[Any], int, Any, Any]] = [
    (ADD, 200, {"transactionId": HEX, "creationDate": NOON}, Added(HEX, NOON_AT)),
    (
        BULK,
        202,
        {
            "requestId": "0f" * 16,
            "subRequests": [{**REFUSAL._asdict(), "subRequestId": "u-1", "creationDate": NOON}],
        },
        BulkAccepted("0f" * 16, (SubRequest("u-1", NOON_AT),)),
    ),
    (
        RESULT,
        200,
        [
            {
                "index": 0,
                "status": "success",
                "subRequestId": "u-1",
                "transactionId": HEX,
                "creationDate": NOON,
                "requestId": "r1",
            },
            {"index": 1, "status": "failure", "subrequestId": "u-2", "error": {"code": "H175", "message": "…"}},
            {"index": 2, "status": "enqueue", "subRequestId": "u-3"},
            {
                "index": 3,
                "status": "SUCCESS",
                "subRequestId": "u-4",
                "transactionId": HEX,
                "isAddConsentV2Service": "true",
                "originalRequestInformation": {"requestId": "r0", "subRequestId": "u-0"},
            },
        ],
        BulkResult(
            (
                BulkItem(0, BulkState.STORED, "u-1", HEX, NOON_AT, None),
                BulkItem(1, BulkState.FAILED, "u-2", None, None, ErrorEntry("H175", (), 1)),
                BulkItem(2, BulkState.QUEUED, "u-3", None, None, None),
                BulkItem(3, BulkState.STORED, "u-4", HEX, None, None, True, "r0", "u-0"),
            )
        ),
    ),
    (RESULT, 200, [], BulkResult(())),
    (
        STATUS,
        200,
        {**ITEM, "retailerAccessCount": 0},
        StoredConsent(MAIL, Status.REJECTED, "IYS_WEB", NOON_AT, NOON_AT, HEX, 0, None, None),
    ),
    (
        STATUS,
        200,
        {**ITEM, "status": "ONAY", "retailerAccessCount": 2, "retailerCode": "10000001", "retailerTitle": "Bayi"},
        StoredConsent(MAIL, Status.APPROVED, "IYS_WEB", NOON_AT, NOON_AT, HEX, 2, 10000001, "Bayi"),
    ),
    (STATUS, 200, {}, None),
    (STATUS, 200, b"", None),
    (STATUS, 200, {"recipient": "ayse@shop.example", "status": None}, None),
    (STATUS, 204, b"", None),
    (STATUS, 404, b"", None),
    (STATUS, 404, {"errors": [{"code": "H401", "message": "…"}]}, None),
    (MULTI, 200, {"requestId": "m1", "list": []}, MultiStatus("m1", frozenset())),
    (MULTI, 200, {"requestId": "m1", "list": ["ALI@shop.example"]}, MultiStatus("m1", frozenset({"ali@shop.example"}))),
    (
        statuses.history(BRAND, MAIL),
        200,
        {"list": [ITEM], "pagination": {"totalCount": 1, "pageSize": 100, "offset": 0}},
        Page((MOVEMENT,), 1, 0),
    ),
    (CHANGES, 200, {"after": f"1782896400_{HEX}", "list": [ITEM]}, ChangesPage(f"1782896400_{HEX}", (MOVEMENT,))),
    (CHANGES, 204, b"", ChangesPage(None, ())),
    (CHANGES, 200, {"after": "", "list": []}, ChangesPage(None, ())),
    (
        CHANGES,
        200,
        {"after": "7_x", "list": [{**ITEM, "source": "IYS_AHS_HAT_KAPATMA", "consentDate": "", "citizenName": "…"}]},
        ChangesPage("7_x", (MOVEMENT._replace(source="IYS_AHS_HAT_KAPATMA", consent_at=None),)),
    ),
    (
        CHANGES,
        200,
        {"after": "7_x", "list": [ITEM, {**ITEM, "status": "BELKI"}, {**ITEM, "consentDate": "dün"}, 7]},
        ChangesPage(
            "7_x",
            (MOVEMENT,),
            (
                UnreadMovement(1, "ayse@shop.example", "status"),
                UnreadMovement(2, "ayse@shop.example", "consentDate"),
                UnreadMovement(3, "", "movement"),
            ),
        ),
    ),
    (
        account.brands(600123),
        200,
        [
            {
                "brandCode": 600123,
                "name": "Örnek",
                "master": True,
                "stats": {"consents": {"approval": 3, "rejection": 1, "total": 4}, "retailers": {"total": 2}},
            },
            {"brandCode": "600124", "name": "Yan"},
        ],
        (BrandInfo(600123, "Örnek", True, 3, 1, 2), BrandInfo(600124, "Yan", False, 0, 0, 0)),
    ),
    (
        account.partner_brands(7),
        200,
        {
            "pagination": {"offset": 0, "pageSize": 100, "totalCount": 1},
            "list": [
                {
                    "brandCode": "600124",
                    "iysCode": 600123,
                    "name": "Yan",
                    "title": "Örnek A.Ş.",
                    "master": False,
                    "agreementControl": True,
                    "viaControl": False,
                    "MESAJ": "write",
                    "EPOSTA": "write",
                }
            ],
        },
        Page(
            (
                PartnerBrand(
                    600123,
                    600124,
                    "Yan",
                    "Örnek A.Ş.",
                    False,
                    True,
                    False,
                    {Channel.SMS: "write", Channel.EMAIL: "write"},
                ),
            ),
            1,
            0,
        ),
    ),
    (
        account.subscription(600123),
        200,
        {
            "subscriptionID": 12,
            "startDate": NOON,
            "subscriptionPackageName": "P",
            "status": "ACTIVE",
            "consentLimit": 10,
            "usedConsentLimit": 10,
            "consentLimitExceed": False,
        },
        Subscription("12", "ACTIVE", NOON_AT, None, "P", 10, 10, False, None),
    ),
    (account.cities(), 200, [{"code": 34, "name": "İstanbul"}], (Place(34, "İstanbul"),)),
    (account.town(1), 200, {"code": 1, "name": "Adalar", "city_code": 34}, Place(1, "Adalar", 34)),
    (account.city(99), 204, b"", None),
    (
        push.push_registrations(BRAND),
        200,
        [{"url": "https://izin.example/p", "type": "MESAJ", "status": "Bağlı", "registerTime": NOON}],
        (PushRegistration("https://izin.example/p", Channel.SMS, "Bağlı", NOON_AT),),
    ),
    (
        push.opt_out_links(BRAND, ["ayse@shop.example", "ali@shop.example"], RecipientType.INDIVIDUAL),
        200,
        [
            {"url": "https://link.example/x", "recipient": "ayse@shop.example"},
            {"recipient": "ali@shop.example", "code": "H568", "message": "…"},
        ],
        (
            OptOutLink("ayse@shop.example", "https://link.example/x", ""),
            OptOutLink("ali@shop.example", None, "H568"),
        ),
    ),
    (
        reconciliation.summary(BRAND, "2026-07-01", RecipientType.INDIVIDUAL),
        200,
        {
            "changeStats": [
                {
                    "type": "EPOSTA",
                    "consents": [
                        {"source": "HS", "approval": 5, "rejection": 2, "pending": 1, "total": 8},
                        {"source": "IYS", "approval": 0, "rejection": 1, "pending": 0, "total": 1},
                    ],
                }
            ]
        },
        (ChangeStat(Channel.EMAIL, "HS", 5, 2, 1, 8), ChangeStat(Channel.EMAIL, "IYS", 0, 1, 0, 1)),
    ),
    (
        reconciliation.agreement(BRAND, "2026-07-01"),
        200,
        {"processStatus": "completed", "hashValue": "AB", "hashMethod": "SHA-384", "agreementStatus": False},
        Agreement("completed", "ab", "SHA384", False),
    ),
    (reconciliation.agreement(BRAND, "2026-07-01"), 204, b"", None),
    (reconciliation.agree(BRAND, "2026-07-01"), 200, {"agreementCaptured": True}, True),
    (reconciliation.agree(BRAND, "2026-07-01"), 204, b"", False),
    (reconciliation.time_stamp(BRAND, "2026-07-01"), 200, b"\x30\x82", b"\x30\x82"),
    (reconciliation.daily_file(BRAND, "2026-07-01"), 204, b"", None),
    (
        retailers.retailers(BRAND),
        200,
        {
            "pagination": {"offset": 0, "pageSize": 100, "totalCount": 1, "currentPage": 1},
            "list": [
                {
                    "retailerCode": 10000001,
                    "title": "T",
                    "name": "N",
                    "status": "active",
                    "city": {"code": 34, "name": "İstanbul"},
                    "town": {"code": 1, "name": "Adalar"},
                    "retailerAccessCount": 3,
                    "tckn": "10000000146",
                }
            ],
        },
        Page((Retailer(10000001, "T", "N", "active", "İstanbul", "Adalar", 3),), 1, 0),
    ),
    (retailers.delete_retailer(BRAND, 10000001), 200, "Başarılı".encode(), None),
    (retailers.set_access(BRAND, *MAIL[1:], [MAIL.recipient], [10000001]), 202, b"", None),
    (
        retailers.add_access(BRAND, MAIL, [10000001]),
        200,
        {"transactionId": "u", "creationDate": NOON},
        Added("u", NOON_AT),
    ),
]


@pytest.mark.parametrize(
    ("call", "status", "answer", "meaning"), GOLDEN, ids=[f"{row[0].name}-{row[1]}" for row in GOLDEN]
)
def test_an_answer_means_what_the_reference_says(call: Call[Any], status: int, answer: Any, meaning: Any) -> None:
    """One row, one answer and its value."""
    assert read(call, status, answer) == meaning


def test_a_login_gives_tokens_that_no_text_shows() -> None:
    """Expiry as told, 2 and 4 hours where it is not."""
    answer = {"access_token": "aaa", "refresh_token": "rrr", "expires_in": 60, "token_type": "bearer", "new": 1}
    tokens = read(token.login("u", "p"), 200, answer)
    assert (tokens.access_token, tokens.refresh_token, tokens.expires_in_s) == ("aaa", "rrr", 60)
    assert tokens.refresh_expires_in_s == 14400
    assert "aaa" not in repr(tokens)
    assert "rrr" not in repr(tokens)


@pytest.mark.parametrize("value", [None, "", 7, "a b", "a\r\nX-Evil: 1", "ş", "a" * 20_000, ["a"]])
def test_what_cannot_stand_in_a_header_is_no_token(value: object) -> None:
    """A token goes into a header line: visible ASCII, bounded."""
    assert isinstance(read(token.login("u", "p"), 200, {"access_token": value}), Unreadable)


@pytest.mark.parametrize(
    ("status", "answer", "errors"),
    [
        (
            422,
            {"errors": [{"code": "H120", "message": "m", "location": ["recipients", 49]}]},
            [("H120", ("recipients", 49), None)],
        ),
        (403, {"errors": [{"code:": "H353", "message": "m"}]}, [("H353", (), None)]),
        (
            403,
            {"errors": [{"code:": "H180", "location": ["retailerAccess", 0]}]},
            [("H180", ("retailerAccess", 0), None)],
        ),
        (400, {"code": "H174", "message": "m"}, [("H174", (), None)]),
        (400, {"error": "invalid_grant", "error_description": "m"}, [("invalid_grant", (), None)]),
        (422, {"errors": {"code": "H014"}}, [("H014", (), None)]),
        (
            422,
            {
                "errors": [
                    {"code": "H467", "index": 3, "location": "consentDate", "value": {"x": []}},
                    {"code": "H194", "index": 5},
                ]
            },
            [("H467", ("consentDate",), 3), ("H194", (), 5)],
        ),
        (404, b"<html>gone</html>", []),
        (400, b"", []),
    ],
)
def test_both_error_shapes_and_their_misspellings_are_read(status: int, answer: Any, errors: list[Any]) -> None:
    """Listed, flat, OAuth's, and the key that ends in a colon."""
    result = read(ADD, status, answer)
    assert isinstance(result, Refused)
    assert [tuple(entry) for entry in result.errors] == errors


def test_no_message_and_no_value_of_the_registry_is_kept() -> None:
    """Both may hold the address."""
    answer = {
        "errors": [
            {
                "code": "H120",
                "message": "ayse@shop.example",
                "value": "ayse@shop.example",
                "location": ["ayse@shop.example", "recipient"],
            }
        ]
    }
    assert "ayse" not in repr(read(ADD, 422, answer))


def test_errors_of_a_bulk_list_are_found_by_place() -> None:
    """Several entries may speak of one item."""
    answer = {"errors": [{"code": "H120", "index": 1}, {"code": "H162", "index": 1}, {"code": "H113", "index": 2}]}
    refused = read(BULK, 422, answer)
    assert refused.codes_of(1) == ("H120", "H162")
    assert refused.codes_of(0) == ()
    assert refused.advice is Advice.NEVER


def test_a_429_says_how_long_to_wait() -> None:
    """In either shape, and without a body too; H084 means a full hour."""
    assert read(ADD, 429, {"code": "H084", "message": "m"}) == Limited(3600.0, "H084")
    assert read(ADD, 429, {"errors": [{"code": "H124"}]}) == Limited(2.0, "H124")
    assert read(ADD, 429, b"").retry_after_s > 0


def test_a_fault_of_the_server_after_an_add_that_is_not_recognised_again_asks_to_check_first() -> None:
    """The first version may have stored it; the second recognises a repeat."""
    first = consents.add_v1(BRAND, REFUSAL)
    assert read(first, 500, {"errors": [{"code": "H015"}]}).advice is Advice.CHECK_FIRST
    fault = read(ADD, 500, {"errors": [{"code": "H015"}]})
    assert isinstance(fault, ServerFault)
    assert fault.advice is Advice.RESEND
    assert fault.pause_s > 0


def test_only_success_with_a_transaction_id_proves_storage() -> None:
    """Success without it, and a word nobody knows, are still under way; failure keeps its code."""
    result = read(RESULT, 200, [{"index": 0, "status": "success"}, {"index": 1, "status": "olur"}])
    assert [item.state for item in result.items] == [BulkState.QUEUED, BulkState.QUEUED]
    assert not result.is_complete
    assert not BulkResult(()).is_complete
    assert read(RESULT, 200, [{"index": 0, "status": "success", "transactionId": "t"}]).is_complete


@pytest.mark.parametrize(
    ("call", "status", "answer"),
    [
        (STATUS, 200, b"<html>maintenance</html>"),
        (STATUS, 200, {"status": "BELKI"}),
        (STATUS, 200, {"errors": [{"code": "H015"}]}),
        (STATUS, 200, {**ITEM, "recipient": "ali@shop.example"}),
        (STATUS, 200, {**ITEM, "type": "MESAJ"}),
        (STATUS, 200, {**ITEM, "recipientType": "TACIR"}),
        (STATUS, 200, {**ITEM, "consentDate": "dün"}),
        (STATUS, 404, b"<html>not here</html>"),
        (MULTI, 200, {"requestId": "m1"}),
        (MULTI, 200, {"list": None}),
        (MULTI, 200, {"list": [{"x": 1}]}),
        (MULTI, 200, {"list": ["stranger@shop.example"]}),
        (MULTI, 204, b""),
        (CHANGES, 200, {"after": "x"}),
        (CHANGES, 200, b""),
        (CHANGES, 200, {"after": "x" * 600, "list": []}),
        (ADD, 200, {}),
        (ADD, 200, b""),
        (BULK, 202, {"subRequests": []}),
        (RESULT, 200, {"x": 1}),
        (RESULT, 200, [{"status": "success"}]),
        (account.brands(1), 200, {"list": 1}),
        (reconciliation.agree(BRAND, "2026-07-01"), 200, {}),
        (ADD, 101, b""),
    ],
)
def test_an_answer_whose_meaning_is_open_is_neither_yes_nor_no(call: Call[Any], status: int, answer: Any) -> None:
    """In particular it is never "no record" and never "nobody has consent"."""
    assert isinstance(read(call, status, answer), Unreadable)


def test_a_404_about_our_account_is_no_word_about_the_recipient() -> None:
    """A brand the registry does not know is a fault of settings, not a missing consent."""
    for code in ("H001", "H018", "H355"):
        result = read(STATUS, 404, {"errors": [{"code": code}]})
        assert isinstance(result, Refused)
        assert result.advice is Advice.MEND_ACCOUNT


def test_sub_requests_of_another_length_are_not_matched_by_place() -> None:
    """A list that does not fit ours names nothing."""
    answer = {"requestId": "r1", "subRequests": [{"subRequestId": "u-1"}, {"subRequestId": "u-2"}]}
    assert read(BULK, 202, answer) == BulkAccepted("r1", (SubRequest(None, None),))


def test_the_index_dates_a_closed_line_by_its_creation() -> None:
    """Consent date first; without either nothing is kept."""
    closed = MOVEMENT._replace(consent_at=None, created_at=7, source="IYS_AHS_HAT_KAPATMA")
    assert find_consent(MOVEMENT) == Consent(Status.REJECTED, NOON_AT, "IYS_WEB")
    assert find_consent(closed) == Consent(Status.REJECTED, 7, "IYS_AHS_HAT_KAPATMA")
    assert find_consent(closed._replace(created_at=None)) is None


def test_a_consent_is_never_later_than_the_moment_it_was_stored() -> None:
    """Dated ahead it would outlive refusals to come; a refusal dated ahead may stand."""
    ahead = MOVEMENT._replace(consent_at=NOON_AT + 86_400, created_at=NOON_AT, status=Status.APPROVED)
    assert find_consent(ahead) == Consent(Status.APPROVED, NOON_AT, "IYS_WEB")
    assert find_consent(ahead._replace(created_at=None)) == Consent(Status.APPROVED, NOON_AT + 86_400, "IYS_WEB")
    refused = ahead._replace(status=Status.REJECTED)
    assert find_consent(refused) == Consent(Status.REJECTED, NOON_AT + 86_400, "IYS_WEB")


def test_a_push_names_the_brand_of_each_movement() -> None:
    """Numbers may come as text; what cannot be read is named by its place."""
    pushed = push.read_push(
        json.dumps(
            {
                "list": [
                    {**ITEM, "iysCode": 600123, "brandCode": "600124"},
                    {**ITEM, "iysCode": 600123},
                    {**ITEM, "iysCode": 1, "brandCode": 2, "status": "?"},
                    {**ITEM, "iysCode": 600123, "brandCode": 600125},
                ]
            }
        ).encode()
    )
    assert pushed.movements == ((BRAND, MOVEMENT), (RegistryBrand(600123, 600125), MOVEMENT))
    assert [entry.place for entry in pushed.unread] == [1, 2]


def test_a_push_that_is_none_raises_value_error() -> None:
    """For a receiver to answer 400 with."""
    for body in (b"", b"[1", b'{"list": 1}', b"null"):
        with pytest.raises(ValueError):
            push.read_push(body)

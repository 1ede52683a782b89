"""Tags tighten, never loosen: what the tag fields and the client's rights make of a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.brand import Brand
from filters.classify import (
    Classification,
    ClassificationRefusal,
    TagField,
    TagHeaders,
    TagSource,
    classify,
)
from filters.client import Client
from filters.reason import Reason
from filters.vocabulary import MessageClass, RecipientType

COMMERCIAL, INFORMATIONAL, SERVICE = MessageClass
FIRST = Brand(600123, 600123, "Örnek Mağaza")
SECOND = Brand(600124, 600124, "Ikinci")
FOREIGN = Brand(600999, 600999, "Baskasi")
BRANDS = {brand.code: brand for brand in (FIRST, SECOND, FOREIGN)}
SHOP = Client("shop", (600123,))
AGENCY = Client("agency", (600123, 600124))
HEADERS = TagHeaders()

CLASS, BRAND, TYPE, CAMPAIGN = b"x-izin-class", b"x-izin-brand", b"x-izin-recipient-type", b"x-izin-campaign"


def found(
    tags: Mapping[bytes, Sequence[bytes]], client: Client = SHOP, headers: TagHeaders = HEADERS
) -> Classification:
    classification = classify(tags, client, BRANDS, headers)
    assert isinstance(classification, Classification)
    return classification


def refused(
    tags: Mapping[bytes, Sequence[bytes]], client: Client = SHOP, headers: TagHeaders = HEADERS
) -> ClassificationRefusal:
    refusal = classify(tags, client, BRANDS, headers)
    assert isinstance(refusal, ClassificationRefusal)
    return refusal


# -- class -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"commercial", COMMERCIAL),
        (b"Commercial", COMMERCIAL),
        (b" INFORMATIONAL ", INFORMATIONAL),
        (b"\tservice\r\n", SERVICE),
        (b"TICARI", COMMERCIAL),
        (b"Bilgilendirme", INFORMATIONAL),
        (b"HIZMET", SERVICE),
    ],
)
def test_a_readable_class_is_taken_in_any_ascii_case(value: bytes, expected: MessageClass) -> None:
    """The header decides, and the classification says that it did."""
    classification = found({CLASS: [value]})
    assert classification.message_class is expected
    assert classification.class_source is TagSource.HEADER
    assert classification.is_tagged
    assert classification.noted == ()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"informationa",
        b"informational commercial",
        b"informational,service",
        b"informational (really)",
        b"=?utf-8?q?informational?=",
        b'"informational"',
        b"inform\r\n ational",
        b"informational\0",
        "informatıonal".encode(),
        "INFORMATİONAL".encode(),
        "ｓervice".encode(),
        b"\xff",
        b"transactional",
        b"0",
    ],
)
@pytest.mark.parametrize(
    "client", [SHOP, replace(SHOP, default_class=INFORMATIONAL), replace(SHOP, fixed_class=SERVICE)]
)
def test_an_unreadable_class_is_commercial_whatever_the_client_is_used_to(value: bytes, client: Client) -> None:
    """Gate G1: not even a default or fixed class survives a tag that cannot be read."""
    classification = found({CLASS: [value]}, client)
    assert classification.message_class is COMMERCIAL
    assert classification.class_source is TagSource.SAFEST_READING
    assert not classification.is_tagged
    assert Reason.TAG_MISSING in classification.noted


def test_without_a_tag_the_clients_default_stands() -> None:
    """And the default of the default is commercial, noted as a missing tag."""
    untagged = found({})
    assert (untagged.message_class, untagged.class_source) == (COMMERCIAL, TagSource.CLIENT_DEFAULT)
    assert untagged.noted == (Reason.TAG_MISSING,)
    usual = found({}, replace(SHOP, default_class=INFORMATIONAL))
    assert (usual.message_class, usual.class_source) == (INFORMATIONAL, TagSource.CLIENT_DEFAULT)
    assert usual.is_tagged


@pytest.mark.parametrize(
    ("fixed", "header", "expected"),
    [
        (COMMERCIAL, b"informational", COMMERCIAL),
        (COMMERCIAL, b"service", COMMERCIAL),
        (SERVICE, b"informational", SERVICE),
        (SERVICE, b"commercial", COMMERCIAL),
        (INFORMATIONAL, b"commercial", COMMERCIAL),
        (INFORMATIONAL, b"service", SERVICE),
        (INFORMATIONAL, None, INFORMATIONAL),
        (COMMERCIAL, None, COMMERCIAL),
    ],
)
def test_a_fixed_class_can_be_tightened_by_a_tag_but_not_loosened(
    fixed: MessageClass, header: bytes | None, expected: MessageClass
) -> None:
    """The stricter of the two holds."""
    tags = {} if header is None else {CLASS: [header]}
    classification = found(tags, replace(SHOP, fixed_class=fixed))
    assert classification.message_class is expected
    assert classification.class_source is (TagSource.CLIENT_FIXED if expected is fixed else TagSource.HEADER)
    assert classification.is_tagged


def test_a_class_the_client_may_not_send_is_refused_not_reinterpreted() -> None:
    """Permanently, and with the field to look at."""
    only_commercial = replace(SHOP, allowed_classes=frozenset({COMMERCIAL}))
    assert refused({CLASS: [b"informational"]}, only_commercial) == (Reason.CLASS_NOT_ALLOWED, "x-izin-class")
    assert found({CLASS: [b"nonsense"]}, only_commercial).message_class is COMMERCIAL
    only_informational = replace(SHOP, allowed_classes=frozenset({INFORMATIONAL}))
    assert refused({}, only_informational).reason is Reason.CLASS_NOT_ALLOWED
    assert refused({CLASS: [b"nonsense"]}, only_informational).reason is Reason.CLASS_NOT_ALLOWED
    assert found({CLASS: [b"informational"]}, only_informational).message_class is INFORMATIONAL


# -- brand -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"600123", FIRST),
        (b" 600124 ", SECOND),
        ("Örnek Mağaza".encode(), FIRST),
        ("Örnek MAğaza".encode(), FIRST),
        (b"ikinci", SECOND),
        (b"IKINCI", SECOND),
    ],
)
def test_a_brand_is_named_by_code_or_by_name(value: bytes, expected: Brand) -> None:
    """Names without regard to ASCII case; the classification holds the brand itself."""
    classification = found({BRAND: [value]}, AGENCY)
    assert classification.brand is expected
    assert classification.brand_source is TagSource.HEADER


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"600999",
        b"Baskasi",
        b"600125",
        b"0600123",
        b"+600123",
        b"600123.0",
        b"6_00123",
        b"600123 600124",
        "６００１２３".encode(),
        b"99999999999999999999",
        "örnek mağaza".encode(),
        b"=?utf-8?q?Ikinci?=",
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("message_class", [b"commercial", b"informational"])
def test_a_brand_that_is_not_the_clients_is_refused(value: bytes, message_class: bytes) -> None:
    """Unknown, foreign or misspelled alike: the sender does not learn which brands exist."""
    expected = ClassificationRefusal(Reason.BRAND_UNKNOWN, "x-izin-brand")
    assert refused({BRAND: [value], CLASS: [message_class]}, AGENCY) == expected
    assert refused({BRAND: [value], CLASS: [message_class]}, SHOP) == expected


def test_a_client_with_one_brand_need_not_name_it() -> None:
    """With several, commercial mail is refused until one is named; exempt mail can do without."""
    assert found({}).brand is FIRST
    assert found({}).brand_source is TagSource.CLIENT_DEFAULT
    assert refused({}, AGENCY) == (Reason.BRAND_UNKNOWN, "x-izin-brand")
    assert refused({}, Client("nobody", ())).reason is Reason.BRAND_UNKNOWN
    assert refused({}, Client("lost", (600777,))).reason is Reason.BRAND_UNKNOWN
    exempt = found({CLASS: [b"informational"]}, AGENCY)
    assert (exempt.brand, exempt.brand_source) == (None, TagSource.NOBODY)


def test_two_brands_of_one_name_are_told_apart_by_code_only() -> None:
    """Guessing would read the wrong brand's consents."""
    twin = replace(SECOND, name=FIRST.name)
    brands = {FIRST.code: FIRST, twin.code: twin}
    by_name = classify({BRAND: [FIRST.name.encode()]}, AGENCY, brands, HEADERS)
    assert by_name == ClassificationRefusal(Reason.BRAND_UNKNOWN, "x-izin-brand")
    by_code = classify({BRAND: [b"600124"]}, AGENCY, brands, HEADERS)
    assert isinstance(by_code, Classification)
    assert by_code.brand is twin


# -- recipient type and campaign ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"individual", RecipientType.INDIVIDUAL),
        (b"Business", RecipientType.BUSINESS),
        (b"BIREYSEL", RecipientType.INDIVIDUAL),
        (b"tacir", RecipientType.BUSINESS),
        (b" Tacir ", RecipientType.BUSINESS),
    ],
)
def test_a_recipient_type_is_taken_in_ours_and_the_registrys_words(value: bytes, expected: RecipientType) -> None:
    """In any ASCII case."""
    classification = found({TYPE: [value]})
    assert (classification.recipient_type, classification.recipient_type_source) == (expected, TagSource.HEADER)


def test_an_unreadable_recipient_type_is_undeclared_not_the_clients_default() -> None:
    """The strictest rows (R10 to R13) then hold; the sender is told."""
    merchants = replace(SHOP, default_recipient_type=RecipientType.BUSINESS)
    assert found({}, merchants).recipient_type is RecipientType.BUSINESS
    assert found({}, merchants).recipient_type_source is TagSource.CLIENT_DEFAULT
    for value in (b"", b"esnaf", b"merchant", "BİREYSEL".encode(), b"\xff"):
        classification = found({TYPE: [value], CLASS: [b"commercial"]}, merchants)
        assert classification.recipient_type is None
        assert classification.noted == (Reason.TAG_INVALID,)
        assert classification.is_tagged
    assert found({}).recipient_type_source is TagSource.NOBODY


def test_a_campaign_is_printable_ascii_of_at_most_64_characters() -> None:
    """Anything else is left out and noted: a label never stops a message."""
    assert found({CAMPAIGN: [b" Kasim Kampanyasi/2026 "]}).campaign == "Kasim Kampanyasi/2026"
    assert found({CAMPAIGN: [b"c" * 64]}).campaign == "c" * 64
    assert found({CAMPAIGN: [b""], CLASS: [b"commercial"]}).noted == ()
    for value in (b"c" * 65, "kasım".encode(), b"a\tb", b"a\r\n b", b"a\0b", b"\x7f", b"\xff"):
        classification = found({CAMPAIGN: [value], CLASS: [b"commercial"]})
        assert classification.campaign == ""
        assert classification.noted == (Reason.TAG_INVALID,)


# -- repetition and aliases --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "one", "same", "other"),
    [
        (CLASS, b"commercial", b" TICARI", b"service"),
        (CLASS, b"informational", b"Informational", b"nonsense"),
        (BRAND, b"600123", "Örnek Mağaza".encode(), b"600999"),
        (TYPE, b"business", b"TACIR", b"individual"),
        (CAMPAIGN, b"one", b"one ", b"One"),
    ],
)
def test_a_tag_may_stand_twice_only_if_it_means_the_same(name: bytes, one: bytes, same: bytes, other: bytes) -> None:
    """Disagreement is refused: the next reader might believe the other one."""
    assert found({name: [one, same]}) == found({name: [one]})
    assert refused({name: [one, other]}) == (Reason.TAG_INVALID, name.decode())
    assert refused({name: [one, same, other]}).reason is Reason.TAG_INVALID


def test_aliases_carry_other_vendors_words() -> None:
    """An alias has its own words; those it does not know are unreadable; it counts as a repetition of ours."""
    headers = TagHeaders(
        message_class=(
            TagField(b"x-izin-class"),
            TagField(b"x-mail-kind", {b"bulk": b"commercial", b"alert": b"informational"}),
        ),
        campaign=(TagField(b"x-tag"),),
    )
    assert headers.names == {b"x-izin-class", b"x-mail-kind", b"x-izin-brand", b"x-izin-recipient-type", b"x-tag"}
    assert found({b"x-mail-kind": [b"Alert"]}, headers=headers).message_class is INFORMATIONAL
    assert not found({b"x-mail-kind": [b"informational"]}, headers=headers).is_tagged
    assert found({b"x-mail-kind": [b"bulk"], CLASS: [b"commercial"]}, headers=headers).message_class is COMMERCIAL
    assert refused({b"x-mail-kind": [b"alert"], CLASS: [b"commercial"]}, headers=headers).reason is Reason.TAG_INVALID
    assert found({CAMPAIGN: [b"ignored"], b"x-tag": [b"taken"]}, headers=headers).campaign == "taken"


def test_field_names_are_checked_when_configured() -> None:
    """Upper case would never be found, and one field cannot carry two tags."""
    for name in (b"X-Izin-Class", b"", b"x izin", b"x:izin", "x-sınıf".encode()):
        with pytest.raises(ValueError, match="header name"):
            TagHeaders(message_class=(TagField(name),))
    with pytest.raises(ValueError, match="once"):
        TagHeaders(campaign=(TagField(b"x-izin-class"),))


# -- properties --------------------------------------------------------------------------------------------------------

words = st.one_of(
    st.sampled_from(
        [b"commercial", b"informational", b"service", b"600123", b"600124", b"business", b"bireysel", b"x"]
    ),
    st.binary(max_size=12),
)
tag_sets = st.dictionaries(st.sampled_from([CLASS, BRAND, TYPE, CAMPAIGN, b"subject"]), st.lists(words, max_size=3))
clients = st.builds(
    Client,
    st.just("client"),
    st.sampled_from([(), (600123,), (600123, 600124)]),
    st.sampled_from(MessageClass),
    st.frozensets(st.sampled_from(MessageClass)),
    st.one_of(st.none(), st.sampled_from(MessageClass)),
    st.one_of(st.none(), st.sampled_from(RecipientType)),
)
STRICTNESS = [INFORMATIONAL, SERVICE, COMMERCIAL]


@given(tag_sets, clients)
def test_any_tags_give_a_classification_within_the_clients_rights_or_a_refusal(
    tags: dict[bytes, list[bytes]], client: Client
) -> None:
    """Class allowed, brand the client's, commercial mail never without a brand, fixed class never loosened."""
    result = classify(tags, client, BRANDS, HEADERS)
    if isinstance(result, ClassificationRefusal):
        assert result.reason.reply.is_permanent
        return
    assert result.message_class in client.allowed_classes
    assert result.brand is None or result.brand.code in client.brands
    assert result.brand is not None or result.message_class is not COMMERCIAL
    if client.fixed_class is not None:
        assert STRICTNESS.index(result.message_class) >= STRICTNESS.index(client.fixed_class)
    if result.message_class is not COMMERCIAL:
        assert result.is_tagged
    assert result.campaign.isascii()
    assert len(result.campaign) <= 64
    assert classify(tags, client, BRANDS, HEADERS) == result


@given(tag_sets, clients, st.binary(min_size=1, max_size=20))
def test_junk_in_the_class_field_never_makes_a_message_exempt(
    tags: dict[bytes, list[bytes]], client: Client, junk: bytes
) -> None:
    """Adding an unreadable class makes a message commercial, or refused."""
    word = b"?" + junk
    result = classify({**tags, CLASS: [*tags.get(CLASS, []), word]}, client, BRANDS, HEADERS)
    assert isinstance(result, ClassificationRefusal) or result.message_class is COMMERCIAL

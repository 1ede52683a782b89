"""What the registry would refuse whatever it holds is not sent (İYS API reference, 3)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.registry import writing
from filters.registry.calls import push, retailers
from filters.registry.reading import read_movement
from filters.registry.values import ConsentSubject, ConsentToAdd, Place, PushConnection, RegistryBrand, RetailerToAdd
from filters.registry.words import FIRST_CONSENT_AT, LATEST_AT, PROVIDER_SOURCES
from filters.registry.writing import UnsendableError, find_address_problem, find_problem
from filters.vocabulary import Channel, RecipientType, Status

NOW = 1782896400
GOOD = ConsentToAdd("a@shop.example", Channel.EMAIL, RecipientType.INDIVIDUAL, Status.REJECTED, NOW, "HS_WEB")
BRAND = RegistryBrand(1, 2)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"recipient": "A@shop.example"}, "H120"),
        ({"recipient": "a"}, "H120"),
        ({"recipient": "+905550000001"}, "H120"),
        ({"channel": Channel.SMS}, "H121"),
        ({"source": None}, "H113"),
        ({"source": "IYS_WEB"}, "H119"),
        ({"source": "HS_FAKS"}, "H119"),
        ({"source": "HS_KARAR", "status": Status.APPROVED}, "H408"),
        ({"consent_at": None}, "H112"),
        ({"consent_at": FIRST_CONSENT_AT - 1}, "H156"),
        ({"source": "HS_2015"}, "H155"),
        ({"consent_at": NOW + 1}, "H162"),
        ({"consent_at": LATEST_AT + 1}, "H162"),
        ({"retailer_code": 123}, "H180"),
        ({"retailer_access": (123456789,)}, "H180"),
        ({"retailer_access": tuple(range(10_000_000, 10_000_101))}, "H126"),
    ],
)
def test_a_consent_that_can_never_be_taken_is_named_with_the_registrys_code(
    changed: dict[str, object], code: str
) -> None:
    """The code is the one the registry would answer with."""
    assert find_problem(GOOD._replace(**changed), NOW) == code


def test_a_good_consent_has_no_problem() -> None:
    """Nor one of 2015, nor a business's first one without date and source."""
    assert find_problem(GOOD, NOW) is None
    assert find_problem(GOOD._replace(source="HS_2015", consent_at=FIRST_CONSENT_AT), NOW) is None
    business = GOOD._replace(recipient_type=RecipientType.BUSINESS, source=None, consent_at=None)
    assert find_problem(business, NOW) is None


@pytest.mark.parametrize(
    ("recipient", "channel", "code"),
    [
        ("+905550000001", Channel.SMS, None),
        ("+902120000001", Channel.CALL, None),
        ("+9005550000001", Channel.SMS, "H121"),
        ("905550000001", Channel.SMS, "H121"),
        ("05550000001", Channel.SMS, "H121"),
        ("+90 555 000 00 01", Channel.SMS, "H121"),
        ("+٩٠5550000001", Channel.SMS, "H121"),
        ("+905550000001234", Channel.SMS, "H160"),
        ("ayse+haber@shop.example", Channel.EMAIL, None),
        ("-.ayse..x_@shop.example", Channel.EMAIL, None),
        ("ayşe@shop.example", Channel.EMAIL, "H120"),
        ("ay se@shop.example", Channel.EMAIL, "H120"),
        ("ay(se@shop.example", Channel.EMAIL, "H120"),
        ("ayse@shop", Channel.EMAIL, "H120"),
        ("a@b@shop.example", Channel.EMAIL, "H120"),
        ("a" * 254 + "@shop.example", Channel.EMAIL, "H120"),
    ],
)
def test_the_form_of_an_address_is_checked_as_documented(recipient: str, channel: Channel, code: str | None) -> None:
    """E.164 with a plus, or a lower-case e-mail address of 6 to 265 characters (reference 2.3)."""
    assert find_address_problem(recipient, channel) == code


def test_a_bulk_list_is_all_or_nothing_so_it_is_checked_whole() -> None:
    """Empty, over a thousand, a subject twice, or one bad item: the list is not sent."""
    many = [GOOD._replace(recipient=f"a{number}@shop.example") for number in range(1001)]
    assert len(writing.bulk_fields(many[:1000])) == 1000
    for items, code in (
        ([], "H092"),
        (many, "H091"),
        ([GOOD, GOOD._replace(status=Status.APPROVED)], "H194"),
        ([GOOD, GOOD._replace(recipient="no")], "H120"),
    ):
        with pytest.raises(UnsendableError) as caught:
            writing.bulk_fields(items)
        assert caught.value.code == code


def test_one_address_may_stand_once_per_channel_and_recipient_type_in_a_bulk_list() -> None:
    """The subject is what must not repeat, not the address."""
    items = [GOOD, GOOD._replace(recipient_type=RecipientType.BUSINESS)]
    assert len(writing.bulk_fields(items)) == 2


def test_lists_of_addresses_and_dealers_are_bounded_and_without_repeats() -> None:
    """1 to 1000 or 100, each once."""
    for recipients, code in ((["a@shop.example"] * 2, "H193"), ([], "H164"), (["x"], "H120")):
        with pytest.raises(UnsendableError) as caught:
            writing.recipient_list(recipients, Channel.EMAIL, 1000, "H091")
        assert caught.value.code == code
    with pytest.raises(UnsendableError) as caught:
        writing.recipient_list([f"a{n}@shop.example" for n in range(101)], Channel.EMAIL, 100, "H127")
    assert caught.value.code == "H127"
    for codes, code in (
        ([], "H163"),
        ([10_000_000] * 2, "H193"),
        ([1], "H180"),
        (list(range(10_000_000, 10_000_101)), "H126"),
    ):
        with pytest.raises(UnsendableError) as caught:
            writing.retailer_list(codes)
        assert caught.value.code == code


def test_the_text_of_an_unsendable_request_shows_no_address() -> None:
    """It may end in a log."""
    for write in (
        lambda: writing.consent_fields(GOOD._replace(recipient="Ayse@shop.example")),
        lambda: writing.subject_fields(ConsentSubject("+90555", Channel.SMS, RecipientType.INDIVIDUAL)),
        lambda: writing.recipient_list(["Ayse@shop.example"], Channel.EMAIL, 10, "H091"),
    ):
        with pytest.raises(UnsendableError) as caught:
            write()
        assert "yse" not in str(caught.value)
        assert "555" not in str(caught.value)


def test_a_push_connection_needs_https_and_credentials() -> None:
    """The registry refuses others with H531 and H093."""
    good = PushConnection("https://izin.example/push", Channel.SMS, "user", "word")
    for wrong, code in ((good._replace(url="http://izin.example"), "H531"), (good._replace(password=""), "H093")):
        with pytest.raises(UnsendableError) as caught:
            push.register_push(BRAND, [wrong])
        assert caught.value.code == code


def test_a_dealer_is_checked_before_it_is_sent() -> None:
    """Blank names, numbers of another form, unknown states and long texts are not sent."""
    good = RetailerToAdd("T", "N", "10000000146", "1234567890", Place(34, "İstanbul"), Place(1, "Adalar"))
    assert retailers.add_retailer(BRAND, good).body
    for changed, code in (
        ({"title": " "}, "H214"),
        ({"name": ""}, "H215"),
        ({"tckn": "123"}, "H225"),
        ({"tin": "12345678x0"}, "H243"),
        ({"mersis": "1"}, "H227"),
        ({"status": "pending"}, "H201"),
        ({"alias": "x" * 256}, "H017"),
    ):
        with pytest.raises(UnsendableError) as caught:
            retailers.add_retailer(BRAND, good._replace(**changed))
        assert caught.value.code == code


CONSENTS = st.builds(
    ConsentToAdd,
    st.from_regex(r"[a-z0-9._+-]{1,20}@[a-z0-9]{2,10}\.example", fullmatch=True),
    st.just(Channel.EMAIL),
    st.sampled_from(RecipientType),
    st.just(Status.REJECTED),
    st.integers(FIRST_CONSENT_AT, LATEST_AT),
    st.sampled_from([source for source in PROVIDER_SOURCES if source != "HS_2015"]),
    st.none() | st.integers(10_000_000, 99_999_999),
    st.lists(st.integers(10_000_000, 99_999_999), max_size=3).map(tuple),
)


@given(CONSENTS)
def test_a_consent_written_is_read_back_as_the_same(consent: ConsentToAdd) -> None:
    """What we send, and the registry would list, means to us what it meant before."""
    movement = read_movement(json.loads(json.dumps(writing.consent_fields(consent))))
    assert movement.subject == consent.subject
    assert (movement.status, movement.source) == (consent.status, consent.source)
    assert movement.consent_at == consent.consent_at


@given(CONSENTS, st.text(max_size=30))
def test_no_address_of_another_form_is_ever_sent(consent: ConsentToAdd, recipient: str) -> None:
    """Any text for an address: either it has the documented form, or nothing is written."""
    try:
        fields = writing.consent_fields(consent._replace(recipient=recipient))
    except UnsendableError:
        return
    assert fields["recipient"] == recipient
    assert recipient.isascii()
    assert 6 <= len(recipient) <= 265
    assert not set(recipient) & set(" {}[]()!'^%&/=?,\r\n\t")

"""The opt-out token: made by us alone, read for ever, opaque to everybody else."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from filters.brand import Brand
from filters.consent import CHANNELS, RECIPIENT_TYPES
from filters.consent_key import KEY_BYTES
from filters.token import (
    MAIL_CODE_CHARS,
    MAIL_CODE_PREFIX,
    MAX_BRAND,
    MAX_TOKEN_CHARS,
    Grant,
    MailGrant,
    TokenKeys,
    identify_token,
)
from filters.vocabulary import Channel, RecipientType

OLD, NEW, FOREIGN = b"o" * 32, b"n" * 32, b"f" * 32
KEYS = TokenKeys({1: OLD}, current=1)
URL_SAFE = frozenset(string.ascii_letters + string.digits + "-_")

channels = st.sampled_from(CHANNELS)
types = st.sampled_from((None, *RECIPIENT_TYPES))
brands = st.integers(0, MAX_BRAND)
addresses = st.binary(min_size=1, max_size=320).map(lambda address: address.replace(b"\0", b"0"))
grants = st.builds(Grant, brands, channels, types, addresses)
mail_grants = st.builds(MailGrant, brands, channels, types, st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES))

AYSE = Grant(600123, Channel.EMAIL, RecipientType.INDIVIDUAL, b"ayse.ornek@example.com")


@given(grants)
def test_a_token_reads_back_as_what_it_was_made_of(grant: Grant) -> None:
    """Brand, channel, recipient type and address all return."""
    assert KEYS.read_token(KEYS.make_token(grant)) == grant


@given(grants)
def test_a_token_is_plain_in_a_url_and_short_enough_to_be_read(grant: Grant) -> None:
    """Only characters that need no percent-encoding, and never longer than the reader looks."""
    token = KEYS.make_token(grant)
    assert set(token) <= URL_SAFE
    assert len(token) <= MAX_TOKEN_CHARS


def test_a_usual_link_is_shorter_than_160_characters() -> None:
    """With an address of 40 characters."""
    grant = AYSE._replace(address=b"a" * 28 + b"@example.com")
    brand = Brand(600123, 600123, "Örnek", opt_out_url="https://izin.shop.example")
    assert len(KEYS.opt_out_links(brand, grant, b"k" * KEY_BYTES).url) < 160


@given(grants)
def test_the_same_recipient_always_has_the_same_token(grant: Grant) -> None:
    """Also from another process that was given the same key."""
    assert TokenKeys({1: OLD}, current=1).make_token(grant) == KEYS.make_token(grant)


@given(grants, grants)
def test_two_recipients_never_share_a_token(one: Grant, other: Grant) -> None:
    assume(one != other)
    assert KEYS.make_token(one) != KEYS.make_token(other)


@given(st.sampled_from((b"ayse.ornek@example.com", b"+905000000000", b"info@shop.example")), channels, types)
def test_no_part_of_the_address_stands_in_the_token(
    address: bytes, channel: Channel, recipient_type: RecipientType | None
) -> None:
    """Neither in the text nor in the bytes behind it."""
    token = KEYS.make_token(Grant(600123, channel, recipient_type, address))
    sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for part in (address, address[:6], address[-6:]):
        assert part not in sealed
        assert part not in token.encode()


def test_the_length_of_a_token_says_little_about_the_length_of_the_address() -> None:
    """Ten addresses of 11 to 20 characters have tokens of one length."""
    lengths = {len(KEYS.make_token(AYSE._replace(address=b"x" * count))) for count in range(11, 21)}
    assert len(lengths) == 1


@given(grants, st.data())
def test_a_token_with_one_flipped_bit_is_not_read(grant: Grant, data: st.DataObject) -> None:
    """Whichever of its bits, the key id and the unused ones of the last character included."""
    token = KEYS.make_token(grant)
    sealed = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    position = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[position // 8] ^= 1 << position % 8
    assert KEYS.read_token(base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()) is None


@given(grants, st.data())
def test_a_token_with_one_other_character_is_not_read(grant: Grant, data: st.DataObject) -> None:
    """Not even where base64 would decode both spellings to the same bytes."""
    token = KEYS.make_token(grant)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(sorted(URL_SAFE | set("=+/ \n.%é\0"))))
    assume(other != token[place])
    assert KEYS.read_token(token[:place] + other + token[place + 1 :]) is None


@given(grants)
def test_a_token_has_one_spelling(grant: Grant) -> None:
    """Base64 has unused bits in the last character, and the decoder skips what it does not know: neither is read."""
    token = KEYS.make_token(grant)
    assert [other for other in sorted(URL_SAFE) if KEYS.read_token(token[:-1] + other)] == [token[-1]]
    for junk in ("=", "==", "\n", " ", ".", "%", "é", "AAAA"):
        assert KEYS.read_token(token + junk) is None
        assert KEYS.read_token(junk + token) is None
        assert KEYS.read_token(token[:7] + junk + token[7:]) is None


@given(grants, st.data())
def test_a_cut_or_lengthened_token_is_not_read(grant: Grant, data: st.DataObject) -> None:
    token = KEYS.make_token(grant)
    assert KEYS.read_token(token[: data.draw(st.integers(0, len(token) - 1))]) is None
    assert KEYS.read_token(token + data.draw(st.text(sorted(URL_SAFE | set("=+/ é")), min_size=1, max_size=8))) is None


@given(st.one_of(st.text(max_size=700), st.text(alphabet=sorted(URL_SAFE), max_size=700)))
def test_invented_text_is_not_read_and_does_not_raise(text: str) -> None:
    assert KEYS.read_token(text) is None
    assert KEYS.read_mail_code(text) is None


def test_a_token_of_another_installation_is_not_read() -> None:
    assert KEYS.read_token(TokenKeys({1: FOREIGN}, current=1).make_token(AYSE)) is None


@given(grants)
def test_old_keys_keep_reading_after_a_rotation(grant: Grant) -> None:
    """New tokens are made with the new key, and differ."""
    rotated = TokenKeys({1: OLD, 2: NEW}, current=2)
    assert rotated.read_token(KEYS.make_token(grant)) == grant
    assert rotated.make_token(grant) != KEYS.make_token(grant)
    assert KEYS.read_token(rotated.make_token(grant)) is None


@given(mail_grants)
def test_a_mail_code_reads_back_in_any_case(grant: MailGrant) -> None:
    """Relays may change the case of a local part."""
    code = KEYS.make_mail_code(grant)
    assert KEYS.read_mail_code(code) == KEYS.read_mail_code(code.upper()) == KEYS.read_mail_code(code.title()) == grant


@given(mail_grants)
def test_a_mail_code_fits_into_a_local_part(grant: MailGrant) -> None:
    """64 octets (RFC 5321, 4.5.3.1.1), of lower-case letters and digits."""
    code = KEYS.make_mail_code(grant)
    assert len(code) == MAIL_CODE_CHARS
    assert len(MAIL_CODE_PREFIX + code) <= 64
    assert set(code) <= set(string.ascii_lowercase + string.digits)


@given(mail_grants, st.data())
def test_a_mail_code_with_one_other_character_is_not_read(grant: MailGrant, data: st.DataObject) -> None:
    code = KEYS.make_mail_code(grant)
    place = data.draw(st.integers(0, len(code) - 1))
    other = data.draw(st.sampled_from(string.printable + "ıİ٣"))
    assume(other.lower() != code[place])
    assert KEYS.read_mail_code(code[:place] + other + code[place + 1 :]) is None


@given(mail_grants)
def test_a_mail_code_is_no_token_and_a_token_no_mail_code(grant: MailGrant) -> None:
    """The two forms are sealed for different uses."""
    assert KEYS.read_token(KEYS.make_mail_code(grant)) is None
    sealed = (int(KEYS.make_mail_code(grant), 32) >> 6).to_bytes(33, "big")
    assert KEYS.read_token(base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()) is None


@given(mail_grants)
def test_the_consent_key_does_not_stand_in_the_mail_code(grant: MailGrant) -> None:
    """Two mails to one person are not linked to the evidence by their headers."""
    sealed = (int(KEYS.make_mail_code(grant), 32) >> 6).to_bytes(33, "big")
    assert grant.key not in sealed


def test_links_carry_the_token_twice_and_name_it() -> None:
    """The subject repeats the token, so that the report to the registry can name the address."""
    brand = Brand(600123, 600123, "Örnek", opt_out_url="https://izin.example", opt_out_mail_domain="ret.example")
    url, mailto, token_id = KEYS.opt_out_links(brand, AYSE, b"k" * KEY_BYTES)
    token = url.removeprefix("https://izin.example/u/")
    assert KEYS.read_token(token) == AYSE
    assert token_id == identify_token(token)
    address, _, subject = mailto.removeprefix("mailto:").partition("?subject=RET%20")
    assert subject == token
    assert address.endswith("@ret.example")
    assert KEYS.read_mail_code(address.partition("@")[0].removeprefix(MAIL_CODE_PREFIX)) == MailGrant(
        600123, Channel.EMAIL, RecipientType.INDIVIDUAL, b"k" * KEY_BYTES
    )


def test_a_brand_without_a_mail_domain_has_no_mailto_link() -> None:
    brand = Brand(600123, 600123, "Örnek", opt_out_url="https://izin.example")
    assert KEYS.opt_out_links(brand, AYSE, b"k" * KEY_BYTES).mailto == ""


@pytest.mark.parametrize(
    ("secrets", "current", "says"),
    [
        ({1: b"short"}, 1, "at least 32 bytes"),
        ({256: OLD}, 256, "0 to 255"),
        ({1: OLD}, 2, "not among"),
        ({}, 1, "not among"),
    ],
)
def test_unsafe_keys_are_refused(secrets: dict[int, bytes], current: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TokenKeys(secrets, current)


@pytest.mark.parametrize(
    "grant",
    [
        AYSE._replace(address=b""),
        AYSE._replace(address=b"a\0b@example.com"),
        AYSE._replace(address=b"a" * 321),
        AYSE._replace(brand=MAX_BRAND + 1),
        AYSE._replace(brand=-1),
    ],
)
def test_what_could_not_be_read_back_is_not_made(grant: Grant) -> None:
    with pytest.raises(ValueError, match="opt-out token"):
        KEYS.make_token(grant)


def test_a_mail_code_needs_a_whole_consent_key() -> None:
    with pytest.raises(ValueError, match="consent key of 10 bytes"):
        KEYS.make_mail_code(MailGrant(600123, Channel.EMAIL, None, b"short"))

"""The opt-out token: what the link in a mail says, readable and makeable by us alone (RFC 8058, section 3.1).

Two forms, both sealed with AES-SIV (RFC 5297), a deterministic authenticated cipher: its synthetic nonce is a keyed
hash of the plaintext. So nothing random is needed, the same recipient always gets the same token, no URL shows an
address, and a forged or altered token fails with a chance of 1 - 2^-128.

* the **token**, for URLs: brand, channel, recipient type, canonical address; base64url without padding
* the **mail code**, for the local part of a ``mailto:`` address: brand, channel, recipient type and, for want of
  room, the consent key instead of the address; base32 (RFC 4648, section 7), read in any case (relays change it)

A token never expires: old mail is opened years later. Keys rotate by adding one; the old ones keep reading.

Layout of both: one byte key id, 16 bytes synthetic nonce, ciphertext. The text is read only in the one spelling we
write: base64 alone would let the unused bits of the last character vary.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from filters.brand import Brand
from filters.consent import CHANNELS, RECIPIENT_TYPES
from filters.consent_key import KEY_BYTES
from filters.vocabulary import Channel, RecipientType

MIN_SECRET_BYTES = 32
MAX_KEY_ID = 255
MAX_BRAND = 2**40 - 1
MAX_ADDRESS_BYTES = 320
"""A local part of 64 octets, the at sign, a domain of 255 (RFC 5321, 4.5.3.1)."""

MAX_TOKEN_CHARS = 512
"""Longer texts are not looked at: reading costs a bounded amount whatever is sent."""

MAIL_CODE_PREFIX = "ret-"
MAIL_CODE_CHARS = 54
"""With the prefix 58 of the 64 octets a local part may have (RFC 5321, 4.5.3.1.1)."""

_BRAND_BYTES = 5
_HEAD_BYTES = _BRAND_BYTES + 1
_TAG_BYTES = 16
_BLOCK = 16
_MAIL_CODE_BYTES = 1 + _TAG_BYTES + _HEAD_BYTES + KEY_BYTES
_TOKEN_CONTEXT = [b"izin opt-out token 1"]
_MAIL_CONTEXT = [b"izin opt-out mail code 1"]

_B64_LETTERS = bytes.maketrans(b"+/", b"-_")
_B32_LETTERS = bytes.maketrans(bytes(range(32)), b"0123456789abcdefghijklmnopqrstuv")
_B32_SPARE_BITS = MAIL_CODE_CHARS * 5 - _MAIL_CODE_BYTES * 8
_B32_GROUPS = 64
"""The power of two above ``MAIL_CODE_CHARS``, so that groups of bits can be moved apart by halves."""


def _b32_moves() -> Iterator[tuple[int, int, int]]:
    """The steps that take a number of groups of five bits apart, to one group a byte.

    Each step splits every run of groups in the middle: (bits that stay, bits that move up, by how many).
    """
    half = _B32_GROUPS // 2
    while half:
        runs = range(0, _B32_GROUPS * 8, half * 16)
        stays = sum(((1 << half * 5) - 1) << run for run in runs)
        yield stays, stays << half * 5, half * 3
        half //= 2


_B32_MOVES = tuple(_b32_moves())

_TOKEN_ID = blake2b(digest_size=8, person=b"izin-token-id")

_TYPES: tuple[RecipientType | None, ...] = (None, *RECIPIENT_TYPES)
_SLOT_BYTE: dict[tuple[Channel, RecipientType | None], int] = {
    (channel, kind): number | type_number << 4
    for number, channel in enumerate(CHANNELS)
    for type_number, kind in enumerate(_TYPES)
}
_SLOT = {byte: slot for slot, byte in _SLOT_BYTE.items()}


class Grant(NamedTuple):
    """What a token entitles its holder to refuse: messages of ``brand`` over ``channel`` to ``address``.

    ``address`` is canonical (``EmailAddress.key`` or an E.164 number); ``recipient_type`` None where the sender
    declared none.
    """

    brand: int
    channel: Channel
    recipient_type: RecipientType | None
    address: bytes


class MailGrant(NamedTuple):
    """The same as a mail code carries it: the consent key (``filters.consent_key``) stands for the address."""

    brand: int
    channel: Channel
    recipient_type: RecipientType | None
    key: bytes


class OptOutLinks(NamedTuple):
    """Both URIs of List-Unsubscribe, and the token's short name for the evidence.

    ``mailto`` is "" for a brand without a domain for refusals by mail.
    """

    url: str
    mailto: str
    token_id: str


class TokenKeys:
    """Makes and reads tokens. Set up once: the cipher objects are kept, a token then costs a few microseconds.

    ``secrets`` maps key ids (0..255) to secrets of at least 32 bytes; ``current`` is the one that makes new tokens.
    Raises ``ValueError`` where that does not hold.
    """

    __slots__ = ("_ciphers", "_encrypt", "_id_byte")

    def __init__(self, secrets: Mapping[int, bytes], current: int) -> None:
        for key_id, secret in secrets.items():
            if not 0 <= key_id <= MAX_KEY_ID:
                raise ValueError(f"token key id: expected 0 to {MAX_KEY_ID}, found {key_id}")
            if len(secret) < MIN_SECRET_BYTES:
                raise ValueError(f"token key {key_id}: expected at least {MIN_SECRET_BYTES} bytes, found {len(secret)}")
        if current not in secrets:
            raise ValueError(f"token keys: the current key {current} is not among {sorted(secrets)}")
        self._ciphers = {
            key_id: AESSIV(blake2b(secret, digest_size=64, person=b"izin-token-key").digest())
            for key_id, secret in secrets.items()
        }
        self._encrypt = self._ciphers[current].encrypt
        self._id_byte = bytes((current,))

    def make_token(self, grant: Grant) -> str:
        """The token of ``grant``: 55 to about 110 characters of ``A-Z a-z 0-9 - _`` for usual addresses.

        Raises ``ValueError`` for an address or a brand that cannot be in one.
        """
        address = grant.address
        if not 0 < len(address) <= MAX_ADDRESS_BYTES or b"\0" in address:
            raise ValueError("opt-out token: the address is empty, too long or holds NUL")
        plain = _pack_head(grant.brand, grant.channel, grant.recipient_type) + address
        # Padded, so that the length of a link says little about the length of the address in it.
        plain += bytes(-len(plain) % _BLOCK)
        return _b64(self._id_byte + self._encrypt(plain, _TOKEN_CONTEXT))

    def read_token(self, text: str) -> Grant | None:
        """What ``text`` grants, or None if we did not make it."""
        if not text or len(text) > MAX_TOKEN_CHARS:
            return None
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            return None
        if _b64(sealed) != text:
            return None
        plain = self._open(sealed, _TOKEN_CONTEXT)
        if plain is None:
            return None
        slot = _SLOT.get(plain[_BRAND_BYTES])
        address = plain[_HEAD_BYTES:].rstrip(b"\0")
        if slot is None or not address:
            return None
        return Grant(int.from_bytes(plain[:_BRAND_BYTES], "big"), *slot, address)

    def make_mail_code(self, grant: MailGrant) -> str:
        """The code for the local part: 54 characters of ``0-9 a-v``. Raises ``ValueError`` for a key of wrong size."""
        return self._seal_mail_code(*grant)

    def _seal_mail_code(self, brand: int, channel: Channel, recipient_type: RecipientType | None, key: bytes) -> str:
        if len(key) != KEY_BYTES:
            raise ValueError(f"opt-out mail code: expected a consent key of {KEY_BYTES} bytes, found {len(key)}")
        plain = _pack_head(brand, channel, recipient_type) + key
        return _b32(self._id_byte + self._encrypt(plain, _MAIL_CONTEXT))

    def read_mail_code(self, text: str) -> MailGrant | None:
        """What ``text``, in upper or lower case, grants, or None if we did not make it."""
        if len(text) != MAIL_CODE_CHARS or not text.isascii():
            return None
        try:
            sealed = (int(text, 32) >> _B32_SPARE_BITS).to_bytes(_MAIL_CODE_BYTES, "big")
        except (ValueError, OverflowError):
            return None
        if _b32(sealed) != text.lower():
            return None
        plain = self._open(sealed, _MAIL_CONTEXT)
        if plain is None:
            return None
        slot = _SLOT.get(plain[_BRAND_BYTES])
        if slot is None:
            return None
        return MailGrant(int.from_bytes(plain[:_BRAND_BYTES], "big"), *slot, plain[_HEAD_BYTES:])

    def opt_out_links(self, brand: Brand, grant: Grant, key: bytes) -> OptOutLinks:
        """Both URIs for ``grant``; ``key`` is its consent key, which the look-up has derived already.

        The subject of the ``mailto:`` URI repeats the token, so that the report to the registry can name the address.
        """
        token = self.make_token(grant)
        url = f"{brand.opt_out_url}/u/{token}"
        name = identify_token(token)
        if not brand.opt_out_mail_domain:
            return OptOutLinks(url, "", name)
        code = self._seal_mail_code(grant.brand, grant.channel, grant.recipient_type, key)
        mailto = f"mailto:{MAIL_CODE_PREFIX}{code}@{brand.opt_out_mail_domain}?subject=RET%20{token}"
        return OptOutLinks(url, mailto, name)

    def _open(self, sealed: bytes, context: list[bytes]) -> bytes | None:
        if len(sealed) <= 1 + _TAG_BYTES + _HEAD_BYTES:
            return None
        cipher = self._ciphers.get(sealed[0])
        if cipher is None:
            return None
        try:
            # AES-SIV takes the ciphertext after the synthetic nonce, which is its tag as well.
            return cipher.decrypt(sealed[1:], context)
        except InvalidTag:
            return None


def identify_token(token: str) -> str:
    """The short name of ``token`` in the evidence: enough to recognise a link someone shows us, not to forge it."""
    hashing = _TOKEN_ID.copy()
    hashing.update(token.encode("ascii", "replace"))
    return hashing.hexdigest()


@lru_cache(maxsize=1024)
def _pack_head(brand: int, channel: Channel, recipient_type: RecipientType | None) -> bytes:
    if not 0 <= brand <= MAX_BRAND:
        raise ValueError(f"opt-out token: brand {brand} does not fit")
    return brand.to_bytes(_BRAND_BYTES, "big") + bytes((_SLOT_BYTE[channel, recipient_type],))


def _b64(sealed: bytes) -> str:
    return binascii.b2a_base64(sealed, newline=False).translate(_B64_LETTERS, b"=").decode("ascii")


def _b32(sealed: bytes) -> str:
    """Base32 of ``_MAIL_CODE_BYTES``. Each mail sent needs one, and the standard library takes five times as long."""
    bits = int.from_bytes(sealed, "big") << _B32_SPARE_BITS
    for stays, moves, by in _B32_MOVES:
        bits = (bits & stays) | ((bits & moves) << by)
    return bits.to_bytes(_B32_GROUPS, "big")[-MAIL_CODE_CHARS:].translate(_B32_LETTERS).decode("ascii")

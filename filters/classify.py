"""Classifies: tag fields of the message and rights of the client make class, brand, recipient type and campaign.

Tags tighten, never loosen (design D4): what is missing or unreadable is commercial (gate G1, the safest reading of Law
6563, 6/1); a class fixed for the client can be tightened by a tag but not loosened; a class the client may not send is
refused, not reinterpreted. A field that stands twice with different meanings is refused, because the next reader of
the message might believe the other one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import NamedTuple, TypeVar

from filters.brand import Brand
from filters.client import Client
from filters.reason import Reason
from filters.vocabulary import MessageClass, RecipientType


@dataclass(frozen=True, slots=True)
class TagField:
    """One header field that carries a tag: our own, or an alias for another vendor's.

    ``name`` is lower-case ASCII. ``values`` translates that vendor's words into ours, both lower-case; a word that is
    not in it is unreadable. None means the field speaks our words.
    """

    name: bytes
    values: Mapping[bytes, bytes] | None = None


@dataclass(frozen=True, slots=True)
class TagHeaders:
    """Which header fields carry the tags. All of ``names`` are removed before relaying."""

    message_class: tuple[TagField, ...] = (TagField(b"x-izin-class"),)
    brand: tuple[TagField, ...] = (TagField(b"x-izin-brand"),)
    recipient_type: tuple[TagField, ...] = (TagField(b"x-izin-recipient-type"),)
    campaign: tuple[TagField, ...] = (TagField(b"x-izin-campaign"),)
    names: frozenset[bytes] = field(init=False)

    def __post_init__(self) -> None:
        fields = (*self.message_class, *self.brand, *self.recipient_type, *self.campaign)
        names = [tag.name for tag in fields]
        for name in names:
            if not _FIELD_NAME(name):
                raise ValueError(f"tag field: expected a lower-case header name, found {name!r}")
        if len(set(names)) != len(names):
            raise ValueError("tag fields: expected each header name once")
        object.__setattr__(self, "names", frozenset(names))


class TagSource(StrEnum):
    """Who set a value; kept in the evidence."""

    HEADER = "header"
    CLIENT_FIXED = "client_fixed"
    CLIENT_DEFAULT = "client_default"
    SAFEST_READING = "safest_reading"
    NOBODY = "nobody"


class Classification(NamedTuple):
    """What the message is.

    ``brand`` is None only where the message is exempt and the client, having none or several brands, named none.
    ``campaign`` is printable ASCII of at most 64 characters, or "". ``noted`` is what the sender should hear although
    it stops nothing.
    """

    message_class: MessageClass
    class_source: TagSource
    brand: Brand | None
    brand_source: TagSource
    recipient_type: RecipientType | None
    recipient_type_source: TagSource
    campaign: str = ""
    noted: tuple[Reason, ...] = ()

    @property
    def is_tagged(self) -> bool:
        """False where the class is only the safest reading of a missing or unreadable tag (gate G1)."""
        return Reason.TAG_MISSING not in self.noted


class ClassificationRefusal(NamedTuple):
    """Why the message cannot be classified: permanent, the sender or the operator has to mend it.

    ``field`` is the name of the header field concerned, never its value.
    """

    reason: Reason
    field: str


_FIELD_NAME = re.compile(rb"[!-9;-@\[-~]+").fullmatch  # RFC 5322 2.2 ftext, without upper case
_BRAND_CODE = re.compile(rb"[1-9][0-9]{0,9}").fullmatch
_CAMPAIGN = re.compile(rb"[ -~]{0,64}").fullmatch
_BLANKS = b" \t\r\n"

_CLASS_WORDS: dict[bytes, MessageClass] = {
    b"commercial": MessageClass.COMMERCIAL,
    b"ticari": MessageClass.COMMERCIAL,
    b"informational": MessageClass.INFORMATIONAL,
    b"bilgilendirme": MessageClass.INFORMATIONAL,
    b"service": MessageClass.SERVICE,
    b"hizmet": MessageClass.SERVICE,
}
_TYPE_WORDS: dict[bytes, RecipientType] = {
    b"individual": RecipientType.INDIVIDUAL,
    b"bireysel": RecipientType.INDIVIDUAL,
    b"business": RecipientType.BUSINESS,
    b"tacir": RecipientType.BUSINESS,
}
_STRICTNESS = {MessageClass.INFORMATIONAL: 0, MessageClass.SERVICE: 1, MessageClass.COMMERCIAL: 2}


def classify(
    tags: Mapping[bytes, Sequence[bytes]],
    client: Client,
    brands: Mapping[int, Brand],
    headers: TagHeaders,
) -> Classification | ClassificationRefusal:
    """Class, brand, recipient type and campaign of one message.

    ``tags`` holds the raw values of the tag fields that the message has, by lower-case name; names that ``headers``
    does not know are not looked at. ``brands`` are all brands by code.
    """
    classes = _read(tags, headers.message_class, _find_class_word)
    if len(classes) > 1:
        return _disagreeing(headers.message_class)
    message_class, class_source = _find_class(classes, client)
    if message_class not in client.allowed_classes:
        return ClassificationRefusal(Reason.CLASS_NOT_ALLOWED, _name(headers.message_class))
    is_tagged = message_class is not MessageClass.COMMERCIAL or (
        class_source is TagSource.HEADER or class_source is TagSource.CLIENT_FIXED
    )

    named = _read(tags, headers.brand, partial(_find_code, client, brands))
    if len(named) > 1:
        return _disagreeing(headers.brand)
    brand, brand_source = _find_brand(named, client, brands)
    if brand is None and (named or message_class is MessageClass.COMMERCIAL):
        return ClassificationRefusal(Reason.BRAND_UNKNOWN, _name(headers.brand))

    types = _read(tags, headers.recipient_type, _find_type_word)
    if len(types) > 1:
        return _disagreeing(headers.recipient_type)
    recipient_type, type_source = _find_recipient_type(types, client)

    campaigns = _read(tags, headers.campaign, bytes)
    if len(campaigns) > 1:
        return _disagreeing(headers.campaign)
    campaign = _find_campaign(campaigns)

    noted = () if is_tagged else (Reason.TAG_MISSING,)
    if type_source is TagSource.SAFEST_READING or campaign is None:
        noted = (*noted, Reason.TAG_INVALID)
    return Classification(
        message_class, class_source, brand, brand_source, recipient_type, type_source, campaign or "", noted
    )


Meaning = TypeVar("Meaning")


def _read(
    tags: Mapping[bytes, Sequence[bytes]], fields: Iterable[TagField], understand: Callable[[bytes], Meaning]
) -> Collection[Meaning]:
    """The distinct meanings that ``fields`` state; an untranslatable word of an alias is understood as b""."""
    meanings: set[Meaning] | None = None
    for tag in fields:
        values = tags.get(tag.name)
        if values:
            if meanings is None:
                meanings = set()
            for value in values:
                word = value.strip(_BLANKS)
                meanings.add(understand(word if tag.values is None else tag.values.get(word.lower(), b"")))
    return () if meanings is None else meanings


def _find_class_word(word: bytes) -> MessageClass | None:
    return _CLASS_WORDS.get(word.lower())


def _find_type_word(word: bytes) -> RecipientType | None:
    return _TYPE_WORDS.get(word.lower())


def _find_class(tagged: Collection[MessageClass | None], client: Client) -> tuple[MessageClass, TagSource]:
    fixed = client.fixed_class
    for stated in tagged:
        if stated is None:
            return MessageClass.COMMERCIAL, TagSource.SAFEST_READING
        # A sender who says "commercial" where its login is for service mail is believed; the other way round it is not.
        if fixed is None or _STRICTNESS[stated] > _STRICTNESS[fixed]:
            return stated, TagSource.HEADER
    if fixed is not None:
        return fixed, TagSource.CLIENT_FIXED
    return client.default_class, TagSource.CLIENT_DEFAULT


def _find_code(client: Client, brands: Mapping[int, Brand], word: bytes) -> int:
    """The code of the client's brand that ``word`` names by code or by name; 0 for none, or for two of one name."""
    if _BRAND_CODE(word):
        code = int(word)
        return code if code in client.brands else 0
    folded = word.lower()
    named = [code for code in client.brands if code in brands and brands[code].name.encode().lower() == folded]
    return named[0] if len(named) == 1 else 0


def _find_brand(named: Collection[int], client: Client, brands: Mapping[int, Brand]) -> tuple[Brand | None, TagSource]:
    for code in named:
        return brands.get(code), TagSource.HEADER
    if len(client.brands) == 1:
        return brands.get(client.brands[0]), TagSource.CLIENT_DEFAULT
    return None, TagSource.NOBODY


def _find_recipient_type(
    stated: Collection[RecipientType | None], client: Client
) -> tuple[RecipientType | None, TagSource]:
    for kind in stated:
        # Unreadable is undeclared, not the client's default: the sender said something else than the default.
        return kind, TagSource.HEADER if kind is not None else TagSource.SAFEST_READING
    if client.default_recipient_type is not None:
        return client.default_recipient_type, TagSource.CLIENT_DEFAULT
    return None, TagSource.NOBODY


def _find_campaign(words: Collection[bytes]) -> str | None:
    """The campaign, "" where none is named, None where it is not printable ASCII or too long."""
    for word in words:
        return word.decode("ascii") if _CAMPAIGN(word) else None
    return ""


def _name(fields: Sequence[TagField]) -> str:
    return fields[0].name.decode("ascii") if fields else ""


def _disagreeing(fields: Sequence[TagField]) -> ClassificationRefusal:
    return ClassificationRefusal(Reason.TAG_INVALID, _name(fields))

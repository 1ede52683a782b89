"""Dealers, and which of them may use a consent (İYS API reference, 8.1 and 8.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from filters.registry.call import Call, brand_path, json_body, query_of, read_nothing
from filters.registry.reading import (
    find_integer,
    find_part,
    find_text,
    find_time,
    need_integer,
    parse_object,
    read_page,
)
from filters.registry.values import Added, ConsentSubject, Page, Place, RegistryBrand, Retailer, RetailerToAdd
from filters.registry.words import CHANNEL_WORDS, RECIPIENT_TYPE_WORDS
from filters.registry.writing import MAX_ACCESS, UnsendableError, recipient_list, retailer_list, subject_fields
from filters.vocabulary import Channel, RecipientType

MAX_PAGE = 100
_MAX_TEXT = 255
_STATUSES = ("active", "passive", "suspended")


def add_retailer(brand: RegistryBrand, retailer: RetailerToAdd) -> Call[int]:
    """Register a dealer; gives its code. Raises ``UnsendableError``."""
    body = json_body(_retailer_fields(retailer))
    return Call("add_retailer", "POST", brand_path(brand, "retailers"), _read_code, body=body, is_repeatable=False)


def retailers(
    brand: RegistryBrand,
    offset: int = 0,
    limit: int = MAX_PAGE,
    *,
    is_all: bool | None = None,
    is_short: bool | None = None,
) -> Call[Page[Retailer]]:
    """A page of a brand's dealers."""
    query = query_of(offset=_offset(offset), limit=_limit(limit), all=is_all, short=is_short)
    return Call("retailers", "GET", brand_path(brand, "retailers"), _read_retailers, query)


def retailer(brand: RegistryBrand, retailer_code: int) -> Call[Retailer]:
    """One dealer."""
    return Call("retailer", "GET", brand_path(brand, f"retailers/{_code(retailer_code)}"), _read_retailer)


def delete_retailer(brand: RegistryBrand, retailer_code: int) -> Call[None]:
    """Remove a dealer to whom no consent refers. The answer is plain text."""
    path = brand_path(brand, f"retailers/{_code(retailer_code)}")
    return Call("delete_retailer", "DELETE", path, read_nothing)


def add_access(brand: RegistryBrand, subject: ConsentSubject, codes: Sequence[int]) -> Call[Added]:
    """Let dealers use one consent too. Raises ``UnsendableError``."""
    body = json_body({**subject_fields(subject), "retailerAccess": retailer_list(codes)})
    return Call("add_access", "POST", brand_path(brand, "consents/retailers/access"), _read_access_added, body=body)


def set_access(
    brand: RegistryBrand,
    channel: Channel,
    recipient_type: RecipientType,
    recipients: Sequence[str],
    codes: Sequence[int],
) -> Call[None]:
    """Replace the whole list of up to 100 consents; who took one loses it too. Raises ``UnsendableError``."""
    body = json_body({**_many(channel, recipient_type, recipients), "retailerAccess": retailer_list(codes)})
    return Call("set_access", "PUT", brand_path(brand, "consents/retailers/access"), read_nothing, body=body)


def access(
    brand: RegistryBrand, subject: ConsentSubject, offset: int = 0, limit: int = MAX_PAGE
) -> Call[Page[Retailer]]:
    """The dealers who may use one consent. Raises ``UnsendableError``."""
    return Call(
        "access",
        "POST",
        brand_path(brand, "consent/retailers/access/list"),  # the one path with "consent" in the singular
        _read_retailers,
        query_of(offset=_offset(offset), limit=_limit(limit)),
        json_body(subject_fields(subject)),
    )


def remove_access(
    brand: RegistryBrand,
    channel: Channel,
    recipient_type: RecipientType,
    recipients: Sequence[str],
    codes: Sequence[int],
) -> Call[None]:
    """Take consents from dealers. Raises ``UnsendableError``."""
    body = json_body({**_many(channel, recipient_type, recipients), "retailerAccess": retailer_list(codes)})
    return Call("remove_access", "POST", brand_path(brand, "consents/retailers/access/remove"), read_nothing, body=body)


def remove_all_access(
    brand: RegistryBrand, channel: Channel, recipient_type: RecipientType, recipients: Sequence[str]
) -> Call[None]:
    """Take consents from all dealers. Raises ``UnsendableError``."""
    path = brand_path(brand, "consents/retailers/access/remove/all")
    body = json_body(_many(channel, recipient_type, recipients))
    return Call("remove_all_access", "POST", path, read_nothing, body=body)


def _many(channel: Channel, recipient_type: RecipientType, recipients: Sequence[str]) -> dict[str, Any]:
    return {
        "recipients": recipient_list(recipients, channel, MAX_ACCESS, "H127"),
        "recipientType": RECIPIENT_TYPE_WORDS[recipient_type],
        "type": CHANNEL_WORDS[channel],
    }


def _code(number: int) -> int:
    if not 10_000_000 <= number <= 99_999_999:
        raise ValueError("retailer code: expected eight digits")
    return number


def _offset(offset: int) -> int:
    if offset < 0:
        raise ValueError("retailers: expected an offset of 0 or more")
    return offset


def _limit(limit: int) -> int:
    if not 0 < limit <= MAX_PAGE:
        raise ValueError(f"retailers: expected a limit of 1 to {MAX_PAGE}")
    return limit


def _retailer_fields(retailer: RetailerToAdd) -> dict[str, Any]:
    for code, text in (("H214", retailer.title), ("H215", retailer.name)):
        if not text.strip():
            raise UnsendableError(code, "a dealer needs title and name")
    optional = {
        "mersis": retailer.mersis,
        "alias": retailer.alias,
        "mobile": retailer.mobile,
        "status": retailer.status,
    }
    fields: dict[str, Any] = {
        "title": retailer.title,
        "name": retailer.name,
        "tckn": _digits(retailer.tckn, (11,), "H225"),
        "tin": _digits(retailer.tin, (10, 11), "H243"),
        "city": _place(retailer.city),
        "town": _place(retailer.town),
        **{name: value for name, value in optional.items() if value is not None},
    }
    if any(isinstance(value, str) and not 0 < len(value) <= _MAX_TEXT for value in fields.values()):
        raise UnsendableError("H017", f"a dealer's texts have 1 to {_MAX_TEXT} characters")
    if retailer.mersis is not None:
        _digits(retailer.mersis, (16,), "H227")
    if retailer.status is not None and retailer.status not in _STATUSES:
        raise UnsendableError("H201", "a dealer is active, passive or suspended")
    return fields


def _digits(text: str, lengths: tuple[int, ...], code: str) -> str:
    if len(text) not in lengths or not text.isascii() or not text.isdigit():
        raise UnsendableError(code, "a dealer's number has another form")
    return text


def _place(place: Place) -> dict[str, Any]:
    return {"name": place.name, "code": place.code}


def _read_code(status: int, body: bytes) -> int:
    return need_integer(parse_object(body), "retailerCode")


def _read_retailers(status: int, body: bytes) -> Page[Retailer]:
    return read_page(body, _retailer)


def _read_retailer(status: int, body: bytes) -> Retailer:
    return _retailer(parse_object(body))


def _retailer(fields: Mapping[str, Any]) -> Retailer:
    return Retailer(
        need_integer(fields, "retailerCode"),
        find_text(fields, "title"),
        find_text(fields, "name"),
        find_text(fields, "status"),
        find_text(find_part(fields, "city"), "name"),
        find_text(find_part(fields, "town"), "name"),
        find_integer(fields, "retailerAccessCount"),
    )


def _read_access_added(status: int, body: bytes) -> Added:
    fields = parse_object(body)
    return Added(find_text(fields, "transactionId"), find_time(fields, "creationDate"))

"""One line of a CSV file as one record of the index, or what is wrong with it. Reject, never repair.

Columns, in any order, named in the header row: ``recipient``, ``type``, ``recipientType``, ``status``, ``source``,
``consentDate``, and optionally ``retailerCode`` and ``retailerAccess``: the dealer who took the consent and those it is
open to. To the index a consent is the brand's, whoever took it; the dealers' numbers go into a list beside it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection
from datetime import date, datetime
from difflib import get_close_matches
from functools import cache
from typing import NamedTuple

from filters.address import AddressError, parse_email
from filters.consent import Change, Consent, pack_change, slot_of
from filters.consent_key import KEY_BYTES, ConsentKeys
from filters.decision.dealer_access import FIRST_CODE, MOST_CODES, AccessList, access_list
from filters.phone import PhoneError, parse_phone
from filters.vocabulary import Channel, Status
from gateway.consents.csv_file import MOST_LINE_BYTES, CsvFileError
from gateway.consents.words import (
    CHANNEL_WORDS,
    FIRST_CONSENT_AT,
    RECIPIENT_TYPE_WORDS,
    REGISTRY_ZONE,
    STATUS_WORDS,
    TIME_FORM,
    describe_words,
    parse_source,
    render_time,
)

REQUIRED = ("recipient", "type", "recipientType", "status", "source", "consentDate")
OPTIONAL = ("retailerCode", "retailerAccess")
_COLUMNS = REQUIRED + OPTIONAL
# A last line without line end is whole if its last column cannot be the beginning of something longer.
_SELF_DELIMITING = frozenset({"type", "recipientType", "status", "consentDate"})
_RETAILERS = re.compile(r"(?:[0-9]{8}(?:[,;| ]{1,2}[0-9]{8})*+)?").fullmatch
_DIGITS = re.compile("[0-9]+").findall
_MOST_FOUND = 60
_CLOCK_TOLERANCE_S = 300


class CsvRowError(ValueError):
    """What is wrong with one row. ``found`` has addresses masked: it is printed and written to a file."""

    def __init__(self, column: str, expected: str, found: str) -> None:
        super().__init__(f"{column}: {expected}, found {found}")
        self.column = column
        self.expected = expected
        self.found = found


class Columns(NamedTuple):
    """Where each column stands; -1 for an optional one that is not there."""

    names: tuple[str, ...]
    recipient: int
    type: int
    recipient_type: int
    status: int
    source: int
    consent_date: int
    retailer_code: int
    retailer_access: int


def parse_header(file_name: str, header: str) -> Columns:
    """Raises ``CsvFileError``: a file whose columns are not known is not read any further."""
    place = f"{file_name}, line 1"
    try:
        names = next(csv.reader([header], strict=True), [])
    except csv.Error:
        raise CsvFileError(f"{place}: expected column names, found a quotation mark out of place") from None
    wanted = f"expected the columns {', '.join(REQUIRED)} (optional: {', '.join(OPTIONAL)})"
    if not header.strip():
        raise CsvFileError(f"{place}: {wanted}, found an empty line")
    for separator, called in ((";", "semicolons"), ("\t", "tabs")):
        if separator in header and len(names) == 1:
            raise CsvFileError(f"{place}: expected columns separated by commas, found {called}")
    if not set(names) & set(_COLUMNS) and ("@" in header or re.search("[0-9]{5}", header)):
        raise CsvFileError(f"{place}: {wanted}, found no header row but what looks like a record")
    for name in names:
        if name not in _COLUMNS:
            near = get_close_matches(name, _COLUMNS, 1, 0.5)
            hint = f" (nearest: {near[0]})" if near else ""
            raise CsvFileError(f"{place}: {wanted}, found {mask(name)}{hint}")
        if names.count(name) > 1:
            raise CsvFileError(f"{place}: expected each column once, found {name} {names.count(name)} times")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise CsvFileError(f"{place}: {wanted}, found no column {', '.join(missing)}")
    return Columns(tuple(names), *(names.index(name) if name in names else -1 for name in _COLUMNS))


class RowParser:
    """Makes packed records (key and entry joined) from the rows of one brand. ``now``: seconds since 1970 UTC."""

    def __init__(self, brand: int, keys: ConsentKeys, now: int) -> None:
        self._brand = brand
        self._derive = keys.derive
        self._latest = now + _CLOCK_TOLERANCE_S
        # Words and dates repeat a million times; each spelling is looked at once.
        self._heads: dict[tuple[str, str, str, str], tuple[bytes, bool]] = {}
        self._days: dict[str, int] = {}
        self._seconds = _seconds_of_day()
        self.access: AccessList | None = None
        """The dealers of the row parsed last; None for a refusal, and where the file has no column about them."""

    def parse_line(self, columns: Columns, line: bytes, *, is_cut_off: bool = False) -> bytes:
        """The record of one line as it stands in the file. Raises ``CsvRowError``."""
        if len(line) > MOST_LINE_BYTES:
            raise CsvRowError("row", f"expected at most {MOST_LINE_BYTES} bytes", f"{len(line)}")
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise CsvRowError("row", "expected UTF-8", f"byte {line[error.start]:#04x}") from None
        if text[-1:] == "\r":
            text = text[:-1]
        if not text.isprintable():
            if "\0" in text:
                raise CsvRowError("row", "expected text", "a NUL byte")
            if "\r" in text:
                raise CsvRowError("row", "expected one row a line", "a carriage return inside the line")
        return self.parse_text(columns, text, is_cut_off=is_cut_off)

    def parse_text(self, columns: Columns, text: str, *, is_cut_off: bool = False) -> bytes:
        """The record of one line of text without control characters. Raises ``CsvRowError``."""
        if '"' in text:
            try:
                fields = next(csv.reader([text], strict=True))
            except csv.Error:
                raise CsvRowError(
                    "row", "expected quotation marks around a whole column, closed on the same line", "one out of place"
                ) from None
        else:
            fields = text.split(",")
        if len(fields) != len(columns.names):
            if is_cut_off:
                raise _cut_off()
            raise CsvRowError("row", f"expected {len(columns.names)} columns", f"{len(fields)}")
        record = self.parse_fields(columns, fields)
        if is_cut_off and columns.names[-1] not in _SELF_DELIMITING:
            raise _cut_off()
        return record

    def parse_fields(self, columns: Columns, fields: list[str]) -> bytes:
        """The record of one row. Raises ``CsvRowError``."""
        words = (
            fields[columns.type],
            fields[columns.recipient_type],
            fields[columns.status],
            fields[columns.source],
        )
        try:
            head, is_email = self._heads[words]
        except KeyError:
            head, is_email = self._heads[words] = _parse_words(*words)
        spelled = fields[columns.consent_date]
        try:
            if spelled[10] != " ":
                raise CsvRowError("consentDate", TIME_FORM, mask(spelled))
            consent_at = self._days[spelled[:10]] + self._seconds[spelled[11:]]
        except (KeyError, IndexError):
            consent_at = self._parse_rare_date(spelled)
        if not FIRST_CONSENT_AT <= consent_at <= self._latest:
            if consent_at < FIRST_CONSENT_AT:
                raise CsvRowError("consentDate", f"expected a time from {render_time(FIRST_CONSENT_AT)} on", spelled)
            raise CsvRowError("consentDate", "expected a time that is not in the future", spelled)
        recipient = fields[columns.recipient]
        try:
            address = parse_email(recipient.encode(), allow_utf8=True).key if is_email else parse_phone(recipient).key
        except (AddressError, PhoneError) as error:
            expected = "an e-mail address" if is_email else "a phone number as +905XXXXXXXXX"
            raise CsvRowError("recipient", f"expected {expected} ({error})", mask(recipient)) from None
        if columns.retailer_code >= 0 or columns.retailer_access >= 0:
            codes = _read_retailers(columns, fields)
            key = self._derive(self._brand, address)
            channel, recipient_type, status = slot_of(head[0])
            is_consent = status is Status.APPROVED
            self.access = access_list(key, channel, recipient_type, consent_at, codes) if is_consent else None
            return key + head + consent_at.to_bytes(4, "big")
        return self._derive(self._brand, address) + head + consent_at.to_bytes(4, "big")

    def _parse_rare_date(self, spelled: str) -> int:
        """A day not seen before, or no date at all."""
        day, space, second = spelled.partition(" ")
        if len(day) != 10 or not space or second not in self._seconds or not day.isascii():
            raise CsvRowError("consentDate", TIME_FORM, mask(spelled))
        try:
            midnight = datetime.combine(date.fromisoformat(day), datetime.min.time(), REGISTRY_ZONE)
        except ValueError:
            raise CsvRowError("consentDate", TIME_FORM, mask(spelled)) from None
        if day != midnight.strftime("%Y-%m-%d"):
            raise CsvRowError("consentDate", TIME_FORM, mask(spelled))  # ISO's other forms of the same length
        self._days[day] = int(midnight.timestamp())
        return self._days[day] + self._seconds[second]


@cache
def _seconds_of_day() -> dict[str, int]:
    """Every ``HH:mm:ss`` there is: a look-up is both the check and the conversion."""
    return {
        f"{hour:02}:{minute:02}:{second:02}": (hour * 60 + minute) * 60 + second
        for hour in range(24)
        for minute in range(60)
        for second in range(60)
    }


def _parse_words(kind: str, recipient_type: str, status: str, source: str) -> tuple[bytes, bool]:
    """The first two bytes of the packed entry, and whether the recipient is an e-mail address."""
    checks: tuple[tuple[str, Collection[str], str], ...] = (
        ("type", CHANNEL_WORDS, kind),
        ("recipientType", RECIPIENT_TYPE_WORDS, recipient_type),
        ("status", STATUS_WORDS, status),
    )
    for column, words, found in checks:
        if found not in words:
            near = get_close_matches(found.upper(), words, 1)
            raise CsvRowError(column, describe_words(words) + (f" (nearest: {near[0]})" if near else ""), mask(found))
    try:
        parse_source(source)
    except ValueError as error:
        raise CsvRowError("source", str(error), mask(source)) from None
    channel = CHANNEL_WORDS[kind]
    consent = Consent(STATUS_WORDS[status], 0, source)
    entry = pack_change(Change(bytes(KEY_BYTES), channel, RECIPIENT_TYPE_WORDS[recipient_type], consent))
    return entry[:2], channel is Channel.EMAIL


def _read_retailers(columns: Columns, fields: list[str]) -> set[int]:
    codes: set[int] = set()
    if columns.retailer_code >= 0:
        code = fields[columns.retailer_code]
        if code and not (len(code) == 8 and code.isascii() and code.isdigit()):
            raise CsvRowError("retailerCode", "expected eight digits or nothing", mask(code))
        if code:
            codes.add(int(code))
    if columns.retailer_access >= 0:
        access = fields[columns.retailer_access]
        if not _RETAILERS(access):
            raise CsvRowError(
                "retailerAccess", "expected codes of eight digits, separated by commas in quotation marks", mask(access)
            )
        codes.update(map(int, _DIGITS(access)))
    if any(code < FIRST_CODE for code in codes) or len(codes) > MOST_CODES:
        raise CsvRowError("retailerCode", f"expected at most {MOST_CODES} codes that do not begin with 0", "others")
    return codes


def _cut_off() -> CsvRowError:
    return CsvRowError("row", "expected a line end after the last row", "none: the file may be cut off")


def mask(found: str) -> str:
    """``found`` as it may be printed: quoted, shortened, and with what could be an address made unreadable.

    A row with its columns in the wrong order has the address anywhere, so every value is treated as one.
    """
    if not found:
        return "nothing"
    digits = sum(character.isdigit() for character in found)
    if "@" in found:
        local, _, domain = found.rpartition("@")
        found = f"{local[:1]}***@{domain if _is_plain_domain(domain) else '***'}"
    elif digits >= 5 and not _is_date_like(found):
        found = f"{found[:3]}***{found[-2:]}"
    shown = found[:_MOST_FOUND] + ("…" if len(found) > _MOST_FOUND else "")
    return ascii(shown) if not shown.isprintable() else f"'{shown}'"


_is_date_like: Callable[[str], object] = re.compile(
    r"(?:(?:19|20)[0-9]{2}[-./][0-9]{1,2}[-./][0-9]{1,2}|[0-9]{1,2}[-./][0-9]{1,2}[-./](?:19|20)[0-9]{2})"
    r"(?:[ T][0-9]{1,2}(?::[0-9]{0,2}){0,2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
).fullmatch
_is_plain_domain: Callable[[str], object] = re.compile(r"[\w.-]{1,60}").fullmatch

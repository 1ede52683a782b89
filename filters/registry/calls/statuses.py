"""Asking what the registry holds and what changed there (İYS API reference, 6.4 to 6.7)."""

from __future__ import annotations

from collections.abc import Sequence

from filters.registry.call import Call, Priority, Quota, brand_path, json_body, query_of
from filters.registry.reading import (
    UnreadableError,
    as_list,
    find,
    find_count,
    find_integer,
    find_part,
    find_text,
    need_brand,
    parse_json,
    parse_object,
    read_errors,
    read_movements,
    read_recipient,
    read_time,
)
from filters.registry.values import (
    ChangesPage,
    ChangesSource,
    ConsentSubject,
    Movement,
    MultiStatus,
    Page,
    RegistryBrand,
    StoredConsent,
)
from filters.registry.words import CHANNEL_WORDS, RECIPIENT_TYPE_WORDS, find_source, find_status
from filters.registry.writing import MAX_MULTI_STATUS, recipient_list, subject_fields
from filters.vocabulary import Channel, RecipientType

MAX_CHANGES = 1000
MAX_HISTORY = 100
_MAX_CURSOR = 512
_ACCOUNT_UNKNOWN = frozenset({"H001", "H018", "H058", "H031", "H129", "H268", "H355", "H437"})
"""404 with one of these speaks of our account, not of the recipient."""


def status(brand: RegistryBrand, subject: ConsentSubject) -> Call[StoredConsent | None]:
    """One subject; None is no record. 1000 an hour. Raises ``UnsendableError``."""
    return Call(
        "status",
        "POST",
        brand_path(brand, "consents/status"),
        lambda status, body: _read_status(status, body, brand, subject),
        body=json_body(subject_fields(subject)),
        quota=Quota.STATUS,
        priority=Priority.QUERY,
        reads_404=True,
    )


def multi_status(
    brand: RegistryBrand, channel: Channel, recipient_type: RecipientType, recipients: Sequence[str]
) -> Call[MultiStatus]:
    """Which of 1 to 1000 addresses have consent. Raises ``UnsendableError``; one bad address would fail all."""
    asked = recipient_list(recipients, channel, MAX_MULTI_STATUS, "H091")
    path = f"consents/{RECIPIENT_TYPE_WORDS[recipient_type]}/status/{CHANNEL_WORDS[channel]}"
    known = frozenset(asked)
    return Call(
        "multi_status",
        "POST",
        brand_path(brand, path),
        lambda status, body: _read_multi_status(body, known),
        body=json_body({"recipients": asked}),
        priority=Priority.QUERY,
    )


def history(
    brand: RegistryBrand, subject: ConsentSubject, offset: int = 0, limit: int = MAX_HISTORY
) -> Call[Page[Movement]]:
    """All movements of one subject, newest first; 100 an hour. Raises ``UnsendableError``."""
    if not 0 < limit <= MAX_HISTORY or offset < 0:
        raise ValueError(f"history: expected a limit of 1 to {MAX_HISTORY} and an offset of 0 or more")
    return Call(
        "history",
        "POST",
        brand_path(brand, "consents/history"),
        _read_history,
        query_of(limit=limit, offset=offset),
        json_body(subject_fields(subject)),
        Quota.HISTORY,
    )


def changes(
    brand: RegistryBrand, source: ChangesSource, after: str | None = None, limit: int = MAX_CHANGES
) -> Call[ChangesPage]:
    """Movements stored between seven days and an hour ago, oldest first; ``after`` is the cursor of the last page."""
    if not 0 < limit <= MAX_CHANGES:
        raise ValueError(f"changes: expected a limit of 1 to {MAX_CHANGES}")
    if after is not None and not 0 < len(after) <= _MAX_CURSOR:
        raise ValueError(f"changes: expected a cursor of 1 to {_MAX_CURSOR} characters")
    query = query_of(source=source.value, limit=limit, after=after)
    return Call(
        "changes",
        "GET",
        brand_path(brand, "consents/changes"),
        lambda status, body: _read_changes(status, body, brand),
        query,
    )


def _read_status(status: int, body: bytes, brand: RegistryBrand, subject: ConsentSubject) -> StoredConsent | None:
    if status == 404:
        _read_not_found(body)
        return None
    if not body.strip():
        return None
    fields = parse_object(body)
    word = find(fields, "status")
    if word is None or word == "":
        if read_errors(body):
            raise UnreadableError("status: missing, errors instead")
        return None
    found = find_status(word)
    if found is None:
        raise UnreadableError("status: not known")
    need_brand(fields, brand.brand_code)
    named = find(fields, "recipient")
    if named is not None and read_recipient(named) != subject.recipient:
        raise UnreadableError("recipient: another than asked for")
    for name, expected in (
        ("type", CHANNEL_WORDS[subject.channel]),
        ("recipientType", RECIPIENT_TYPE_WORDS[subject.recipient_type]),
    ):
        if find_text(fields, name).upper() not in ("", expected):
            raise UnreadableError(f"{name}: another than asked for")
    return StoredConsent(
        subject,
        found,
        find_source(find(fields, "source")),
        read_time(fields, "consentDate"),
        read_time(fields, "creationDate"),
        find_text(fields, "transactionId"),
        find_count(fields, "retailerAccessCount"),
        find_integer(fields, "retailerCode"),
        find_text(fields, "retailerTitle") or None,
    )


def _read_not_found(body: bytes) -> None:
    """No record, unless the 404 speaks of our account or is no word of the registry's at all."""
    if body.strip():
        parse_json(body)
        if any(entry.code in _ACCOUNT_UNKNOWN for entry in read_errors(body)):
            raise UnreadableError("account: not found")


def _read_multi_status(body: bytes, asked: frozenset[str]) -> MultiStatus:
    fields = parse_object(body)
    approved = set()
    # Without a list the answer says nothing; only an empty list says that nobody has given consent.
    for item in as_list(find(fields, "list"), "list"):
        recipient = read_recipient(find(item, "recipient") if isinstance(item, dict) else item)
        if recipient not in asked:
            raise UnreadableError("list: an address nobody asked for")
        approved.add(recipient)
    return MultiStatus(find_text(fields, "requestId"), frozenset(approved))


def _read_history(status: int, body: bytes) -> Page[Movement]:
    if not body.strip():
        return Page((), 0, None)
    fields = parse_object(body)
    movements, unread = read_movements(as_list(find(fields, "list"), "list"))
    pagination = find_part(fields, "pagination")
    return Page(movements, find_integer(pagination, "totalCount"), find_integer(pagination, "offset"), unread)


def _read_changes(status: int, body: bytes, brand: RegistryBrand) -> ChangesPage:
    if status == 204:
        return ChangesPage(None, ())
    fields = parse_object(body)
    movements, unread = read_movements(as_list(find(fields, "list"), "list"), brand.brand_code)
    after = find_text(fields, "after")
    if len(after) > _MAX_CURSOR:
        raise UnreadableError("after: too long")
    return ChangesPage(after or None, movements, unread)

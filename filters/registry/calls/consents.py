"""Adding consents, one or up to a thousand, and what became of them (İYS API reference, 6.1 to 6.3).

The second version recognises an identical repeat, so only it may be sent again after an unknown outcome.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from filters.registry.call import Call, Priority, brand_path, json_body, segment
from filters.registry.reading import (
    UnreadableError,
    as_list,
    as_object,
    find,
    find_integer,
    find_part,
    find_text,
    find_time,
    need_text,
    parse_json,
    parse_object,
)
from filters.registry.values import (
    Added,
    BulkAccepted,
    BulkItem,
    BulkResult,
    BulkState,
    ConsentToAdd,
    ErrorEntry,
    RegistryBrand,
    SubRequest,
)
from filters.registry.writing import bulk_fields, consent_fields
from filters.vocabulary import Status

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)
_STATES = {"success": BulkState.STORED, "failure": BulkState.FAILED}


def add_v1(brand: RegistryBrand, consent: ConsentToAdd) -> Call[Added]:
    """One consent. Raises ``UnsendableError``."""
    return _add(brand, consent, "add_v1", "", is_repeatable=False)


def add(brand: RegistryBrand, consent: ConsentToAdd) -> Call[Added]:
    """One consent by the second version. Raises ``UnsendableError``."""
    return _add(brand, consent, "add", "/v2", is_repeatable=True)


def _add(brand: RegistryBrand, consent: ConsentToAdd, name: str, version: str, *, is_repeatable: bool) -> Call[Added]:
    return Call(
        name,
        "POST",
        brand_path(brand, "consents", version),
        _read_added,
        body=json_body(consent_fields(consent)),
        priority=_priority((consent,)),
        is_repeatable=is_repeatable,
    )


def bulk_add_v1(brand: RegistryBrand, consents: Sequence[ConsentToAdd]) -> Call[BulkAccepted]:
    """1 to 1000 consents of different subjects; all or nothing. Raises ``UnsendableError``."""
    return _bulk_add(brand, consents, "bulk_add_v1", "", is_repeatable=False)


def bulk_add(brand: RegistryBrand, consents: Sequence[ConsentToAdd]) -> Call[BulkAccepted]:
    """The same by the second version: a repeat gets a new id, whose result points at the original."""
    return _bulk_add(brand, consents, "bulk_add", "/v2", is_repeatable=True)


def _bulk_add(
    brand: RegistryBrand, consents: Sequence[ConsentToAdd], name: str, version: str, *, is_repeatable: bool
) -> Call[BulkAccepted]:
    count = len(consents)
    return Call(
        name,
        "POST",
        brand_path(brand, "consents/request", version),
        lambda status, body: _read_accepted(body, count),
        body=json_body(bulk_fields(consents)),
        priority=_priority(consents),
        is_repeatable=is_repeatable,
    )


def _priority(consents: Sequence[ConsentToAdd]) -> Priority:
    has_refusal = any(consent.status is Status.REJECTED for consent in consents)
    return Priority.REFUSAL if has_refusal else Priority.ROUTINE


def is_request_id(text: str) -> bool:
    """Whether ``text`` may be asked for: up to 36 characters, not letters only, not digits only (H198, H199, H400)."""
    return _REQUEST_ID.fullmatch(text) is not None and not text.isalpha() and not text.isdigit()


def bulk_result_v1(brand: RegistryBrand, request_id: str) -> Call[BulkResult]:
    """What became of a bulk request of the first version; of use 300 s after it at the earliest."""
    return _bulk_result(brand, request_id, "bulk_result_v1", "")


def bulk_result(brand: RegistryBrand, request_id: str) -> Call[BulkResult]:
    """The same of the second version."""
    return _bulk_result(brand, request_id, "bulk_result", "/v2")


def _bulk_result(brand: RegistryBrand, request_id: str, name: str, version: str) -> Call[BulkResult]:
    if not is_request_id(request_id):
        raise ValueError("request id: expected at most 36 letters, digits and dashes, not of one kind only")
    return Call(name, "GET", brand_path(brand, f"consents/request/{segment(request_id)}", version), _read_result)


def _read_added(status: int, body: bytes) -> Added:
    fields = parse_object(body)
    return Added(need_text(fields, "transactionId"), find_time(fields, "creationDate"))


def _read_accepted(body: bytes, count: int) -> BulkAccepted:
    fields = parse_object(body)
    request_id = need_text(fields, "requestId")
    listed = find(fields, "subRequests")
    items: list[SubRequest] = []
    for item in listed if isinstance(listed, list) else []:
        inner = item if isinstance(item, dict) else {}
        items.append(SubRequest(find_text(inner, "subRequestId") or None, find_time(inner, "creationDate")))
    # Ids are only good for matching by place: of a list of another length none can be trusted.
    if len(items) != count:
        items = [SubRequest(None, None)] * count
    return BulkAccepted(request_id, tuple(items))


def _read_result(status: int, body: bytes) -> BulkResult:
    if not body.strip():
        return BulkResult(())
    value = parse_json(body)
    if isinstance(value, dict):  # one client's model has the list inside an object
        value = find(value, "subRequests")
    return BulkResult(tuple(_item(as_object(item, "item")) for item in as_list(value, "body")))


def _item(fields: Mapping[str, Any]) -> BulkItem:
    index = find_integer(fields, "index")
    sub_request_id = find_text(fields, "subRequestId") or None
    if index is None and sub_request_id is None:
        raise UnreadableError("index: missing")
    transaction_id = find_text(fields, "transactionId") or None
    state = _STATES.get(find_text(fields, "status").lower(), BulkState.QUEUED)
    if state is BulkState.STORED and transaction_id is None:
        state = BulkState.QUEUED  # only success with a transaction id proves storage
    error = None
    if state is BulkState.FAILED:
        error = ErrorEntry(find_text(find_part(fields, "error"), "code"), (), index)
    original = find_part(fields, "originalRequestInformation")
    return BulkItem(
        index,
        state,
        sub_request_id,
        transaction_id,
        find_time(fields, "creationDate"),
        error,
        bool(original),
        find_text(original, "requestId") or None,
        find_text(original, "subRequestId") or None,
    )

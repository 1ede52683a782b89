"""Infobip: many recipients in one JSON object, each refused in the answer itself (status group 5, REJECTED).

Facts: sms-dialects section 9 (schema: high confidence; that id 14 fits an İYS refusal is inferred, no İYS code of the
provider's is known). ``turkeyIys`` present means commercial to Turkey; absent it is not a promise of the contrary, so
the client's configured default applies. v3 and, for the provider's Node client, v2 ``text/advanced``.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from filters.reason import Reason
from filters.sms.dialect import (
    Call,
    CallKind,
    Cancellation,
    Fault,
    InboundMessage,
    RefusalModel,
    RequestRefusedError,
    Segments,
)
from filters.sms.dialects.answers import find_object, is_bad_number, is_try_again, sentence
from filters.sms.dialects.composed import compose_infobip
from filters.sms.dialects.headers import account_of, carried_headers, segments_header
from filters.sms.dialects.in_report import all_refused, all_unknown
from filters.sms.dialects.infobip_request import MAX_RECIPIENTS, read_contents, rebuild
from filters.sms.dialects.international_numbers import EXPECTED, sender_of
from filters.sms.dialects.strict_form import refuse_query, write_form
from filters.sms.dialects.strict_json import json_response, parse_json, read_json_object, write_json
from filters.sms.dialects.times import find_iso
from filters.sms.dialects.webhooks import read_any_form
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Relayed, ReportEntry, SmsFate, SmsRecipient, Submission
from filters.vocabulary import MessageClass, Outcome

_SENDS = {"/sms/3/messages": "v3.send", "/sms/2/text/advanced": "v2.send"}
_ENDED = ("CANCELED", "CANCELLED")
_READ_ONLY = frozenset({"/sms/1/inbox/reports", "/sms/1/bulks", "/sms/1/bulks/status", "/account/1/balance"})
_REPORTS = frozenset({"/sms/3/reports", "/sms/3/logs", "/sms/1/reports", "/sms/1/logs"})

_FAULTS: dict[Fault, int] = {
    Fault.MALFORMED: 400,
    Fault.UNKNOWN_FIELD: 400,
    Fault.BAD_NUMBER: 400,
    Fault.TOO_MANY_RECIPIENTS: 400,
    Fault.TOO_LARGE: 400,
    Fault.NO_TEXT: 400,
    Fault.TEXT_TOO_LONG: 400,
    Fault.NOT_ALLOWED: 403,
    Fault.UNAUTHENTICATED: 401,
    Fault.TOO_MANY_REQUESTS: 429,
    Fault.NOT_FOUND: 404,
    Fault.UNAVAILABLE: 500,
    Fault.UNKNOWN_OUTCOME: 500,
}
_DESCRIPTIONS = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    429: "Too many requests",
    500: "Internal server error",
}


_ROWS_A_POST = 1000

_MARK = "-izin-"
"""Stands in the ids of messages that were left out, behind the id of the whole request."""


_V2_NAMES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    429: "TOO_MANY_REQUESTS",
    500: "GENERAL_ERROR",
}


class InfobipDialect:
    """See the module's description. All of ``filters.sms.dialect`` but a ``JobSearcher``."""

    name = "infobip"
    refusal_model = RefusalModel.IN_ANSWER
    profile = "infobip"
    max_recipients = MAX_RECIPIENTS

    def recognise(self, request: HttpRequest) -> Call | None:
        # Its Node client writes a slash before the question mark of the calls about bulks.
        path, method = request.path.removesuffix("/"), request.method
        if path != request.path and not path.startswith("/sms/1/bulks"):
            path = request.path
        if method == "POST" and path in _SENDS:
            return Call(CallKind.SEND, _SENDS[path])
        if method == "GET" and path in _REPORTS:
            return Call(CallKind.REPORT, "reports" if path.endswith("reports") else "logs")
        if method == "PUT" and path == "/sms/1/bulks/status":
            return Call(CallKind.CANCEL, "bulks.status")
        if method == "GET" and path in _READ_ONLY:
            return Call(CallKind.UNTOUCHED, "read")
        if method == "POST" and path == "/sms/1/preview":
            return Call(CallKind.UNTOUCHED, "preview")
        # What is left may send: binary and query forms, other channels, a later time for what is scheduled.
        return (
            Call(CallKind.REFUSED, "other") if path.startswith(("/sms/", "/2fa/", "/omni", "/messages-api/")) else None
        )

    def read(self, request: HttpRequest, call: Call) -> Submission:
        refuse_query(request)
        body = read_json_object(request)
        is_v3 = call.operation == "v3.send"
        contents = read_contents(body, is_v3)
        return Submission(
            dialect=self.name,
            operation=call.operation,
            recipients=contents.recipients,
            texts=contents.texts,
            sender_title=contents.sender,
            credential_id=account_of(request),
            tag_class=MessageClass.COMMERCIAL if contents.tag else None,
            tag_type=contents.tag.recipient_type if contents.tag else None,
            brand=contents.tag.brand if contents.tag else "",
            campaign=contents.campaign,
            kind=contents.kind,
            alphabet=contents.alphabet,
            send_at=contents.send_at,
            hold_s=contents.hold_s,
            fields={"body": body, "is_v3": is_v3, "path": request.path, "headers": carried_headers(request)},
        )

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        fields = submission.fields
        body = rebuild(fields["body"], fields["is_v3"], submission.recipients, kept, texts)
        headers = (*fields["headers"], ("content-type", "application/json"))
        return HttpRequest("POST", fields["path"], "", headers, write_json(body))

    def compose(self, submission: Submission, account: Mapping[str, str]) -> HttpRequest:
        """A ``Composer``; ``account`` as ``composed`` says."""
        return compose_infobip(submission, account)

    def compose_cancel(self, submission: Submission, relayed: Relayed, nth: int) -> Cancellation | None:
        if not relayed.job_id:
            return None
        headers = (*submission.fields["headers"], ("content-type", "application/json"))
        query = write_form([("bulkId", relayed.job_id)])
        body = write_json({"status": "CANCELED"})
        return Cancellation(HttpRequest("PUT", "/sms/1/bulks/status", query, headers, body), is_whole=True)

    def is_cancelled(self, response: HttpResponse) -> bool:
        found = find_object(response)
        return response.status == 200 and found is not None and found.get("status") in _ENDED

    def read_answer(self, submission: Submission, kept: Sequence[int], response: HttpResponse) -> Relayed:
        found = find_object(response)
        if found is None or response.status >= 500:
            return all_unknown(len(kept))
        if response.status >= 400:
            if "errorCode" not in found and "requestError" not in found:
                return all_unknown(len(kept))
            is_temporary = response.status == 429
            return all_refused(
                len(kept), str(found.get("errorCode") or response.status), is_temporary=is_temporary, is_passed_on=True
            )
        entries = _entries(found)
        if response.status != 200 or entries is None:
            return all_unknown(len(kept))
        fates = tuple(_fate(entries.take(submission.recipients[position])) for position in kept)
        bulk_id = found.get("bulkId")
        return Relayed(fates, bulk_id if type(bulk_id) is str else "")

    def write_answer(
        self,
        submission: Submission,
        fates: Sequence[SmsFate],
        response: HttpResponse | None,
        minted_id: str,
        segments: Sequence[Segments],
    ) -> HttpResponse:
        found = (find_object(response) if response is not None else None) or {}
        entries = _entries(found) or _Entries([])
        number_field = "destination" if submission.fields["is_v3"] else "to"
        bulk_id = found.get("bulkId") or minted_id
        rows: list[dict[str, Any]] = []
        for recipient, fate in zip(submission.recipients, fates, strict=True):
            theirs = fate.reason is None or bool(fate.upstream_code)
            entry = entries.take(recipient) if theirs else None
            if entry is None:
                message_id = recipient.reference or fate.upstream_id or _message_id(bulk_id, recipient.spelled)
                entry = {"messageId": message_id, "status": _status(fate), number_field: recipient.spelled}
            rows.append(entry)
        head = {**found, "bulkId": bulk_id} if bulk_id else found
        answer = json_response(200, {**head, "messages": rows})
        return answer._replace(headers=(*answer.headers, *segments_header(segments)))

    def mint_id(self, number: int) -> str:
        # Decimal like the provider's, which never begin with a zero.
        return f"0{number % 10**19:019d}"

    def write_fault(self, fault: Fault, detail: str) -> HttpResponse:
        status = _FAULTS[fault]
        return json_response(
            status,
            {
                "errorCode": f"E{status}",
                "description": f"{_DESCRIPTIONS[status]}. {detail}" if detail else _DESCRIPTIONS[status],
                "action": "Try again later." if status in (429, 500) else "Check the request.",
                "violations": [{"property": detail.partition(":")[0], "violation": detail}] if status == 400 else [],
                "resources": [],
                # Where clients of v2 look.
                "requestError": {
                    "serviceException": {"messageId": _V2_NAMES[status], "text": detail or _DESCRIPTIONS[status]}
                },
            },
        )

    def report_ids(self, request: HttpRequest, call: Call) -> Sequence[str]:
        if call.kind is CallKind.CANCEL and read_json_object(request).get("status") not in _ENDED:
            # What was paused and goes on later is sent by consents that nobody has looked up again.
            raise RequestRefusedError(Fault.NOT_ALLOWED, "status: expected CANCELED")
        asked = read_any_form(request.query)
        message_id = asked.get("messageId", "")
        job_id = message_id.rpartition(_MARK)[0] or message_id
        return tuple(value for value in (asked.get("bulkId"), job_id) if value)

    def overlay_report(
        self,
        request: HttpRequest,
        call: Call,
        response: HttpResponse | None,
        dropped: Mapping[str, Sequence[ReportEntry]],
    ) -> HttpResponse:
        found = (find_object(response) if response is not None else {"results": []}) or {}
        results = found.get("results")
        if call.kind is not CallKind.REPORT or (response is not None and response.status != 200):
            return response if response is not None else self.write_fault(Fault.NOT_FOUND, "bulkId: not found")
        if type(results) is not list:
            return response if response is not None else self.write_fault(Fault.UNAVAILABLE, "")
        number_field = "destination" if request.path == "/sms/3/logs" else "to"
        asked = read_any_form(request.query).get("messageId")
        rows = [
            row
            for job_id, entries in dropped.items()
            for entry in entries
            if (row := _report_row(job_id, entry, number_field)) and asked in (None, row["messageId"])
        ]
        return json_response(200, {**found, "results": [*results, *rows]})

    def render_posts(self, job_id: str, entries: Sequence[ReportEntry]) -> Iterator[bytes]:
        for start in range(0, len(entries), _ROWS_A_POST):
            some = entries[start : start + _ROWS_A_POST]
            yield write_json({"results": [_report_row(job_id, entry, "to") for entry in some]})

    def read_inbound(self, request: HttpRequest) -> Sequence[InboundMessage]:
        found = parse_json(request.body)
        results = found.get("results") if type(found) is dict else None
        if type(results) is not list:
            return ()
        return tuple(
            InboundMessage(
                sender_of(row["from"]),
                str(row.get("to") or ""),
                row["text"],
                str(row.get("messageId") or ""),
                _received_at(row),
            )
            for row in results
            if type(row) is dict and type(row.get("from")) is str and type(row.get("text")) is str
        )

    def is_inbound_signed(self, request: HttpRequest, secret: bytes) -> bool | None:
        return None

    def write_inbound_answer(self, is_taken: bool) -> HttpResponse:
        return HttpResponse(200 if is_taken else 503)


class _Entries:
    """The rows of an answer. Several may be about one number; most come in the order of the request."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = iter(rows)
        self._next = next(self._rows, None)
        self._by_number: dict[str, deque[dict[str, Any]]] | None = None

    def take(self, recipient: SmsRecipient) -> dict[str, Any] | None:
        """The next row about ``recipient``; None where there is none left."""
        number, spelled, _, _ = recipient
        names = (_digits(spelled), _digits(number[0]) if number else "")
        row = self._next
        if self._by_number is None:
            if row is None:
                return None
            if (name := _number_of(row)) and name in names:
                self._next = next(self._rows, None)
                return row
            self._by_number = {}
            for each in (row, *self._rows):
                self._by_number.setdefault(_number_of(each), deque()).append(each)
        for name in names:
            if name and (rows := self._by_number.get(name)):
                return rows.popleft()
        return None


def _entries(found: dict[str, Any]) -> _Entries | None:
    """None where the rows cannot be read."""
    rows = found.get("messages")
    if type(rows) is not list or any(type(row) is not dict or type(row.get("status")) is not dict for row in rows):
        return None
    return _Entries(rows)


def _number_of(row: dict[str, Any]) -> str:
    return _digits(row.get("destination") or row.get("to"))


def _digits(spelled: object) -> str:
    return str(spelled or "").lstrip("+")


def _fate(entry: dict[str, Any] | None) -> SmsFate:
    status = entry["status"] if entry is not None else None
    group = status.get("groupId") if status is not None else None
    if entry is None or status is None or type(group) is not int:
        return SmsFate(Outcome.UNKNOWN, Reason.UPSTREAM_LOST)
    # Groups: 1 PENDING, 2 UNDELIVERABLE, 3 DELIVERED, 4 EXPIRED, 5 REJECTED.
    is_refused = group == 5
    reason = Reason.UPSTREAM_REFUSED if is_refused else None
    return SmsFate(
        Outcome.REFUSED if is_refused else Outcome.RELAYED,
        reason,
        str(entry.get("messageId") or ""),
        str(status.get("id")),
    )


def _status(fate: SmsFate) -> dict[str, Any]:
    """A status of the provider's shape under a name of ours; its client accepts any id and name in a known group."""
    if fate.outcome is Outcome.RELAYED:
        return {
            "groupId": 1, "groupName": "PENDING", "id": 26, "name": "PENDING_ACCEPTED",
            "description": "Message sent by an earlier attempt",
        }  # fmt: skip
    description = sentence(fate)
    if is_try_again(fate):
        number, name = 21, "REJECTED_TRY_AGAIN_LATER"
    elif is_bad_number(fate):
        number, name = 52, "REJECTED_DESTINATION"
        description = f"to: {EXPECTED}"
    else:
        number, name = 14, f"REJECTED_IYS_{fate.reason or 'REFUSED'}"
    return {"groupId": 5, "groupName": "REJECTED", "id": number, "name": name, "description": description}


def _message_id(job_id: str, spelled: str) -> str:
    """The same in the answer and in every report; of the number it tells nothing."""
    return f"{job_id}{_MARK}{hashlib.sha256(f'{job_id} {spelled}'.encode()).hexdigest()[:12]}"


def _report_row(job_id: str, entry: ReportEntry, number_field: str) -> dict[str, Any]:
    at = datetime.fromtimestamp(entry.dropped_at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    return {
        "bulkId": job_id,
        "messageId": entry.reference or _message_id(job_id, entry.spelled),
        number_field: entry.spelled,
        "sentAt": at,
        "doneAt": at,
        "smsCount": 0,
        "price": {"pricePerMessage": 0, "currency": "TRY"},
        "status": _status(SmsFate(Outcome.DROPPED, entry.reason)),
        "error": {
            "groupId": 2, "groupName": "USER_ERRORS", "id": 4140, "name": "EC_CONSENT_FAILED",
            "description": entry.reason.sentence_en, "permanent": True,
        },
    }  # fmt: skip


def _received_at(row: dict[str, Any]) -> float | None:
    return find_iso(row.get("receivedAt"))

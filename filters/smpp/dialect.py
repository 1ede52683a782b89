"""SMPP as one more dialect of the SMS pipeline (``filters.sms.dialect.Dialect``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from zlib import crc32

from filters.reason import Reason
from filters.smpp.answer import ConsentRefusal, find_status, is_for_want_of_consent
from filters.smpp.carrier import (
    Carried,
    RecipientAnswer,
    is_packed,
    pack_answers,
    pack_fault,
    pack_groups,
    unpack_request,
    unpack_results,
)
from filters.smpp.exchange import SubmitResult
from filters.smpp.fields import Address, PduError
from filters.smpp.message import MAX_DESTINATIONS, ShortMessage
from filters.smpp.numbers import HAS_HEADER, CommandStatus
from filters.smpp.reassembly import find_part
from filters.smpp.split import LongStyle
from filters.smpp.submission import DIALECT, LinkReading, SmppRequest, read_submission, write_messages
from filters.sms.dialect import Call, CallKind, Fault, RefusalModel, RequestRefusedError, Segments
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Relayed, ReportEntry, SmsFate, Submission
from filters.vocabulary import Outcome

_CALL: Final = Call(CallKind.SEND, "submit_sm")
_CARRIED: Final = "carried"
_ANSWERED: Final = "answered"
_NO_IDS: Final[Mapping[int, tuple[str, ...]]] = {}
_UNKNOWN: Final = SmsFate(Outcome.UNKNOWN, Reason.UPSTREAM_LOST)

_FAULTS: Final[dict[int, Fault]] = {
    CommandStatus.INVALID_DESTINATION: Fault.BAD_NUMBER,
    CommandStatus.INVALID_LENGTH: Fault.TEXT_TOO_LONG,
}
_STATUSES: Final[dict[Fault, CommandStatus]] = {
    Fault.MALFORMED: CommandStatus.SUBMIT_FAILED,
    Fault.UNKNOWN_FIELD: CommandStatus.SUBMIT_FAILED,
    Fault.BAD_NUMBER: CommandStatus.INVALID_DESTINATION,
    Fault.TOO_MANY_RECIPIENTS: CommandStatus.INVALID_NUMBER_OF_DESTINATIONS,
    Fault.TOO_LARGE: CommandStatus.INVALID_LENGTH,
    Fault.NO_TEXT: CommandStatus.INVALID_LENGTH,
    Fault.TEXT_TOO_LONG: CommandStatus.INVALID_LENGTH,
    Fault.UNAUTHENTICATED: CommandStatus.INVALID_BIND_STATE,
    Fault.TOO_MANY_REQUESTS: CommandStatus.THROTTLED,
    Fault.NOT_FOUND: CommandStatus.INVALID_COMMAND,
    Fault.UNAVAILABLE: CommandStatus.SYSTEM_ERROR,
    Fault.UNKNOWN_OUTCOME: CommandStatus.SYSTEM_ERROR,
}
_TEMPORARY: Final = frozenset({Fault.UNAVAILABLE, Fault.UNKNOWN_OUTCOME, Fault.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class SmppDialect:
    """One listener's way of speaking SMPP. Requests are those of ``filters.smpp.carrier``."""

    reading: LinkReading = field(default_factory=LinkReading)
    refusal: ConsentRefusal = field(default_factory=ConsentRefusal)
    readings: Mapping[str, LinkReading] = field(default_factory=dict)
    """By system_id, where one bind differs."""

    @property
    def name(self) -> str:
        return DIALECT

    @property
    def profile(self) -> str:
        return DIALECT

    @property
    def refusal_model(self) -> RefusalModel:
        return RefusalModel.IN_REPORT if self.refusal.by_receipt else RefusalModel.IN_ANSWER

    @property
    def max_recipients(self) -> int:
        return MAX_DESTINATIONS

    def recognise(self, request: HttpRequest) -> Call | None:
        return _CALL if is_packed(request) else None

    def read(self, request: HttpRequest, call: Call) -> Submission:
        """Raises ``RequestRefusedError``."""
        try:
            carried = unpack_request(request)
            groups = carried.groups
            parts = groups[0]
            for group in groups[1:]:
                if any(a[2:] != b[2:] or a.source != b.source for a, b in zip(group, parts, strict=True)):
                    raise RequestRefusedError(Fault.MALFORMED, "one message for several destinations: it differs")
            submission = read_submission(
                parts,
                [group[0].destination for group in groups],
                owner=carried.system_id,
                operation=call.operation,
                system_type=carried.system_type,
                style=_style_of(parts),
                reading=self.readings.get(carried.system_id, self.reading) if self.readings else self.reading,
                now=carried.received_at,
            )
        except PduError as error:
            raise RequestRefusedError(_FAULTS.get(error.status, Fault.MALFORMED), error.detail) from None
        except ValueError:
            raise RequestRefusedError(Fault.MALFORMED, "not a request of this dialect") from None
        submission.fields[_CARRIED] = carried
        return submission

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        """Raises ``RequestRefusedError`` where a text does not go into the sender's alphabet or number of parts."""
        request: SmppRequest = submission.fields[DIALECT]
        carried: Carried = submission.fields[_CARRIED]
        groups = []
        try:
            for position, text in zip(kept, texts, strict=True):
                destination = request.destinations[position]
                reference = partial(_reference, request, destination, text)
                groups.append(write_messages(request, destination, text, reference))
        except ValueError:
            raise RequestRefusedError(
                Fault.TEXT_TOO_LONG, "the text with its opt-out does not go into its alphabet and number of parts"
            ) from None
        return pack_groups(groups, carried)

    def read_answer(self, submission: Submission, kept: Sequence[int], response: HttpResponse) -> Relayed:
        try:
            groups = unpack_results(response)
        except ValueError:
            groups = []
        if len(groups) != len(kept):
            return Relayed((_UNKNOWN,) * len(kept))
        submission.fields[_ANSWERED] = {
            position: tuple([result.message_id for result in group if result.outcome is Outcome.RELAYED])
            for position, group in zip(kept, groups, strict=True)
        }
        return Relayed(tuple([merge_results(group) for group in groups]))

    def write_answer(
        self,
        submission: Submission,
        fates: Sequence[SmsFate],
        response: HttpResponse | None,
        minted_id: str,
        segments: Sequence[Segments],
    ) -> HttpResponse:
        answered: Mapping[int, tuple[str, ...]] = submission.fields.get(_ANSWERED, _NO_IDS)
        return pack_answers(
            [
                RecipientAnswer(0, answered.get(position, ()))
                if fate.outcome is Outcome.RELAYED
                else RecipientAnswer(
                    find_status(fate, self.refusal), answered.get(position, ()), is_for_want_of_consent(fate)
                )
                for position, fate in enumerate(fates)
            ]
        )

    def mint_id(self, number: int) -> str:
        return f"iz{number % (1 << 64):016x}"

    def write_fault(self, fault: Fault, detail: str) -> HttpResponse:
        status = self.refusal.status if fault is Fault.NOT_ALLOWED else int(_STATUSES[fault])
        return pack_fault(503 if fault in _TEMPORARY else 400, status)

    def report_ids(self, request: HttpRequest, call: Call) -> Sequence[str]:
        """Reports come by themselves here."""
        return ()

    def overlay_report(
        self,
        request: HttpRequest,
        call: Call,
        response: HttpResponse | None,
        dropped: Mapping[str, Sequence[ReportEntry]],
    ) -> HttpResponse:
        return response if response is not None else pack_fault(404, CommandStatus.QUERY_FAILED)


def merge_results(results: Sequence[SubmitResult]) -> SmsFate:
    """The fate of one message from those of its parts: sent only if all were, unknown if some may have been."""
    if len(results) == 1 and results[0].outcome is Outcome.RELAYED:
        return SmsFate(Outcome.RELAYED, None, results[0].message_id)
    outcomes = {result.outcome for result in results}
    if outcomes == {Outcome.RELAYED}:
        return SmsFate(Outcome.RELAYED, upstream_id=results[0].message_id)
    first = next((result for result in results if result.outcome is not Outcome.RELAYED and result.status), None)
    code = f"0x{first.status:08x}" if first is not None else ""
    if Outcome.UNKNOWN in outcomes:
        return SmsFate(Outcome.UNKNOWN, Reason.UPSTREAM_LOST)
    if Outcome.REFUSED in outcomes:
        refused = next(result for result in results if result.outcome is Outcome.REFUSED)
        return SmsFate(Outcome.REFUSED, Reason.UPSTREAM_REFUSED, upstream_code=f"0x{refused.status:08x}")
    if Outcome.RELAYED in outcomes:
        # Half of it is there: sent again it would come twice, and the whole of it never came.
        return SmsFate(Outcome.UNKNOWN, Reason.UPSTREAM_LOST, upstream_code=code)
    return SmsFate(Outcome.DEFERRED, Reason.UPSTREAM_DEFERRED, upstream_code=code)


def _style_of(parts: Sequence[ShortMessage]) -> LongStyle | None:
    """How the parts came, None for a message in one part; all parts are there, in order."""
    if len(parts) == 1:
        only = parts[0]
        if (only.tlvs or only.esm_class & HAS_HEADER) and find_part(only) is not None:
            raise PduError(CommandStatus.SUBMIT_FAILED, "one part of a longer message")
        return None
    style: LongStyle | None = None
    for number, message in enumerate(parts, 1):
        place = find_part(message)
        if place is None or place.part.number != number or place.part.total != len(parts):
            raise PduError(CommandStatus.SUBMIT_FAILED, "parts that are not one message")
        style = place.style
    return style


def _reference(request: SmppRequest, destination: Address, text: str) -> int:
    """What the parts of a text cut anew have in common: the sender's own reference, else one made from the text, so
    that two messages to one person do not share it."""
    first = request.parts[0]
    place = find_part(first) if first.tlvs or first.esm_class & HAS_HEADER else None
    if place is not None:
        return place.part.reference
    return crc32(text.encode("utf-8", "surrogatepass"), crc32(destination.value.encode("latin-1"))) & 0xFFFF

"""What a codec of one provider's interface must do. Pure: bytes and values in, values out.

How a send goes: ``read`` → decision for each recipient, suffix for each text → ``write`` for the permitted only →
the upstream answers → ``read_answer`` → ``write_answer`` merges what the upstream said with what we dropped, in the
request's order. Nobody permitted: ``write`` is not called, and ``write_answer`` gets no upstream response and a minted
id. Whatever a codec is not sure about is refused, in the dialect's own form, before anything is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Relayed, ReportEntry, SmsFate, Submission


class CallKind(StrEnum):
    """What a call of the dialect is to us."""

    SEND = "send"
    REPORT = "report"
    """Asks for the fate of messages: passed on, and dropped numbers are laid over the answer."""
    CANCEL = "cancel"
    UNTOUCHED = "untouched"
    """Balance, sender list …: passed on untouched."""
    REFUSED = "refused"
    """Would send in a way that we cannot check."""


class RefusalModel(StrEnum):
    """How the dialect tells that a recipient was refused (sms-dialects, section 2)."""

    IN_ANSWER = "in_answer"
    WHOLE_ANSWER = "whole_answer"
    IN_REPORT = "in_report"


class Fault(StrEnum):
    """Why a request is refused as a whole, before anything was sent; each codec has its own code for each."""

    MALFORMED = "malformed"
    UNKNOWN_FIELD = "unknown_field"
    BAD_NUMBER = "bad_number"
    TOO_MANY_RECIPIENTS = "too_many_recipients"
    TOO_LARGE = "too_large"
    NO_TEXT = "no_text"
    TEXT_TOO_LONG = "text_too_long"
    """The opt-out does not fit without a further segment, or the result passes the provider's cap."""
    NOT_ALLOWED = "not_allowed"
    """The client has no right to this class, brand or operation."""
    UNAUTHENTICATED = "unauthenticated"
    TOO_MANY_REQUESTS = "too_many_requests"
    NOT_FOUND = "not_found"
    UNAVAILABLE = "unavailable"
    """Ours or the upstream's, temporary: the sender may come again. The dialect's system error."""
    UNKNOWN_OUTCOME = "unknown_outcome"
    """The upstream was asked and did not answer: temporary, and a repetition is remembered."""


class RequestRefusedError(Exception):
    """``Dialect.read`` refuses a request. ``detail`` names the field and what was expected; never a value."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault
        self.detail = detail


class Call(NamedTuple):
    """Which call a request is: its kind, and the codec's own name for it ("rest_v2.send")."""

    kind: CallKind
    operation: str


class Segments(NamedTuple):
    """Segments of one text before and after the suffix."""

    before: int
    after: int


class Dialect(Protocol):
    """One provider's interface."""

    @property
    def name(self) -> str:
        """As ``[[upstreams.sms]] dialect`` spells it."""

    @property
    def refusal_model(self) -> RefusalModel: ...

    @property
    def profile(self) -> str:
        """The name of its alphabet profile (``filters.sms.profiles``)."""

    @property
    def max_recipients(self) -> int: ...

    def recognise(self, request: HttpRequest) -> Call | None:
        """Which call this is by method and path; None where the dialect has no such call (answered NOT_FOUND)."""

    def read(self, request: HttpRequest, call: Call) -> Submission:
        """A SEND request. Duplicate, case-variant and unknown recipient fields are refused.

        Raises ``RequestRefusedError``.
        """

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        """The upstream request for the recipients at positions ``kept``, in order, built from known fields only.

        ``texts`` has one entry for each of ``kept``. The sender's credentials, tag and spelling are kept.
        """

    def read_answer(self, submission: Submission, kept: Sequence[int], response: HttpResponse) -> Relayed:
        """What the upstream said of the recipients in ``kept``. What cannot be read is ``UNKNOWN`` for all of them."""

    def write_answer(
        self,
        submission: Submission,
        fates: Sequence[SmsFate],
        response: HttpResponse | None,
        minted_id: str,
        segments: Sequence[Segments],
    ) -> HttpResponse:
        """The answer to the sender: one fate for each recipient of the request, in order.

        ``response`` is the upstream's, None where nothing went upstream; then ``minted_id`` is the id.
        ``segments`` has an entry for each text, empty where nothing was decided about texts.
        """

    def mint_id(self, number: int) -> str:
        """An id in the provider's shape from a random 128-bit ``number``; never one that the provider would make."""

    def write_fault(self, fault: Fault, detail: str) -> HttpResponse:
        """The dialect's own error. ``detail`` may be shown: it holds no address, no secret and no exception."""

    def report_ids(self, request: HttpRequest, call: Call) -> Sequence[str]:
        """The job ids a REPORT or CANCEL request asks about; empty where it names none (``JobSearcher``)."""

    def overlay_report(
        self,
        request: HttpRequest,
        call: Call,
        response: HttpResponse | None,
        dropped: Mapping[str, Sequence[ReportEntry]],
    ) -> HttpResponse:
        """The upstream's report with dropped numbers (by job id) in it, in the provider's "refused by İYS" status.

        ``response`` is None where every id asked about was minted by us, so that the upstream need not be asked.
        """


@runtime_checkable
class TwinnedDialect(Protocol):
    """A dialect that has the same calls in other syntaxes at other paths, so that errors have another form there.
    Optional."""

    @property
    def twins(self) -> Sequence[Dialect]: ...


class JobSearch(NamedTuple):
    """Which jobs a report asks about that names none: those of ``account`` that were sent from ``start`` until before
    ``stop`` (seconds since 1970 UTC), or those to which the sender gave ``own_id``."""

    account: str
    own_id: str = ""
    start: float = 0.0
    stop: float = float("inf")


@runtime_checkable
class JobSearcher(Protocol):
    """A dialect whose reports may be asked without naming a job. Optional."""

    def find_search(self, request: HttpRequest, call: Call) -> JobSearch | None:
        """What a REPORT request asks for of which ``report_ids`` is empty; None where it is no such request."""

    def own_job_id(self, submission: Submission) -> str:
        """The sender's own id of the whole job by which reports can be asked, or ""."""


class Composer(Protocol):
    """A dialect that requests read in another one may leave through (``POST /v1/messages`` above all). Optional."""

    def compose(self, submission: Submission, account: Mapping[str, str]) -> HttpRequest:
        """The request by which a sender of this dialect would ask for ``submission``, for this codec's own ``read``.

        Made from texts, recipients (their E.164 form), sender title, tags, kind and ``send_at``; not from ``fields``,
        which are another codec's. ``account`` holds the operator's credentials and fixed fields by names of this
        dialect ("username", "password", "key" …). Raises ``RequestRefusedError`` where something cannot be said in it.
        """


class Cancellation(NamedTuple):
    """How what was scheduled is called off: the request for it, with the account's credentials, and whether it ends the
    whole job or concerns this one recipient alone."""

    request: HttpRequest
    is_whole: bool


@runtime_checkable
class Canceller(Protocol):
    """A dialect whose scheduled sends can be called off. Optional."""

    def compose_cancel(self, submission: Submission, relayed: Relayed, nth: int) -> Cancellation | None:
        """Calls off the message of the ``nth`` recipient in ``relayed``; None where nothing names it."""

    def is_cancelled(self, response: HttpResponse) -> bool:
        """Whether the provider's answer to that says that it will not be sent."""


class InboundMessage(NamedTuple):
    """An SMS that a person sent to one of our numbers, as a provider's webhook tells it.

    ``sender`` and ``destination`` as spelled there; ``message_id`` is the provider's, the same when it tells it again;
    ``received_at`` in seconds since 1970 UTC, None where it is not told.
    """

    sender: str
    destination: str
    text: str
    message_id: str
    received_at: float | None = None


@runtime_checkable
class DeliveryCodec(Protocol):
    """A dialect of which is known what the provider posts to the sender about messages. Optional."""

    def render_posts(self, job_id: str, entries: Sequence[ReportEntry]) -> Iterator[bytes]:
        """What the provider would post about the dropped numbers of a job, one JSON body after the other."""


@runtime_checkable
class InboundCodec(Protocol):
    """A dialect whose webhook for incoming messages (MO) we can read. Optional."""

    def read_inbound(self, request: HttpRequest) -> Sequence[InboundMessage]:
        """The messages in a webhook's request; empty where it tells of something else. Raises
        ``RequestRefusedError``."""

    def is_inbound_signed(self, request: HttpRequest, secret: bytes) -> bool | None:
        """Whether the provider's signature over ``request`` is good; None where this dialect signs nothing."""

    def write_inbound_answer(self, is_taken: bool) -> HttpResponse:
        """What the provider expects: taken, or come again."""

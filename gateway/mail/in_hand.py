"""One message on its way through the pipeline: what each step found out, for the steps after it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from filters.envelope import Answer, Envelope, EnvelopeRecipient, RecipientOutcome
from filters.exchange import Lookup
from filters.reason import Reason
from filters.reply import Reply
from filters.vocabulary import FreshnessState, LookupFailure, MessageClass, Outcome, Verdict

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

    from filters.classify import Classification
    from filters.consent import State
    from filters.decision.decide import Decision
    from filters.mime.headers import HeaderBlock
    from filters.mime.refusal import RewriteRefusal
    from filters.mime.rewrite_plan import RewritePlan
    from gateway.mail.route import BrandRoute, MailRoute

_OPEN = (Outcome.DEFERRED, Outcome.UNKNOWN)


class RecipientInHand:
    """One recipient: consent key, what was known of it, decision, fate.

    ``taken_key`` is what the retry memory knows it by. It stands for the address as the client spelled it: two
    spellings that share a consent key may be two mailboxes (local parts that differ in case), and each gets its copy.
    ``judged_at`` is a reading of the pipeline's monotonic clock, ``judged_again_at`` seconds since 1970 UTC or 0.
    ``is_again``: its copy came back from the next hop's queue because the decision behind it was too old.
    """

    __slots__ = (
        "envelope",
        "is_again",
        "is_in_flight",
        "judged_again_at",
        "judged_at",
        "key",
        "outcome",
        "reason",
        "reply",
        "row",
        "sent_digest",
        "signed",
        "state",
        "taken_key",
        "token_id",
        "verdict",
    )

    def __init__(self, envelope: EnvelopeRecipient) -> None:
        self.envelope = envelope
        self.key = b""
        self.taken_key = b""
        self.state: State | None = None
        self.verdict: Verdict | None = None
        self.reason: Reason | None = None
        self.row = ""
        self.outcome: Outcome | None = None
        self.reply: Reply | None = None
        self.is_in_flight = False
        self.is_again = False
        self.judged_at = self.judged_again_at = 0.0
        self.signed = b""
        """The copy with its signature on top, while it waits to be handed over."""
        self.sent_digest = ""
        self.token_id = ""

    @property
    def is_open(self) -> bool:
        """Whether the client has to come again for this recipient."""
        return self.outcome in _OPEN

    @property
    def fate(self) -> RecipientOutcome:
        assert self.outcome is not None
        assert self.reply is not None
        return RecipientOutcome(self.outcome, self.reply)

    def settle(self, outcome: Outcome, reply: Reply) -> None:
        self.outcome = outcome
        self.reply = reply
        self.is_in_flight = False
        self.signed = b""

    def note(self, decision: Decision, state: State) -> None:
        """Keep what was decided, and on what."""
        self.state = state
        self.verdict, self.reason, self.row = decision.verdict, decision.reason, decision.row

    def settle_by(self, decision: Decision) -> None:
        """Left out by the decision: for good, or for now."""
        is_dropped = decision.verdict is Verdict.DROP
        self.settle(Outcome.DROPPED if is_dropped else Outcome.DEFERRED, decision.reply)

    def settle_as_taken(self) -> None:
        """An earlier attempt of the client has brought this very message to this recipient (design D2)."""
        self.verdict, self.reason = Verdict.PERMIT, Reason.ALREADY_TAKEN
        self.settle(Outcome.RELAYED, Reason.ALREADY_TAKEN.reply)

    def settle_for(self, reason: Reason, row: str = "", why: str = "") -> None:
        """Left out by us for ``reason``: for good, or for now where the reason's reply is temporary.

        ``why`` is a sentence that tells the sender more than the reason's own.
        """
        self.reason = reason
        self.row = row or self.row
        reply = reason.reply._replace(text=f"{reason}: {why}") if why else reason.reply
        self.verdict = Verdict.DEFER if reply.is_temporary else Verdict.DROP
        self.settle(Outcome.DEFERRED if reply.is_temporary else Outcome.DROPPED, reply)


class MailInHand:
    """The message. Times are wall-clock seconds since 1970 UTC."""

    __slots__ = (
        "answer",
        "asked_at",
        "brand",
        "classification",
        "client",
        "content",
        "content_digest",
        "decided_at",
        "decision_s",
        "detail",
        "digest",
        "envelope",
        "freshness",
        "has_failed",
        "headers",
        "in_flight",
        "is_answered",
        "is_commercial",
        "is_decided",
        "is_personal",
        "is_pumping",
        "is_record_answered",
        "is_recorded",
        "is_remembered",
        "lookup",
        "lookup_s",
        "message_id",
        "plan",
        "received_at",
        "recipients",
        "rewrite_refusal",
        "route",
        "staleness_s",
        "trace",
        "waiting",
    )

    def __init__(
        self,
        envelope: Envelope,
        content: bytes,
        answer: Callable[[Answer], bool | None],
        route: MailRoute,
        message_id: str,
        received_at: float,
    ) -> None:
        self.envelope = envelope
        self.client = envelope.client
        """With the class fixed by listener and sender, once recognised."""
        self.content = content
        self.answer = answer
        self.route = route
        self.message_id = message_id
        self.received_at = received_at
        self.decided_at = received_at
        self.recipients = [RecipientInHand(recipient) for recipient in envelope.recipients]
        self.content_digest: Hash | None = None
        """SHA-256 of the content as it came."""
        self.digest = b""
        """The same with client and sender: by this the message is known again at a retry (design D2)."""
        self.headers: HeaderBlock | None = None
        self.classification: Classification | None = None
        self.is_commercial = True
        """Until the class is known the stricter reading holds (G1)."""
        self.is_personal = True
        """Whether each recipient gets a copy with its own opt-out, or all of them the content as it came."""
        self.brand: BrandRoute | None = None
        self.lookup: Lookup | LookupFailure | None = None
        self.freshness = FreshnessState.COLD
        self.staleness_s: int | None = None
        self.plan: RewritePlan | None = None
        self.rewrite_refusal: RewriteRefusal | None = None
        self.detail = ""
        self.asked_at = self.lookup_s = self.decision_s = 0.0
        """Monotonic reading, and what look-up and decision took, in seconds."""
        self.waiting: deque[RecipientInHand] = deque()
        self.in_flight = 0
        self.trace = b""
        self.is_pumping = False
        # How far it has come; each step is taken once, however often and in whatever order adapters call back.
        self.has_failed = False
        self.is_decided = False
        self.is_recorded = False
        self.is_record_answered = False
        self.is_remembered = False
        self.is_answered = False

    @property
    def message_class(self) -> MessageClass:
        return MessageClass.COMMERCIAL if self.classification is None else self.classification.message_class

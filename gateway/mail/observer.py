"""One line and a handful of counts for each message answered, and the worker's gauges."""

from __future__ import annotations

from collections.abc import Callable

from filters.envelope import Answer
from filters.exchange import Lookup
from filters.reason import Reason
from filters.vocabulary import Channel, FreshnessState, Outcome, Verdict
from gateway.logs import CanonicalLog
from gateway.mail.in_hand import MailInHand
from gateway.metrics import WorkerMetrics, message_outcome
from gateway.processes.worker_channel import WorkerReport
from gateway.smtp.session import SessionEvent

# A member looked up on its class costs ten times a global, and these are needed for every message.
_EMAIL = Channel.EMAIL
_RELAYED = Outcome.RELAYED
_ALREADY_TAKEN = str(Reason.ALREADY_TAKEN)


class MailObserver:
    """Watches the mail side of one worker. Nothing it writes names a person: recipients go by number and reason."""

    def __init__(self, metrics: WorkerMetrics, log: CanonicalLog, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._evidence_failures = 0

    def message_answered(self, mail: MailInHand, answer: Answer) -> None:
        """The canonical line and the counts of a message. Quick: it is on the hot path."""
        metrics = self._metrics
        seconds = self._clock() - mail.received_at
        outcomes: list[Outcome] = []
        reasons: dict[str, int] = {}
        decided: dict[tuple[Verdict, Reason], int] = {}
        for recipient in mail.recipients:
            outcomes.append(recipient.outcome or Outcome.DEFERRED)
            pair = recipient.verdict or Verdict.DEFER, recipient.reason or Reason.FAULT
            decided[pair] = decided.get(pair, 0) + 1
        for (verdict, reason), number in decided.items():
            metrics.count_recipients(_EMAIL, verdict, reason, number)
            name = str(reason)
            reasons[name] = reasons.get(name, 0) + number
        outcome = message_outcome(outcomes)
        metrics.count_message(_EMAIL, outcome, seconds, len(mail.content))
        if mail.lookup is not None:
            metrics.count_lookup(None if isinstance(mail.lookup, Lookup) else mail.lookup, mail.lookup_s)
            metrics.observe_decision(mail.decision_s)
        if mail.rewrite_refusal is not None:
            metrics.count_rewrite_refusal(mail.rewrite_refusal.detail)
        if taken := reasons.get(_ALREADY_TAKEN):
            metrics.count_duplicates_suppressed(taken)
        self._log.write("message.answered", self._describe(mail, answer, outcome, outcomes, reasons, seconds))

    def _describe(
        self,
        mail: MailInHand,
        answer: Answer,
        outcome: Outcome,
        outcomes: list[Outcome],
        reasons: dict[str, int],
        seconds: float,
    ) -> dict[str, object]:
        envelope = mail.envelope
        plan = mail.plan
        line: dict[str, object] = {
            "message_id": mail.message_id,
            "session": envelope.session_id,
            "client": envelope.client.name,
            "listener": envelope.listener,
            "upstream": mail.route.upstream.name,
            "class": mail.message_class,
            "brand": mail.brand.brand.code if mail.brand else None,
            "outcome": outcome,
            "reply": answer.overall.code,
            "recipients": len(outcomes),
            "relayed": outcomes.count(_RELAYED),
            "reasons": reasons,
            "size_bytes": len(mail.content),
            "duration_ms": round(seconds * 1000, 3),
        }
        if mail.is_commercial:
            line["freshness"] = mail.freshness
            line["staleness_s"] = mail.staleness_s
        if mail.detail:
            line["detail"] = mail.detail
        if plan is not None:
            if plan.removed_signatures:
                line["removed_signatures"] = len(plan.removed_signatures)
            if plan.warnings:
                line["warnings"] = [warning.code for warning in plan.warnings]
        return line

    def recipient_refused(self, asked: MailInHand) -> None:
        """A recipient was refused at RCPT, before there was a message: its line and its count."""
        (recipient,) = asked.recipients
        reason = recipient.reason or Reason.FAULT
        self._metrics.count_recipient(_EMAIL, Verdict.DROP, reason)
        envelope = asked.envelope
        self._log.write(
            "recipient.refused",
            {
                "message_id": asked.message_id,
                "session": envelope.session_id,
                "client": envelope.client.name,
                "listener": envelope.listener,
                "brand": asked.brand.brand.code if asked.brand else None,
                "reason": reason,
                "freshness": asked.freshness,
                "staleness_s": asked.staleness_s,
            },
        )

    def session_event(self, event: SessionEvent) -> None:
        if event is SessionEvent.CONNECTION_OPENED:
            self._metrics.count_session()
        elif event is SessionEvent.FAULT:
            self._metrics.count_session_failure()

    def retry_noted(self, is_kept: bool) -> None:
        self._metrics.count_retry_memory(is_kept)

    def worker_reported(self, report: WorkerReport) -> None:
        """The gauges follow what the worker tells its supervisor."""
        metrics = self._metrics
        metrics.sessions_active.set(report.get("sessions", 0))
        metrics.buffered_bytes.set(report.get("buffered_bytes", 0))
        evidence = report.get("evidence", {})
        metrics.evidence_writable.set(1 if evidence.get("is_writable") else 0)
        failed = evidence.get("failed_records", 0)
        metrics.count_evidence_failures(failed - self._evidence_failures)
        self._evidence_failures = failed
        for code, outbox in report.get("outbox", {}).items():
            metrics.set_outbox(int(code), outbox["pending"] or 0, outbox["oldest_due_at"])
        for code, brand in report.get("brands", {}).items():
            metrics.set_freshness(int(code), FreshnessState(brand["state"]), brand["watermark_at"])

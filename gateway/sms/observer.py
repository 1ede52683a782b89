"""One line and a handful of counts for each SMS request answered. Nothing in them names a person."""

from __future__ import annotations

from collections.abc import Callable

from filters.exchange import Lookup
from filters.reason import Reason
from filters.sms.http import HttpResponse
from filters.vocabulary import Channel, Outcome
from gateway.logs import CanonicalLog
from gateway.metrics import WorkerMetrics, message_outcome
from gateway.sms.in_hand import SmsInHand

_REASONS = {str(reason): reason for reason in Reason}
_SMS = Channel.SMS


class SmsObserver:
    """Watches the SMS side of one worker."""

    def __init__(self, metrics: WorkerMetrics, log: CanonicalLog, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._log = log
        self._clock = clock

    def request_answered(self, sms: SmsInHand, response: HttpResponse) -> None:
        """The canonical line and the counts of one request to send."""
        metrics = self._metrics
        seconds = self._clock() - sms.received_at
        outcomes: dict[str, int] = {}
        reasons: dict[str, int] = {}
        found: set[Outcome] = set()
        for (_, name, verdict, outcome, _), number in sms.count():
            metrics.count_recipients(_SMS, verdict, _REASONS.get(name, Reason.FAULT), number)
            outcomes[outcome] = outcomes.get(outcome, 0) + number
            reasons[name] = reasons.get(name, 0) + number
            found.add(outcome)
        outcome = message_outcome(found) if found else Outcome.REFUSED
        metrics.count_message(_SMS, outcome, seconds, len(sms.request.body))
        if sms.lookup is not None:
            metrics.count_lookup(None if isinstance(sms.lookup, Lookup) else sms.lookup, sms.lookup_s)
            metrics.observe_decision(sms.decision_s)
        if taken := reasons.get(str(Reason.ALREADY_TAKEN)):
            metrics.count_duplicates_suppressed(taken)
        line: dict[str, object] = {
            "message_id": sms.message_id,
            "client": sms.client.name,
            "listener": sms.route.listener,
            "upstream": sms.route.upstream.name,
            "operation": sms.call.operation,
            "class": sms.message_class,
            "brand": sms.brand.brand.code if sms.brand else None,
            "outcome": outcome,
            "status": response.status,
            "recipients": sum(outcomes.values()),
            "relayed": outcomes.get(Outcome.RELAYED, 0),
            "reasons": reasons,
            "size_bytes": len(sms.request.body),
            "duration_ms": round(seconds * 1000, 3),
        }
        if sms.is_commercial:
            line["freshness"] = sms.freshness
            line["staleness_s"] = sms.staleness_s
        if sms.is_again:
            line["decided_again"] = sms.is_again
        if sms.upstream_fault is not None:
            line["upstream_fault"] = sms.upstream_fault
        if sms.detail:
            line["detail"] = sms.detail
        self._log.write("sms.answered", line)

    def retry_noted(self, is_kept: bool) -> None:
        self._metrics.count_retry_memory(is_kept)

    def call_answered(self, upstream: str, kind: str, status: int) -> None:
        """Any call of a dialect, and checks without sending."""
        self._metrics.count_sms_call(upstream, kind, status)

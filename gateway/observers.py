"""What the parts of the gateway tell those who watch: counted in the metrics, logged where a person should know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from filters.exchange import Refusal
    from gateway.metrics import WorkerMetrics

log = structlog.stdlib.get_logger(__name__)


class Observer:
    """One for all parts of a worker: upstream pools, opt-out pages, their listener, mail intake, refusals, evidence."""

    def __init__(self, metrics: WorkerMetrics) -> None:
        self._metrics = metrics

    # -- upstream pools -----------------------------------------------------------------------------------------

    def on_reply(self, upstream: str, result: str) -> None:
        self._metrics.count_upstream_reply(upstream, result)

    def on_connection(self, upstream: str, change: int) -> None:
        self._metrics.change_connections(upstream, change)

    # -- opt-out pages and their listener -----------------------------------------------------------------------

    def page_answered(self, route: str, status: int) -> None:
        self._metrics.count_page(route, status)

    def page_failed(self, error: Exception) -> None:
        log.error("page.failed", fault=type(error).__name__, exc_info=error)

    def http_malformed(self) -> None:
        self._metrics.count_http_turned_away("malformed")

    def http_turned_away(self) -> None:
        self._metrics.count_http_turned_away("too_many")

    # -- mail intake --------------------------------------------------------------------------------------------

    def mail_answered(self, reply: str) -> None:
        self._metrics.count_intake_reply(reply[:3])

    def mail_failed(self, error: Exception) -> None:
        log.error("intake.failed", fault=type(error).__name__, exc_info=error)

    # -- refusals -----------------------------------------------------------------------------------------------

    def refusal_recorded(self, refusal: Refusal, *, has_evidence: bool) -> None:
        self._metrics.count_refusal(refusal.channel, refusal.source)
        # The canonical line of a refusal; the person stays out of it.
        log.info(
            "refusal.recorded",
            brand=refusal.brand,
            channel=refusal.channel,
            source=refusal.source,
            received_at=refusal.received_at,
            has_evidence=has_evidence,
        )

    def refusal_failed(self, refusal: Refusal) -> None:
        self._metrics.count_refusal_failure()
        log.error("refusal.failed", brand=refusal.brand, channel=refusal.channel, source=refusal.source)

    # -- reports to clients -------------------------------------------------------------------------------------

    def report_delivered(self, client: str) -> None:
        self._metrics.count_drop_report(is_delivered=True)

    def report_lost(self, client: str, cause: str, status: int) -> None:
        self._metrics.count_drop_report(is_delivered=False)
        log.warning("drop_report.lost", client=client, cause=cause, status=status)

    # -- evidence -----------------------------------------------------------------------------------------------

    def evidence_reported(self, event: str, fields: dict[str, object]) -> None:
        """What the evidence writer tells (its ``report``): heads, segments, loss and return of the disk."""
        if event in ("evidence.lost", "segment.found_unfinished", "segment.removed"):
            log.error(event, **fields)
        else:
            log.info(event, **fields)

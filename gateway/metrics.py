"""What Prometheus is told: every series, its meaning, and how workers' numbers come together.

Each process writes its values into memory-mapped files of one folder (prometheus-client's multiprocess mode); whoever
answers ``/metrics`` sums them. Names begin with ``izinkapi_``, units are seconds and bytes, instants are timestamps
rather than ages, and every series known beforehand is there at zero from the start, so that a rate over it is never
"no data". Labels are closed lists or names from the configuration: never an address, an id or a client's text.

On the hot path nothing touches those files: a ``WorkerMetrics`` counts in plain lists and dictionaries and writes them
out every ``FLUSH_S``. A killed worker loses the counts since then.
"""

from __future__ import annotations

import asyncio
import resource
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from filters.mime.refusal import RewriteDetail
from filters.reason import Reason
from filters.vocabulary import Channel, FreshnessState, LookupFailure, Outcome, Verdict

FLUSH_S = 0.5
PREFIX = "izinkapi_"

CHANNELS = (Channel.EMAIL, Channel.SMS)
"""Calls are out of scope: nothing would ever count there."""

UPSTREAM_RESULTS = (
    "relayed", "partial", "deferred", "refused", "unknown", "lost", "timed_out", "garbage", "retried", "no_room",
    "unreachable",
)  # fmt: skip
"""``adapters.smtp.outcomes.TransactionResult``, and the same words for SMS."""

REFUSAL_SOURCES = ("HS_WEB", "HS_EPOSTA", "HS_MESAJ")
"""Registry names of the ways on which a refusal reaches us: page and one-click, mail, keyword."""

INBOUND_RESULTS = ("refusal", "unclear", "other", "repeated", "failed", "rejected")
"""What an SMS to a number of ours was: told again, not recorded, or from nobody who may tell."""

CANCELLATIONS = ("cancelled", "retried", "failed", "not_remembered")
"""What became of sends scheduled at a provider for somebody who then refused."""

PAGE_RESPONSES = (("ask", "200"), ("refuse", "200"), ("refuse", "503"), ("not_found", "404"))
"""Answers of the opt-out pages that are there at zero from the start; others join when they occur."""

_MESSAGE_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_DECISION_BUCKETS = (0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.005, 0.05, 0.5)
_LOOKUP_BUCKETS = (0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1)
_COMMIT_BUCKETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5)


def message_outcome(outcomes: Iterable[Outcome]) -> Outcome:
    """The one outcome a message is counted under: what is still open first, then refused, relayed, dropped."""
    found = set(outcomes)
    if len(found) == 1:
        return found.pop()
    for outcome in (Outcome.UNKNOWN, Outcome.DEFERRED, Outcome.REFUSED, Outcome.RELAYED):
        if outcome in found:
            return outcome
    return Outcome.DROPPED


def _usual_verdict(reason: Reason) -> Verdict:
    code = reason.reply.code
    return Verdict.PERMIT if code < 400 else Verdict.DEFER if code < 500 else Verdict.DROP


class _Tally:
    """A counter family counted in a dictionary between flushes."""

    __slots__ = ("_children", "_family", "counts")

    def __init__(self, family: Counter, known: Iterable[tuple[str, ...]]) -> None:
        self._family = family
        self.counts: dict[tuple[str, ...], float] = {}
        self._children: dict[tuple[str, ...], Any] = {}
        for labels in known:
            self._children[labels] = self._child(labels)
            self.counts[labels] = 0

    def _child(self, labels: tuple[str, ...]) -> Counter:
        return self._family.labels(*labels) if labels else self._family

    def add(self, labels: tuple[str, ...], amount: float = 1) -> None:
        try:
            self.counts[labels] += amount
        except KeyError:
            self.counts[labels] = amount

    def flush(self) -> None:
        for labels, amount in self.counts.items():
            if amount:
                child = self._children.get(labels)
                if child is None:
                    child = self._children[labels] = self._child(labels)
                child.inc(amount)
                self.counts[labels] = 0


class _Timing:
    """A histogram counted in a list between flushes."""

    __slots__ = ("_bounds", "_counts", "_histogram", "_sum")

    def __init__(self, histogram: Histogram, bounds: Sequence[float]) -> None:
        self._histogram = histogram
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def flush(self) -> None:
        # The client library has no call for "n observations in this bucket"; a test holds these two names in place.
        for bucket, count in zip(self._histogram._buckets, self._counts, strict=True):
            if count:
                bucket.inc(count)
        if self._sum:
            self._histogram._sum.inc(self._sum)
        self._counts = [0] * len(self._counts)
        self._sum = 0.0


class _Declarations:
    """Makes families with our prefix in a registry of our own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, help_text, labels, registry=self.registry)

    def gauge(self, name: str, help_text: str, mode: Any, *labels: str) -> Gauge:
        return Gauge(PREFIX + name, help_text, labels, registry=self.registry, multiprocess_mode=mode)

    def histogram(self, name: str, help_text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(PREFIX + name, help_text, buckets=buckets, registry=self.registry)


class WorkerMetrics:
    """Counts of one worker process. Make it after ``use_directory``; call ``flush`` from time to time, and at the end.

    ``brands`` (codes) and ``upstreams`` (names) come from the configuration.
    """

    def __init__(self, brands: Iterable[int] = (), upstreams: Iterable[str] = ()) -> None:
        declare = _Declarations()
        self.registry = declare.registry
        self._timer: asyncio.TimerHandle | None = None
        upstreams = tuple(upstreams)

        self._messages = _Tally(
            declare.counter("messages_total", "Messages answered, by what became of them.", "channel", "outcome"),
            [(channel, outcome) for channel in CHANNELS for outcome in Outcome],
        )
        self._recipients = _Tally(
            declare.counter(
                "recipients_total", "Recipients decided, by verdict and reason.", "channel", "verdict", "reason"
            ),
            [(channel, _usual_verdict(reason), reason) for channel in CHANNELS for reason in Reason],
        )
        self._lookups = _Tally(
            declare.counter("lookups_total", "Questions to the consent index, by how they ended.", "result"),
            [("answered",), *((failure,) for failure in LookupFailure)],
        )
        self._upstream_replies = _Tally(
            declare.counter(
                "upstream_replies_total", "Transactions with the next hop, by result.", "upstream", "result"
            ),
            [(upstream, result) for upstream in upstreams for result in UPSTREAM_RESULTS],
        )
        self._refusals = _Tally(
            declare.counter(
                "refusals_total", "Refusals received from people, by channel and registry source.", "channel", "source"
            ),
            [(channel, source) for channel in CHANNELS for source in REFUSAL_SOURCES],
        )
        self._refusal_failures = _Tally(
            declare.counter(
                "refusal_failures_total", "Refusals that could not be made durable; the person was told to try again."
            ),
            [()],
        )
        self._evidence = _Tally(
            declare.counter("evidence_records_total", "Evidence records, by whether they reached the disk.", "result"),
            [("kept",), ("failed",)],
        )
        self._rewrite_refusals = _Tally(
            declare.counter(
                "rewrite_refusals_total", "Messages in which the opt-out could not lawfully be placed.", "detail"
            ),
            [(detail,) for detail in RewriteDetail],
        )
        self._retry_memory = _Tally(
            declare.counter("retry_memory_total", "Partly taken messages noted for a retry, by result.", "result"),
            [("kept",), ("failed",)],
        )
        self._pages = _Tally(
            declare.counter("page_responses_total", "Answers of the opt-out pages.", "route", "status"),
            PAGE_RESPONSES,
        )
        self._sms_calls = _Tally(
            declare.counter(
                "sms_calls_total", "Calls of SMS clients, by upstream, kind of call and answer.",
                "upstream", "kind", "status",
            ),
            [],
        )  # fmt: skip
        self._inbound_sms = _Tally(
            declare.counter(
                "inbound_sms_total", "SMS that people sent to numbers of ours, by what they were.", "result"
            ),
            [(result,) for result in INBOUND_RESULTS],
        )
        self._cancellations = _Tally(
            declare.counter(
                "sms_cancellations_total", "Scheduled SMS to people who refused before their time.", "result"
            ),
            [(result,) for result in CANCELLATIONS],
        )
        self._drop_reports = _Tally(
            declare.counter(
                "drop_reports_total", "Reports of recipients left out, to clients that asked for them.", "result"
            ),
            [("delivered",), ("lost",)],
        )
        self._intake = _Tally(
            declare.counter("intake_replies_total", "Answers to mailed refusals, by reply code.", "code"),
            [("250",), ("451",), ("550",)],
        )
        self._http_turned_away = _Tally(
            declare.counter("http_turned_away_total", "HTTP connections that reached no page.", "cause"),
            [("malformed",), ("too_many",)],
        )
        self._plain = {
            name: _Tally(declare.counter(name, text), [()])
            for name, text in (
                ("duplicates_suppressed_total", "Recipients not sent again on a retry: they had the message."),
                ("sessions_total", "Client sessions accepted."),
                ("session_failures_total", "Sessions ended by a fault of ours."),
                ("received_bytes_total", "Bytes of message content received."),
                ("cpu_seconds_total", "CPU time of the workers."),
            )
        }
        self._received_bytes = self._plain["received_bytes_total"]
        self._message_seconds = _Timing(
            declare.histogram(
                "message_duration_seconds", "From the final dot to our answer, upstream included.", _MESSAGE_BUCKETS
            ),
            _MESSAGE_BUCKETS,
        )
        self._decision_seconds = _Timing(
            declare.histogram("decision_duration_seconds", "Deciding all recipients of a message.", _DECISION_BUCKETS),
            _DECISION_BUCKETS,
        )
        self._lookup_seconds = _Timing(
            declare.histogram("lookup_duration_seconds", "One question to the consent index.", _LOOKUP_BUCKETS),
            _LOOKUP_BUCKETS,
        )
        self._commit_seconds = _Timing(
            declare.histogram("evidence_commit_duration_seconds", "One group commit of evidence.", _COMMIT_BUCKETS),
            _COMMIT_BUCKETS,
        )

        self.sessions_active = declare.gauge("sessions_active", "Client sessions open now.", "livesum")
        self.buffered_bytes = declare.gauge("buffered_bytes", "Message content held in memory now.", "livesum")
        self.resident_bytes = declare.gauge("resident_memory_bytes", "Memory of the workers.", "livesum")
        self.evidence_writable = declare.gauge(
            "evidence_writable", "1 while every worker can keep evidence; at 0 no commercial mail is taken.", "livemin"
        )
        connections = declare.gauge("upstream_connections", "Connections to the next hop.", "livesum", "upstream")
        self._connections = {upstream: connections.labels(upstream) for upstream in upstreams}
        synced = declare.gauge(
            "index_synced_timestamp_seconds",
            "Registry time up to which everything about the brand is known; 0: never loaded.", "livemax", "brand",
        )  # fmt: skip
        freshness = declare.gauge(
            "freshness_state", "1 at the state in which the brand's index is.", "livemax", "brand", "state"
        )
        self._outbox_pending = declare.gauge(
            "outbox_pending", "Refusals waiting to be reported to the registry.", "livemax", "brand"
        )
        self._outbox_due = declare.gauge(
            "outbox_oldest_due_timestamp_seconds",
            "Legal deadline of the refusal that has waited longest; 0: none waits.", "livemax", "brand",
        )  # fmt: skip
        self._synced = {}
        self._freshness = {}
        self._brands = tuple(brands)
        for brand in self._brands:
            self._synced[brand] = synced.labels(str(brand))
            self._freshness[brand] = {state: freshness.labels(str(brand), state) for state in FreshnessState}
            self._outbox_pending.labels(str(brand))
            self._outbox_due.labels(str(brand))
        self._tallies = (
            self._messages, self._recipients, self._lookups, self._upstream_replies, self._refusals,
            self._refusal_failures, self._evidence, self._rewrite_refusals, self._retry_memory, self._pages,
            self._intake, self._drop_reports, self._http_turned_away, self._sms_calls, self._inbound_sms,
            self._cancellations,
            *self._plain.values(),
        )  # fmt: skip
        self._timings = (self._message_seconds, self._decision_seconds, self._lookup_seconds, self._commit_seconds)
        self._cpu_s = 0.0

    # -- hot path -----------------------------------------------------------------------------------------------

    def count_message(self, channel: Channel, outcome: Outcome, seconds: float, size_bytes: int = 0) -> None:
        """One message answered ``seconds`` after its final dot."""
        self._messages.counts[channel, outcome] += 1
        self._message_seconds.observe(seconds)
        self._received_bytes.counts[()] += size_bytes

    def count_recipient(self, channel: Channel, verdict: Verdict, reason: Reason) -> None:
        self._recipients.add((channel, verdict, reason))

    def count_recipients(self, channel: Channel, verdict: Verdict, reason: Reason, number: int) -> None:
        """So many recipients of one request, decided alike."""
        self._recipients.add((channel, verdict, reason), number)

    def count_drop_report(self, *, is_delivered: bool) -> None:
        self._drop_reports.add(("delivered" if is_delivered else "lost",))

    def observe_decision(self, seconds: float) -> None:
        self._decision_seconds.observe(seconds)

    def count_lookup(self, failure: LookupFailure | None, seconds: float) -> None:
        """One question to the index; ``failure`` None if it was answered."""
        self._lookups.counts[(failure or "answered",)] += 1
        self._lookup_seconds.observe(seconds)

    def count_upstream_reply(self, upstream: str, result: str) -> None:
        self._upstream_replies.add((upstream, result))

    def count_commit(self, seconds: float, records: int) -> None:
        """One group commit that reached the disk (``EvidenceWriter.observe_commit``)."""
        self._evidence.counts["kept",] += records
        self._commit_seconds.observe(seconds)

    def count_evidence_failures(self, records: int) -> None:
        self._evidence.counts["failed",] += records

    # -- off the hot path ---------------------------------------------------------------------------------------

    def count_refusal(self, channel: Channel, source: str) -> None:
        self._refusals.add((channel, source))

    def count_refusal_failure(self) -> None:
        self._refusal_failures.add(())

    def count_rewrite_refusal(self, detail: RewriteDetail) -> None:
        self._rewrite_refusals.add((detail,))

    def count_sms_call(self, upstream: str, kind: str, status: int) -> None:
        """A call of a provider's dialect; ``kind`` is ``CallKind`` or "check", ``status`` of our answer."""
        self._sms_calls.add((upstream, kind, f"{status // 100}xx"))

    def count_inbound_sms(self, result: str) -> None:
        """An SMS that a person sent to a number of ours."""
        self._inbound_sms.add((result,))

    def count_cancellation(self, result: str) -> None:
        """A scheduled send that is to be called off (``CANCELLATIONS``)."""
        self._cancellations.add((result,))

    def count_retry_memory(self, is_kept: bool) -> None:
        self._retry_memory.add(("kept" if is_kept else "failed",))

    def count_page(self, route: str, status: int) -> None:
        """``route`` is the name of the route, never the path: that holds the token."""
        self._pages.add((route, str(status)))

    def count_intake_reply(self, code: str) -> None:
        self._intake.add((code,))

    def count_http_turned_away(self, cause: str) -> None:
        """``cause`` is malformed or too_many."""
        self._http_turned_away.add((cause,))

    def count_duplicates_suppressed(self, recipients: int) -> None:
        self._plain["duplicates_suppressed_total"].add((), recipients)

    def count_session(self) -> None:
        self._plain["sessions_total"].add(())

    def count_session_failure(self) -> None:
        self._plain["session_failures_total"].add(())

    def change_connections(self, upstream: str, change: int) -> None:
        self._connections[upstream].inc(change)

    def set_freshness(self, brand: int, state: FreshnessState, watermark_at: int | None) -> None:
        """What this worker now knows of a brand's index."""
        self._synced[brand].set(watermark_at or 0)
        for known, child in self._freshness[brand].items():
            child.set(1 if known is state else 0)

    def set_outbox(self, brand: int, pending: int, oldest_due_at: int | None) -> None:
        self._outbox_pending.labels(str(brand)).set(pending)
        self._outbox_due.labels(str(brand)).set(oldest_due_at or 0)

    # -- writing out --------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what was counted since the last time."""
        for tally in self._tallies:
            tally.flush()
        for timing in self._timings:
            timing.flush()

    def flush_regularly(self, loop: asyncio.AbstractEventLoop) -> None:
        """Flush every ``FLUSH_S`` from now on, with CPU and memory of this process."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s = used.ru_utime + used.ru_stime
        self._plain["cpu_seconds_total"].add((), cpu_s - self._cpu_s)
        self._cpu_s = cpu_s
        self.resident_bytes.set(_resident_bytes())
        self.flush()
        self._timer = loop.call_later(FLUSH_S, self.flush_regularly, loop)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.flush()


class SupervisorMetrics:
    """Counts of the supervisor; few and slow, so they are written at once."""

    def __init__(self, version: str = "") -> None:
        declare = _Declarations()
        self.registry = declare.registry
        self.worker_restarts = declare.counter(
            "worker_restarts_total", "Workers replaced because they ended by themselves."
        )
        reloads = declare.counter("configuration_reloads_total", "Reloads of the configuration, by result.", "result")
        self._reloads = {result: reloads.labels(result) for result in ("done", "refused")}
        self._restarts = 0
        self._reloads_seen = dict.fromkeys(self._reloads, 0)
        self.configuration_loaded = declare.gauge(
            "configuration_loaded_timestamp_seconds", "When the configuration in use was loaded.", "livemax"
        )
        workers = declare.gauge("workers", "Worker processes, by state.", "livesum", "state")
        self._workers = {
            state: workers.labels(state) for state in ("ready", "waiting", "starting", "draining", "silent")
        }
        self.ready = declare.gauge("ready", "1 while a commercial message sent now would be decided.", "livemax")
        build = declare.gauge("build_info", "1, with the version that runs.", "livemax", "version")
        build.labels(version).set(1)

    def follow(
        self,
        *,
        restarts: int,
        reloads: Mapping[str, int],
        loaded_at: float,
        worker_states: Iterable[str],
        is_ready: bool,
    ) -> None:
        """Bring every series up to what the supervisor says now; counters move by the difference."""
        self.worker_restarts.inc(restarts - self._restarts)
        self._restarts = restarts
        for result, child in self._reloads.items():
            child.inc(reloads[result] - self._reloads_seen[result])
            self._reloads_seen[result] = reloads[result]
        self.configuration_loaded.set(loaded_at)
        self.set_workers(worker_states)
        self.ready.set(1 if is_ready else 0)

    def set_workers(self, states: Iterable[str]) -> None:
        """The state of each worker process now."""
        counts = dict.fromkeys(self._workers, 0)
        for state in states:
            counts[state if state in counts else "silent"] += 1
        for state, child in self._workers.items():
            child.set(counts[state])


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * resource.getpagesize()

"""The sync process: what it is ordered, and its parts."""

from __future__ import annotations

import asyncio
import pickle
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
import uvloop

from adapters.store import Store
from filters.consent_key import ConsentKeys
from gateway.app.closing import make_closing
from gateway.app.opening import make_note_seal, open_store_with, sealing_of
from gateway.app.registry import RegistryLinks, make_asking_budget, make_dealers
from gateway.configuration import Configuration
from gateway.logs import Logs, configure_logs
from gateway.processes.worker_channel import ReportSender
from gateway.refusals import RefusalReports
from gateway.registry.asking.access_lists import (
    FEED_LISTS_SHARE,
    FEED_LISTS_SINGLES_AN_HOUR,
    AccessListReader,
)
from gateway.registry.assembly import SyncSide
from gateway.registry.dealer_watch import DealerWatch, FeedAddresses
from gateway.registry.metrics import SyncMetrics
from gateway.registry.pending import ConsentNotes
from gateway.registry.ports import BrandLink
from gateway.registry.proof import Proof
from gateway.registry.reporting.metrics import ReportingMetrics
from gateway.registry.reporting.reporter import Reporter
from gateway.registry.unheard import UnheardRefusals
from gateway.secrets import InstallationSecrets

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SyncOrder:
    """Everything the sync process needs to know."""

    configuration: Configuration
    secrets: InstallationSecrets
    channel: int


def sync_main() -> None:
    """Entry of the sync process: its order comes on standard input."""
    order = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - written by our own supervisor, over a pipe
    logs = configure_logs(order.configuration.log.level, order.configuration.log.format, fixed={"process": "sync"})
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run_sync(order, logs))
    finally:
        logs.close()


async def _run_sync(order: SyncOrder, logs: Logs) -> None:
    loop = asyncio.get_running_loop()
    logs.watch_loop(loop)
    configuration, kept = order.configuration, order.secrets
    keys = ConsentKeys(kept.index_secret.reveal())
    metrics = SyncMetrics(each.brand.code for each in configuration.brands)
    store = open_store_with(configuration, keys)
    registry = RegistryLinks(configuration, metrics, store=store)
    settings = configuration.registry
    assert settings is not None
    upward = ReportingMetrics(each.brand.code for each in configuration.brands)
    report_seal, calendar = sealing_of(configuration, kept)
    dealers, stop_reading = _dealer_watch(configuration, registry.links, keys, store, metrics)
    side = SyncSide(
        registry.links,
        store,
        store,
        keys,
        make_note_seal(kept),
        {each.brand.code: each.policy for each in configuration.brands if each.brand.is_active},
        configuration.store.state_directory / "registry",
        metrics,
        pull_interval_s=settings.pull_interval_s,
        push=settings.push,
        dealers=dealers,
        unheard=UnheardRefusals(store, keys, RefusalReports(report_seal, calendar)),
        more_tasks=(
            Reporter(
                store,
                store,
                {link.code: link for link in registry.links},
                report_seal,
                notes=ConsentNotes(store),
                observer=upward,
                is_late_own_decision=settings.late_as_own_decision,
            ),
            Proof(registry.links, store, store, keys, observer=upward),
        ),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, side.leave)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # reload is the supervisor's
    reports = ReportSender(socket.socket(fileno=order.channel), side.leave)
    await reports.start()
    try:
        health = await store.start()
        if health.failure is not None:
            log.warning("store.unusable", failure=health.failure, detail=health.detail)
        await side.run(reports.send)
    finally:
        await stop_reading()
        await registry.close()
        await store.close()
        await reports.close()


def _dealer_watch(
    configuration: Configuration, links: Sequence[BrandLink], keys: ConsentKeys, store: Store, metrics: SyncMetrics
) -> tuple[DealerWatch | None, Callable[[], Awaitable[None]]]:
    """The duty that keeps dealers' lists in step, where a dealer sends; and what ends its reading."""
    settings, dealers = configuration.registry, make_dealers(configuration)
    if settings is None or not dealers.keys() & {link.code for link in links}:
        return None, make_closing(lambda: None)
    addresses = FeedAddresses()
    budget = make_asking_budget(settings, FEED_LISTS_SHARE, FEED_LISTS_SINGLES_AN_HOUR)
    reader = AccessListReader({link.code: link for link in links}, store, addresses.find, metrics, budget)
    return DealerWatch(links, dealers, keys, store, reader, addresses), reader.close

"""The sync service of one machine, put together from the configuration and from what ``gateway.app`` opened."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from filters.consent_key import ConsentKeys
from filters.decision.policy import Policy
from filters.registry.values import RegistryBrand
from filters.sms.note_seal import NoteSeal
from gateway.configuration.settings import Configuration, RegistryPushSettings, RegistrySettings
from gateway.registry.dealer_watch import DealerWatch
from gateway.registry.freshness_watch import FreshnessWatch
from gateway.registry.lease import TERM_S, MachineLock, StoreLease, machine_name
from gateway.registry.metrics import SyncMetrics
from gateway.registry.ports import BrandLink, RegistryApi, SyncIndex, SyncMemory, Task
from gateway.registry.pull import Pull
from gateway.registry.push_registration import PushRegistration
from gateway.registry.questions import QuestionBook, Questions
from gateway.registry.rights import Rights
from gateway.registry.service import SyncService
from gateway.registry.unheard import UnheardRefusals

log = structlog.stdlib.get_logger(__name__)

REPORT_EVERY_S = 1.0


def make_links(
    configuration: Configuration, settings: RegistrySettings, api: Callable[[str, str], RegistryApi]
) -> list[BrandLink]:
    """One for each active brand that some account acts for. ``api`` gives the client for user and password."""
    brands = {each.brand.code: each.brand for each in configuration.brands if each.brand.is_active}
    links = []
    for account in settings.accounts:
        client = api(account.username, account.password.reveal_text())
        links += [
            BrandLink(code, RegistryBrand(brands[code].iys_code, code), client)
            for code in account.brands
            if code in brands
        ]
    return links


class SyncSide:
    """All duties of the sync process, with its lock, lease, metrics and reports."""

    def __init__(
        self,
        links: Sequence[BrandLink],
        index: SyncIndex,
        memory: SyncMemory,
        keys: ConsentKeys,
        seal: NoteSeal,
        policies: Mapping[int, Policy],
        state_directory: Path,
        metrics: SyncMetrics,
        *,
        pull_interval_s: float = 60.0,
        push: RegistryPushSettings | None = None,
        dealers: DealerWatch | None = None,
        unheard: UnheardRefusals | None = None,
        more_tasks: Sequence[Task] = (),
        term_s: float = TERM_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises ``OSError`` where ``state_directory`` cannot be written."""
        for code in sorted(policies.keys() - {link.code for link in links}):
            log.error("registry.brand", brand=code, state="no account acts for it")
        self._index = index
        self._metrics = metrics
        self._watch = FreshnessWatch(policies, clock=clock)
        self._lock = MachineLock(state_directory / "sync.lock")
        book = QuestionBook(memory, seal)
        self._rights = Rights(links, clock)
        tasks: list[Task] = [
            self._rights,
            Pull(
                links,
                index,
                memory,
                book,
                keys,
                interval_s=pull_interval_s,
                heard=None if dealers is None else dealers.heard,
                unheard=unheard,
                clock=clock,
            ),
            Questions(links, index, book, keys, clock),
        ]
        self._dealers = dealers
        if dealers is not None:
            tasks.append(dealers)
        if push is not None and push.registers:
            tasks.append(PushRegistration(links, push.public_url, push.username, push.password.reveal_text()))
        lease = StoreLease(memory, machine_name(state_directory / "sync-machine"), term_s=term_s)
        self._service = SyncService([*tasks, *more_tasks], lease, term_s=term_s, clock=clock)
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """End in order; a second call changes nothing."""
        self._leaving.set()
        self._service.leave()

    async def run(self, send: Callable[[Mapping[str, Any]], None]) -> None:
        """Until ``leave``; ``send`` gets the state once a second."""
        reporting = asyncio.create_task(self._report_regularly(send), name="sync-report")
        try:
            while not self._lock.take():  # the one before us is still ending
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await self._leaving.wait()
                if self._leaving.is_set():
                    return
            await self._service.run()
        finally:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)
            with contextlib.suppress(OSError):
                send(self.describe())
            self._lock.release()

    async def _report_regularly(self, send: Callable[[Mapping[str, Any]], None]) -> None:
        while True:
            try:
                watermarks = await self._index.watermarks()
            except OSError:
                watermarks = {}
            try:
                self._metrics.count_freshness(self._watch.tell(watermarks))
                told = self.describe()
                self._metrics.follow(told, self._rights.not_owned)
                if self._dealers is not None:
                    self._metrics.dealers_seen(self._dealers.not_active)
                send(told)
            except Exception as fault:  # a sync that falls silent would be taken for stuck
                log.error("report.failed", fault=type(fault).__name__, exc_info=fault)
            await asyncio.sleep(REPORT_EVERY_S)

    def describe(self) -> dict[str, Any]:
        return {**self._service.describe(), "freshness": self._watch.describe()}

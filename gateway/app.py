"""The one place that wires: configuration in, running parts out. Only here are concrete adapters known.

Read downwards: what the commands open, what a worker is made of, how the gateway is served.
"""

from __future__ import annotations

import asyncio
import pickle
import secrets
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, cast

import structlog
import uvloop
from aiohttp import web

from adapters.evidence.signing import TrustedKeys, load_public_key, load_signer, load_trusted_keys
from adapters.evidence.writer import EvidenceWriter, WriterSettings
from adapters.registry import (
    Credentials,
    Patience,
    RateGate,
    RegistryAddress,
    RegistryObserver,
    limits_name,
    records_in,
)
from adapters.smpp import LinkEvent, SmscLife, SmscSender, SmscSettings, SmscUpstream
from adapters.sms.settings import HttpUpstreamSettings
from adapters.sms.upstream import HttpUpstream
from adapters.smtp.pool import SmtpUpstream
from adapters.smtp.settings import Timeouts, UpstreamSettings
from adapters.smtp.settings import TlsMode as UpstreamTls
from adapters.store import Store, StoreOptions
from adapters.store import open_store as open_store_at
from adapters.webhook import Posting, Webhook, WebhookLimits
from filters.brand import Brand
from filters.business_days import HolidayCalendar
from filters.classify import TagField, TagHeaders
from filters.consent_key import ConsentKeys
from filters.envelope import Answer
from filters.exchange import UpstreamCapabilities
from filters.mime.footer import Footer, Language, find_texts, make_footer
from filters.mime.limits import DEFAULT_LIMITS
from filters.mime.plan import RewriteSettings
from filters.refusal_report import ReportSeal
from filters.registry.limits import Limits
from filters.smpp.client_session import ClientLimits
from filters.sms.note_seal import NoteSeal
from filters.token import Grant, OptOutLinks, TokenKeys
from filters.vocabulary import Channel, RecipientType
from gateway import sockets
from gateway.admin import AdminServer
from gateway.clients import ClientAccess, ClientDirectory
from gateway.configuration import Configuration, load_configuration
from gateway.configuration.sections.rules import AmpAlternative, PartlyRefused
from gateway.configuration.sections.upstreams import MailProtocol
from gateway.configuration.settings import (
    BrandSettings,
    Certificate,
    RegistryPushSettings,
    RegistrySettings,
    SmsUpstreamSettings,
    SmtpListenerSettings,
    SmtpUpstreamSettings,
)
from gateway.configuration.smpp_settings import SmppUpstreamSettings
from gateway.configuration.values import Endpoint
from gateway.dealers import AskedLists, DealerLists
from gateway.doors import HttpDoor, IntakeDoor, MailDoor, SmppDoor
from gateway.drop_reports import DropReports
from gateway.holidays import load_holidays
from gateway.housekeeping import Housekeeping, default_housekeeping_command, step_back
from gateway.logs import Logs, configure_logs
from gateway.mail_in_hand import MailInHand
from gateway.mail_observer import MailObserver
from gateway.mail_route import BrandRoute, MailRoute, MakeLinks, fold_senders
from gateway.metrics import SupervisorMetrics, WorkerMetrics, forget_process, render, use_directory
from gateway.observers import Observer
from gateway.opt_out.listener import HttpListener
from gateway.opt_out.logo import load_logo
from gateway.opt_out.mail_intake import MailIntake
from gateway.opt_out.pages import OptOutPages
from gateway.pipeline import MailPipeline
from gateway.ports import ConsentIndex, RefusalRecorder
from gateway.refusals import RefusalObserver, RefusalReports, Refusals
from gateway.registry.asking.access_lists import (
    FEED_LISTS_SHARE,
    FEED_LISTS_SINGLES_AN_HOUR,
    LISTS_SHARE,
    LISTS_SINGLES_AN_HOUR,
    AccessListReader,
)
from gateway.registry.asking.budget import AskingBudget
from gateway.registry.asking.missing import MISSING_SHARE, MISSING_SINGLES_AN_HOUR, MissingAskedIndex
from gateway.registry.asking.remembering import RememberingKeys
from gateway.registry.asking.requery import RequeryingIndex
from gateway.registry.assembly import SyncSide, make_links
from gateway.registry.dealer_watch import DealerWatch, FeedAddresses
from gateway.registry.metrics import SyncMetrics, WorkerRegistryMetrics
from gateway.registry.pending import ConsentNotes
from gateway.registry.ports import BrandLink
from gateway.registry.process import SyncProcess, default_sync_command
from gateway.registry.proof import Proof
from gateway.registry.push import PushReceiver
from gateway.registry.questions import QuestionBook
from gateway.registry.registering import Registering, one_by_one
from gateway.registry.registering_api import ConsentsMeans
from gateway.registry.reporting.metrics import ReportingMetrics
from gateway.registry.reporting.reporter import Reporter
from gateway.registry.shared_limits import SharedCount
from gateway.registry.unheard import UnheardRefusals
from gateway.scratch import scratch_folder
from gateway.secrets import InstallationSecrets, load_or_create_secrets, load_secrets
from gateway.smpp.assembly import SmppSide
from gateway.sms.assembly import SmsMeans, SmsSide, make_scheduled
from gateway.sms.delivery import DeliveryTarget
from gateway.sms.observer import SmsObserver
from gateway.sms.scheduled import CancellingRecorder
from gateway.sms.sealed_notes import SealedNotes
from gateway.smtp.listener import MailListener
from gateway.smtp.memory_budget import MemoryBudget
from gateway.smtp.settings import ListenerSettings
from gateway.smtp.settings import TlsMode as ListenerTls
from gateway.status import WorkerState, is_healthy, readiness, status_page, worker_state
from gateway.supervisor import Supervisor, default_worker_command
from gateway.trace import Tracer
from gateway.worker import Door, Worker
from gateway.worker_channel import ReportSender

if TYPE_CHECKING:
    from adapters.evidence.sealing import SealReport
    from adapters.evidence.search import EvidenceReader

VERSION = version("izinkapi")

log = structlog.stdlib.get_logger(__name__)

# -- what commands open ------------------------------------------------------------------------------------------


def load(path: Path) -> Configuration:
    """The configuration in ``path``. Raises ``ConfigurationError``."""
    return load_configuration(path)


def consent_keys(configuration: Configuration, *, may_begin: bool = True) -> ConsentKeys:
    """Derives the keys under which this installation knows recipients.

    ``may_begin``: make the installation's secrets where there are none. Else ``ValueError``, with what to do first.
    """
    kept = (load_or_create_secrets if may_begin else load_secrets)(configuration)
    return ConsentKeys(kept.index_secret.reveal())


def open_store(configuration: Configuration, *, may_begin: bool = True) -> Store:
    """The consent index; ``await store.start()`` connects it. ``may_begin`` as in ``consent_keys``."""
    return _open_store(configuration, consent_keys(configuration, may_begin=may_begin))


def refusal_reports(configuration: Configuration) -> RefusalReports:
    """Makes reports to the registry for refusals that an operator enters."""
    return RefusalReports(*_sealing(configuration, load_or_create_secrets(configuration)))


COMMAND_SLOT = 999
"""Where commands keep evidence: beyond every worker's slot, a chain of its own for each that runs at once."""


@asynccontextmanager
async def refusal_recorder(
    configuration: Configuration, store: Store, observer: RefusalObserver
) -> AsyncIterator[RefusalRecorder]:
    """For a command: refusals as workers take them, with index, outbox and evidence. Secrets must be there. Raises
    ``ValueError``, and ``EvidenceError`` (an ``OSError``) where the evidence cannot be written."""
    kept, settings = load_secrets(configuration), configuration.evidence
    evidence = EvidenceWriter(
        settings.directory, configuration.hostname, COMMAND_SLOT, load_signer(kept.evidence_key_file)
    )
    evidence.start()
    try:
        yield Refusals(store, evidence, *_sealing(configuration, kept), observer, index=store)
    finally:
        await evidence.close()


def report_sealing(configuration: Configuration) -> tuple[ReportSeal, HolidayCalendar]:
    """What opens and makes reports to the registry, and their deadlines. Secrets must be there: ``ValueError``."""
    return _sealing(configuration, load_secrets(configuration))


def count_verdicts(
    configuration: Configuration, since_at: float, until_at: float
) -> Mapping[tuple[int, str, str, str], int]:
    """Recipients decided about in that time, by brand, channel, verdict and reason."""
    from adapters.evidence import tally  # brings a query engine, which workers never need

    return tally.count_verdicts(configuration.evidence.directory, since_at, until_at)


def open_evidence_reader(configuration: Configuration) -> EvidenceReader:
    """Finds, verifies and exports what was kept."""
    from adapters.evidence.search import EvidenceReader  # brings a query engine, which workers never need

    key_file = load_secrets(configuration).evidence_key_file
    return EvidenceReader(configuration.evidence.directory, load_trusted_keys(key_file))


def trust_public_keys(paths: Sequence[Path]) -> Callable[[str, bytes, bytes], bool]:
    """Says whether one of the public keys in ``paths`` has signed (key id, statement, signature)."""
    return TrustedKeys(map(load_public_key, paths)).has_signed


def seal_evidence(configuration: Configuration, step: Callable[[str, int], None] | None = None) -> SealReport:
    """Compress and index closed segments, remove what is past its retention. Blocking; may run beside the gateway."""
    from adapters.evidence.sealing import seal  # brings a query engine, which workers never need

    key_file = load_secrets(configuration).evidence_key_file
    settings = configuration.evidence
    return seal(settings.directory, load_signer(key_file), settings.retention_years, time.time(), step)


def _sealing(configuration: Configuration, kept: InstallationSecrets) -> tuple[ReportSeal, HolidayCalendar]:
    calendar = configuration.calendar
    return (
        ReportSeal(kept.outbox_keys.reveal(), kept.outbox_keys.current),
        load_holidays(calendar.holidays_file, half_days_count=calendar.half_days_count),
    )


def _open_store(configuration: Configuration, keys: ConsentKeys) -> Store:
    settings = configuration.store
    return open_store_at(
        settings.connection_url(),
        state_directory=settings.state_directory,
        secret_fingerprint=keys.fingerprint,
        options=StoreOptions(
            taken_days=settings.retry_memory_days,
            journal_days=settings.journal_days,
            lookup_deadline_s=settings.lookup_timeout_s,
            connections=settings.connections,
            map_size_bytes=settings.map_size_bytes,
            tls=_client_tls(settings.ca_file, verify=settings.verify) if settings.url.is_tls else None,
        ),
    )


def _client_tls(ca_file: Path | None, *, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _server_tls(certificate: Certificate | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate.certificate_file, certificate.private_key_file)
    return context


# -- what a worker is made of ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """Everything a worker process needs to know; it reads no file that could have changed since it was validated."""

    configuration: Configuration
    secrets: InstallationSecrets
    slot: int
    descriptors: dict[str, int]
    channel: int

    def take(self, key: str) -> socket.socket:
        """The inherited listening socket of endpoint ``key``."""
        return socket.socket(fileno=self.descriptors[key])


def worker_main() -> None:
    """Entry of a worker process: its order comes on standard input."""
    order = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - written by our own supervisor, over a pipe
    logs = configure_logs(order.configuration.log.level, order.configuration.log.format, fixed={"worker": order.slot})
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run_worker(order, logs))
    finally:
        logs.close()


def housekeeping_main() -> None:
    """Entry of the housekeeping process: the configuration comes on standard input."""
    step_back()
    configuration = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - written by our own supervisor, over a pipe
    logs = configure_logs(configuration.log.level, configuration.log.format, fixed={"process": "housekeeping"})
    try:
        log.info("evidence.sealed", **seal_evidence(configuration)._asdict())
    finally:
        logs.close()


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
    store = _open_store(configuration, keys)
    registry = RegistryLinks(configuration, metrics, store=store)
    settings = configuration.registry
    assert settings is not None
    upward = ReportingMetrics(each.brand.code for each in configuration.brands)
    report_seal, calendar = _sealing(configuration, kept)
    dealers, stop_reading = _dealer_watch(configuration, registry.links, keys, store, metrics)
    side = SyncSide(
        registry.links,
        store,
        store,
        keys,
        _note_seal(kept),
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


class RegistryLinks:
    """The registry as this installation may use it: a client for each account, a link for each brand.

    Tokens are kept in the state directory, for all processes of the machine. So are the limits; where ``store`` is one
    that machines share, they are counted there, for all of them. Raises ``OSError``, and ``RegistrySettingsError`` (a
    ``ValueError``).
    """

    def __init__(
        self,
        configuration: Configuration,
        observer: RegistryObserver | None = None,
        *,
        store: Store | None = None,
        patience: Patience | None = None,
    ) -> None:
        settings = configuration.registry
        if settings is None:
            raise ValueError("registry: the configuration has no section [registry]")
        limits = Limits(per_second=settings.requests_per_second)
        gate = None
        if store is not None and shares_limits(configuration):
            count = SharedCount(store, f"registry/limits/{limits_name(settings.base_url)}")
            gate = RateGate(count, limits, count.now)
        self._address = RegistryAddress(
            settings.base_url,
            records=records_in(configuration.store.state_directory / "registry"),
            limits=limits,
            patience=patience,
            ca_file=str(settings.ca_file) if settings.ca_file else None,
            observer=observer,
            gate=gate,
        )
        self.links: list[BrandLink] = make_links(
            configuration, settings, lambda user, password: self._address.client(Credentials(user, password))
        )

    async def close(self) -> None:
        """End logins, waiting requests and connections."""
        await self._address.close()


def shares_limits(configuration: Configuration) -> bool:
    """Whether requests to the registry are counted in the store, which ``RegistryLinks`` then needs."""
    return configuration.store.url.is_shared


def _note_seal(kept: InstallationSecrets) -> NoteSeal:
    return NoteSeal(kept.outbox_keys.reveal(), kept.outbox_keys.current)


async def _run_worker(order: WorkerOrder, logs: Logs) -> None:
    loop = asyncio.get_running_loop()
    logs.watch_loop(loop)
    configuration = order.configuration
    metrics = WorkerMetrics(
        [settings.brand.code for settings in configuration.brands],
        [
            *(settings.name for settings in configuration.smtp_upstreams),
            *(settings.name for settings in configuration.sms_upstreams),
            *(f"{settings.name}-delivery" for settings in configuration.sms_upstreams if settings.delivery_url),
        ],
    )
    metrics.flush_regularly(loop)
    worker = build_worker(order, metrics, logs)
    reports = ReportSender(socket.socket(fileno=order.channel), worker.leave)
    await reports.start()
    try:
        await worker.run(reports)
    finally:
        metrics.close()
        await reports.close()


def build_worker(order: WorkerOrder, metrics: WorkerMetrics, logs: Logs) -> Worker:
    """All parts of one worker, connected and not yet started."""
    observer = Observer(metrics)
    mail_observer = MailObserver(metrics, logs.canonical, time.time)
    configuration, kept = order.configuration, order.secrets
    keys = _worker_keys(configuration, kept.index_secret.reveal())
    tokens = TokenKeys(kept.token_keys.reveal(), kept.token_keys.current)
    store = _open_store(configuration, keys)
    evidence = _open_evidence_writer(order, observer, metrics)
    registry_metrics = WorkerRegistryMetrics()
    index, dealer_lists, stop_asking = _requerying(configuration, store, keys, registry_metrics)
    upstreams = {
        settings.name: SmtpUpstream(_upstream_settings(settings, configuration.hostname), observer)
        for settings in configuration.smtp_upstreams
    }
    brands = {settings.brand.code: _brand_route(configuration, settings) for settings in configuration.brands}
    sender_classes = {
        each.client.name: fold_senders(each.sender_classes) for each in configuration.clients if each.sender_classes
    }
    routes = {
        listener.name: MailRoute(
            listener.name, upstreams[listener.upstream], _protocol_name(listener), listener.fixed_class, sender_classes
        )
        for listener in configuration.smtp_listeners
    }
    webhooks = _webhooks(configuration, observer)
    instance = f"{int(time.time()):x}{secrets.token_hex(2)}{order.slot:x}"
    signing_threads = ThreadPoolExecutor(2, thread_name_prefix="dkim")
    pipeline = MailPipeline(
        routes=routes,
        brands=brands,
        tag_headers=_tag_headers(configuration),
        keys=keys,
        index=index,
        dealer_lists=dealer_lists,
        evidence=evidence,
        make_links=_link_maker(tokens),
        tracer=Tracer(configuration.hostname, instance),
        node=f"{configuration.hostname}-{order.slot}",
        store=str(configuration.store.url.kind),
        signing_threads=signing_threads,
        observe=_observe_mail(configuration, mail_observer, webhooks),
        note_retry=mail_observer.retry_noted,
        observe_refused=mail_observer.recipient_refused,
        refuses_partly=configuration.partly_refused is PartlyRefused.REFUSE,
        limits=_rewrite_settings(configuration).limits,
    )
    clients = ClientDirectory(
        [
            ClientAccess(
                each.client,
                each.networks,
                each.username or "",
                each.password_hash.reveal_text() if each.password_hash else "",
            )
            for each in configuration.clients
        ]
    )
    allowance = max((route.footer.allowance_bytes for route in brands.values()), default=0)
    doors: list[Door] = []
    budgets: list[MemoryBudget] = []
    for listener in configuration.smtp_listeners:
        budget = MemoryBudget(listener.message_memory_bytes)
        budgets.append(budget)
        upstream = upstreams[listener.upstream]
        mail_listener = MailListener(
            _listener_settings(listener, configuration.hostname),
            handler=pipeline,
            clients=clients,
            budget=budget,
            capabilities=_capabilities_of(upstream),
            footer_allowance=lambda: allowance,
            ssl_context=_server_tls(listener.certificate),
            count=mail_observer.session_event,
        )
        doors.append(MailDoor(mail_listener, order.take(endpoint_key("smtp", listener.address))))
    providers = {
        settings.name: HttpUpstream(_provider_settings(settings), observer) for settings in configuration.sms_upstreams
    }
    scheduled = make_scheduled(
        configuration,
        index=store,
        notes=SealedNotes(store, _note_seal(kept)),
        evidence=evidence,
        upstreams=providers,
        count=metrics.count_cancellation,
        instance=instance,
    )
    recorder = CancellingRecorder(
        Refusals(store, evidence, *_sealing(configuration, kept), observer, index=store), scheduled
    )
    senders = {
        settings.name: HttpUpstream(_delivery_settings(settings, settings.delivery_url), observer)
        for settings in configuration.sms_upstreams
        if settings.delivery_url is not None
    }
    pushes = {
        settings.name: Webhook(
            settings.name, settings.delivery_url, observer, WebhookLimits(max_waiting=_DROPPED_POSTS)
        )
        for settings in configuration.sms_upstreams
        if settings.delivery_url is not None
    }
    sms_observer = SmsObserver(metrics, logs.canonical, time.time)
    sms = SmsSide(
        configuration,
        SmsMeans(
            index=index,
            dealer_lists=dealer_lists,
            notes=store,
            evidence=evidence,
            recorder=recorder,
            clients=clients,
            keys=keys,
            seal=_note_seal(kept),
            tag_headers=_tag_headers(configuration),
            upstreams=providers,
            observer=sms_observer,
            metrics=metrics,
            node=f"{configuration.hostname}-{order.slot}",
            instance=instance,
            scheduled=scheduled,
            deliveries=_delivery_targets(senders, pushes),
        ),
    )
    smpp = SmppSide(configuration, sms, clients)
    smscs = {
        settings.name: SmscUpstream(
            _smsc_settings(settings),
            deliver=smpp.deliveries[settings.name].take,
            count=partial(_log_link_event, settings.name),
        )
        for settings in configuration.smpp_upstreams
    }
    evidence.count_expected = lambda: pipeline.in_hand + sms.pipeline.in_hand
    for each in configuration.smpp_listeners:
        tls = _server_tls(
            Certificate(each.certificate_file, each.private_key_file)
            if each.certificate_file is not None and each.private_key_file is not None
            else None
        )
        smpp_listener = smpp.make_listener(each, SmscSender(smscs[each.upstream]), tls)
        doors.append(SmppDoor(smpp_listener, order.take(endpoint_key("smpp", each.address))))
    sealing = _sealing(configuration, kept)
    notes = ConsentNotes(store)
    registering = Registering(store, notes, keys, *sealing, one_by_one(recorder.record))
    consents = ConsentsMeans(clients, registering, notes, sms_observer.call_answered)
    doors += _http_doors(order, sms, consents, recorder, tokens, keys, observer)
    doors += _intake_doors(order, recorder, tokens, keys, observer)
    doors += _push_doors(order, store, keys, observer, registry_metrics)
    return Worker(
        evidence=evidence,
        store=store,
        store_kind=str(configuration.store.url.kind),
        upstreams=[
            *(UpstreamInUse(upstream) for upstream in upstreams.values()),
            *providers.values(),
            *map(SmscLife, smscs.values()),
        ],
        doors=doors,
        policies={code: route.policy for code, route in brands.items() if route.brand.is_active},
        buffered_bytes=lambda: sum(budget.used_bytes for budget in budgets) + sms.buffered_bytes,
        drain_s=configuration.drain_timeout_s,
        on_report=mail_observer.worker_reported,
        duties=[sms],
        after=[
            *(webhook.close for webhook in webhooks.values()),
            *stop_asking,
            *(push.close for push in pushes.values()),
            *(sender.close for sender in senders.values()),
            _closing(clients.close),
            _closing(signing_threads.shutdown),
        ],
    )


def _worker_keys(configuration: Configuration, secret: bytes) -> ConsentKeys:
    """Keys that remember addresses only where workers ask the registry themselves: of a brand whose index is stale,
    about recipients it does not know, and for the lists of a brand's dealers."""
    settings = configuration.registry
    if settings is None or not settings.accounts:
        return ConsentKeys(secret)
    ours = {code for account in settings.accounts for code in account.brands}
    always = ours if settings.requery_missing else ours & _dealers(configuration).keys()
    return RememberingKeys(secret, always) if always or settings.requery else ConsentKeys(secret)


def _dealers(configuration: Configuration) -> dict[int, frozenset[int]]:
    """By brand, the numbers of the dealers who send through this installation."""
    found: dict[int, set[int]] = {}
    for each in configuration.clients:
        if each.client.retailer_code is not None:
            for brand in each.client.brands:
                found.setdefault(brand, set()).add(each.client.retailer_code)
    return {brand: frozenset(codes) for brand, codes in found.items()}


def _requerying(
    configuration: Configuration, store: Store, keys: ConsentKeys, metrics: WorkerRegistryMetrics
) -> tuple[ConsentIndex, DealerLists, list[Callable[[], Awaitable[None]]]]:
    """The index and the lists as the pipelines ask them: with the registry behind where the configuration says so."""
    settings = configuration.registry
    if settings is None or not isinstance(keys, RememberingKeys):
        return store, store, []
    registry = RegistryLinks(configuration, store=store, patience=_WHILE_A_CLIENT_WAITS)
    links = {link.code: link for link in registry.links}
    policies = {each.brand.code: each.policy for each in configuration.brands}
    index: ConsentIndex = store
    lists: DealerLists = store
    closing: list[Callable[[], Awaitable[None]]] = [registry.close]
    if settings.requery:
        index = requerying = RequeryingIndex(store, store, keys, links, policies, metrics)
        closing.insert(0, requerying.close)
    if settings.requery_missing:
        budget = _asking_budget(settings, MISSING_SHARE, MISSING_SINGLES_AN_HOUR, configuration.workers)
        index = missing = MissingAskedIndex(index, store, keys, links, policies, metrics, budget)
        closing.insert(0, missing.close)
    if links.keys() & _dealers(configuration).keys():
        budget = _asking_budget(settings, LISTS_SHARE, LISTS_SINGLES_AN_HOUR, configuration.workers)
        reader = AccessListReader(links, store, keys.addresses.get, metrics, budget)
        lists = AskedLists(store, reader, links, settings.retailer_list_age_s)
        closing.insert(0, reader.close)
    return index, lists, closing


def _asking_budget(
    settings: RegistrySettings, share: float, singles_an_hour: float, processes: int = 1
) -> AskingBudget:
    """``share`` of the requests of this machine, and so many single queries an hour, divided among ``processes``."""
    return AskingBudget(settings.requests_per_second * share / processes, singles_an_hour / processes)


def _dealer_watch(
    configuration: Configuration, links: Sequence[BrandLink], keys: ConsentKeys, store: Store, metrics: SyncMetrics
) -> tuple[DealerWatch | None, Callable[[], Awaitable[None]]]:
    """The duty that keeps dealers' lists in step, where a dealer sends; and what ends its reading."""
    settings, dealers = configuration.registry, _dealers(configuration)
    if settings is None or not dealers.keys() & {link.code for link in links}:
        return None, _closing(lambda: None)
    addresses = FeedAddresses()
    budget = _asking_budget(settings, FEED_LISTS_SHARE, FEED_LISTS_SINGLES_AN_HOUR)
    reader = AccessListReader({link.code: link for link in links}, store, addresses.find, metrics, budget)
    return DealerWatch(links, dealers, keys, store, reader, addresses), reader.close


_WHILE_A_CLIENT_WAITS = Patience(connect_s=2.0, answer_s=5.0, turn_s=4.0)


def _webhooks(configuration: Configuration, observer: Observer) -> dict[str, Webhook]:
    """By client name; empty where nobody asked for reports."""
    return {
        each.client.name: Webhook(each.client.name, each.report_url, observer)
        for each in configuration.clients
        if each.report_url is not None
    }


def _observe_mail(
    configuration: Configuration, observer: MailObserver, webhooks: Mapping[str, Webhook]
) -> Callable[[MailInHand, Answer], None]:
    """Who is told of each answered message; reports cost nothing where no client asked for them."""
    if not webhooks:
        return observer.message_answered

    def deliver_by(webhook: Webhook) -> Callable[[bytes, Mapping[str, str]], None]:
        return lambda body, fields: webhook.send(Posting(body, fields))

    reports = DropReports(
        {
            each.client.name: (each.report_secret.reveal(), deliver_by(webhooks[each.client.name]))
            for each in configuration.clients
            if each.client.name in webhooks and each.report_secret is not None
        }
    )

    def observe(mail: MailInHand, answer: Answer) -> None:
        observer.message_answered(mail, answer)
        reports.message_answered(mail, answer)

    return observe


def _smsc_settings(settings: SmppUpstreamSettings) -> SmscSettings:
    return SmscSettings(
        name=settings.name,
        addresses=tuple((endpoint.host, endpoint.port) for endpoint in settings.addresses),
        system_id=settings.system_id,
        password=settings.password.reveal_text() if settings.password is not None else "",
        system_type=settings.system_type,
        tls=settings.tls,
        verify=settings.verify,
        ca_file=str(settings.ca_file) if settings.ca_file is not None else None,
        tls_name=settings.server_name,
        allow_cleartext=settings.allows_clear_text,
        links=settings.links,
        limits=ClientLimits(
            window=settings.window, answer_s=settings.answer_timeout_s, quiet_s=settings.enquire_after_s
        ),
        max_waiting=settings.queue,
        waiting_s=settings.queue_timeout_s,
        connect_s=settings.connect_timeout_s,
    )


def _log_link_event(upstream: str, event: LinkEvent) -> None:
    log.info("smsc.link", upstream=upstream, event_kind=str(event))


def _http_doors(
    order: WorkerOrder,
    sms: SmsSide,
    consents: ConsentsMeans,
    recorder: RefusalRecorder,
    tokens: TokenKeys,
    keys: ConsentKeys,
    observer: Observer,
) -> list[Door]:
    """Opt-out pages, and beside them the SMS dialects and what is handed over for the registry."""
    configuration = order.configuration
    brands = [settings.brand for settings in configuration.brands]
    doors: list[Door] = []
    for http in configuration.http_listeners:
        pages = None
        if http.opt_out_pages:
            logos = {brand.code: load_logo(Path(brand.logo_path)) for brand in brands if brand.logo_path}
            pages = OptOutPages(recorder, tokens, keys, brands, logos, observer)
        if sms.is_served_by(http):
            app = sms.build_app(http, pages)
        elif pages is not None:
            app = pages.build_app()
        elif http.consents_api:
            app = web.Application()
        else:
            continue
        if http.consents_api:
            codes = [brand.code for brand in brands]
            app.add_routes(consents.make_api(codes, http.forwarded_from, http.request_memory_bytes).routes())
        if sms.is_served_by(http) or http.consents_api:
            listener = HttpListener(
                app,
                observer,
                max_connections=http.connections,
                max_line_bytes=_SMS_LINE_BYTES,
                drain_s=configuration.drain_timeout_s,
            )
        else:
            listener = HttpListener(app, observer, max_connections=http.connections)
        listening = order.take(endpoint_key("http", http.address))
        doors.append(HttpDoor(listener, listening, _server_tls(http.certificate)))
    return doors


_DROPPED_POSTS = 100_000
"""To one sender: some providers post each message by itself, and a job may have dropped fifty thousand."""

_SMS_LINE_BYTES = 64 * 1024
"""A dialect that sends by GET has text and recipients in the first line of the request."""


def _intake_doors(
    order: WorkerOrder, recorder: RefusalRecorder, tokens: TokenKeys, keys: ConsentKeys, observer: Observer
) -> list[Door]:
    """Where people refuse by mail: behind the mailto addresses."""
    configuration = order.configuration
    brands = [settings.brand for settings in configuration.brands]
    doors: list[Door] = []
    for mail in configuration.opt_out_mail_listeners:
        intake = MailIntake(
            recorder,
            tokens,
            keys,
            [brand.opt_out_mail_domain for brand in brands],
            configuration.hostname,
            observer,
            max_connections=mail.connections,
            size_bytes=mail.message_bytes,
            tls=_server_tls(mail.certificate),
        )
        doors.append(IntakeDoor(intake, order.take(endpoint_key("opt_out_mail", mail.address))))
    return doors


def _push_doors(
    order: WorkerOrder, store: Store, keys: ConsentKeys, observer: Observer, metrics: WorkerRegistryMetrics
) -> list[Door]:
    """Where the registry tells at once what citizens did; in every worker, so that no single process has to be up."""
    registry = order.configuration.registry
    if registry is None or registry.push is None:
        return []
    push = registry.push
    receiver = PushReceiver(
        store,
        QuestionBook(store, _note_seal(order.secrets)),
        keys,
        {(each.brand.iys_code, each.brand.code): each.brand.code for each in order.configuration.brands},
        push.username,
        push.password.reveal_text(),
        metrics,
    )
    listener = HttpListener(receiver.build_app(push.path), observer, max_connections=_PUSH_CONNECTIONS)
    listening = order.take(endpoint_key("registry_push", push.address))
    return [HttpDoor(listener, listening, _server_tls(push.certificate))]


_PUSH_CONNECTIONS = 100


def _brand_route(configuration: Configuration, settings: BrandSettings) -> BrandRoute:
    signer = None
    if settings.dkim is not None:
        from adapters.dkim import load_dkim_signer

        signer = load_dkim_signer(settings.dkim.domain, settings.dkim.selector, settings.dkim.private_key_file)
    return BrandRoute(
        settings.brand,
        settings.policy,
        _footer(settings),
        _rewrite_settings(configuration),
        signer,
    )


def _footer(settings: BrandSettings) -> Footer:
    language = cast("Language", str(settings.footer_language))
    texts = find_texts(language)
    if settings.footer_invitation is not None:
        texts = texts._replace(invitation=settings.footer_invitation)
    if settings.footer_link_words is not None:
        texts = texts._replace(link_words=settings.footer_link_words)
    return make_footer(settings.brand, language, texts=texts)


def _rewrite_settings(configuration: Configuration) -> RewriteSettings:
    settings = configuration.rewriting
    return RewriteSettings(
        placeholder=settings.placeholder.encode("ascii"),
        keep_sender_optout=settings.keep_sender_optout,
        signed_domains=frozenset(domain.encode("ascii") for domain in settings.signed_domains),
        keeps_foreign_signatures=not settings.remove_foreign_signatures,
        removes_amp=settings.amp_alternative is AmpAlternative.REMOVE,
        limits=DEFAULT_LIMITS._replace(
            header_bytes=settings.max_header_bytes, parts=settings.max_parts, depth=settings.max_depth
        ),
    )


def _open_evidence_writer(order: WorkerOrder, observer: Observer, metrics: WorkerMetrics) -> EvidenceWriter:
    settings = order.configuration.evidence
    writer = EvidenceWriter(
        settings.directory,
        order.configuration.hostname,
        order.slot,
        load_signer(order.secrets.evidence_key_file),
        WriterSettings(
            sign_every_s=settings.sign_interval_s,
            segment_bytes=settings.segment_bytes,
            segment_s=settings.segment_age_s,
        ),
        observer.evidence_reported,
    )
    writer.observe_commit = metrics.count_commit
    return writer


def _link_maker(tokens: TokenKeys) -> MakeLinks:
    def make_links(brand: Brand, address: bytes, recipient_type: RecipientType | None, key: bytes) -> OptOutLinks:
        return tokens.opt_out_links(brand, Grant(brand.code, Channel.EMAIL, recipient_type, address), key)

    return make_links


def _tag_headers(configuration: Configuration) -> TagHeaders:
    tags = configuration.tags

    def fields(names: Sequence[str], words: Mapping[str, str] | None = None) -> tuple[TagField, ...]:
        values = None if words is None else {word.encode(): str(value).encode() for word, value in words.items()}
        return tuple(TagField(name.lower().encode("ascii"), values) for name in names)

    return TagHeaders(
        fields(tags.class_headers, tags.class_words),
        fields(tags.brand_headers),
        fields(tags.recipient_type_headers, tags.recipient_type_words),
        fields(tags.campaign_headers),
    )


def _listener_settings(listener: SmtpListenerSettings, hostname: str) -> ListenerSettings:
    return ListenerSettings(
        name=listener.name,
        hostname=hostname,
        is_lmtp=listener.protocol is MailProtocol.LMTP,
        tls=ListenerTls(listener.tls),
        allows_clear_login=listener.allows_clear_login,
        proxy_networks=listener.proxy_protocol_from,
        max_message_bytes=listener.message_bytes,
        max_recipients=listener.recipients,
        max_connections=listener.connections,
        max_connections_per_peer=listener.connections_per_peer,
        max_command_errors=listener.errors,
        max_failed_logins=listener.failed_logins,
        idle_timeout_s=listener.idle_timeout_s,
        data_grace_s=listener.data_grace_s,
        min_data_rate=listener.data_rate,
        answer_timeout_s=listener.answer_timeout_s,
        max_session_s=listener.session_time_s,
        handshake_timeout_s=listener.handshake_timeout_s,
    )


def _upstream_settings(settings: SmtpUpstreamSettings, hostname: str) -> UpstreamSettings:
    return UpstreamSettings(
        name=settings.name,
        addresses=tuple((endpoint.host, endpoint.port) for endpoint in settings.addresses),
        tls=UpstreamTls(settings.tls),
        verify=settings.verify,
        ca_file=str(settings.ca_file) if settings.ca_file else None,
        tls_name=settings.server_name,
        username=settings.username,
        password=settings.password.reveal_text() if settings.password else None,
        allow_cleartext_auth=settings.allows_clear_login,
        helo_name=hostname,
        is_lmtp=settings.protocol is MailProtocol.LMTP,
        max_connections=settings.connections,
        max_waiting=settings.queue,
        max_waiting_bytes=settings.queue_memory_bytes,
        max_transactions=settings.max_messages_per_connection,
        max_age_s=settings.connection_age_s,
        idle_s=settings.idle_timeout_s,
        timeouts=Timeouts(
            waiting_s=settings.queue_timeout_s,
            connect_s=settings.connect_timeout_s,
            command_s=settings.reply_timeout_s,
            after_dot_s=settings.final_reply_timeout_s,
        ),
    )


def _provider_settings(settings: SmsUpstreamSettings) -> HttpUpstreamSettings:
    is_tls = settings.base_url.startswith("https:")
    return HttpUpstreamSettings(
        name=settings.name,
        base_url=settings.base_url,
        timeout_s=settings.timeout_s,
        connect_s=settings.connect_timeout_s,
        waiting_s=settings.queue_timeout_s,
        idle_s=settings.idle_timeout_s,
        max_connections=settings.connections,
        max_waiting=settings.queue,
        max_rate=float(settings.rate),
        max_response_bytes=settings.response_bytes,
        breaker_failures=settings.breaker_failures,
        breaker_s=settings.breaker_time_s,
        tls=_client_tls(settings.ca_file, verify=settings.verify) if is_tls else None,
    )


def _delivery_settings(settings: SmsUpstreamSettings, url: str) -> HttpUpstreamSettings:
    """The sender's own address, which takes what the provider posts."""
    is_tls = url.startswith("https:")
    return HttpUpstreamSettings(
        name=f"{settings.name}-delivery",
        base_url=url,
        timeout_s=settings.timeout_s,
        connect_s=settings.connect_timeout_s,
        waiting_s=settings.queue_timeout_s,
        idle_s=settings.idle_timeout_s,
        tls=_client_tls(None, verify=True) if is_tls else None,
    )


def _delivery_targets(senders: Mapping[str, HttpUpstream], pushes: Mapping[str, Webhook]) -> dict[str, DeliveryTarget]:
    """By upstream, where the sender takes delivery reports."""

    def post_by(webhook: Webhook) -> Callable[[bytes, Mapping[str, str]], None]:
        return lambda body, fields: webhook.send(Posting(body, fields))

    return {name: DeliveryTarget(sender, post_by(pushes[name])) for name, sender in senders.items()}


class UpstreamInUse:
    """An upstream as the worker's life sees it."""

    def __init__(self, upstream: SmtpUpstream) -> None:
        self._upstream = upstream

    @property
    def name(self) -> str:
        return self._upstream.name

    @property
    def is_known(self) -> bool:
        """Whether a connection has told what the next hop can do, and one could be had now."""
        return self._upstream.capabilities is not None and self._upstream.is_reachable

    async def start(self) -> bool:
        return await self._upstream.start()

    async def close(self, drain_s: float = 0.0) -> None:
        await self._upstream.close(drain_s)

    def describe(self) -> dict[str, object]:
        status = self._upstream.status
        return {
            "is_reachable": status.is_reachable,
            "connections": status.connections,
            "idle": status.idle,
            "waiting": status.waiting,
            "hosts": [
                {
                    "address": host.address,
                    "state": str(host.state),
                    "since": host.since,
                    "last_error": str(host.last_fault) if host.last_fault else "",
                }
                for host in status.hosts
            ],
        }


def _capabilities_of(upstream: SmtpUpstream) -> Callable[[], UpstreamCapabilities | None]:
    return lambda: upstream.capabilities


def _protocol_name(listener: SmtpListenerSettings) -> str:
    return "LMTP" if listener.protocol is MailProtocol.LMTP else "ESMTP"


def _closing(close: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        close()

    return run


# -- serving -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NamedEndpoint:
    """A listening address by the key under which a worker gets its socket."""

    key: str
    host: str
    port: int


def endpoint_key(kind: str, address: Endpoint) -> str:
    """``smtp 127.0.0.1:2525``: the same for supervisor and worker, and for the same listener after a reload."""
    return f"{kind} {address}"


class GatewayPlan:
    """A configuration as the supervisor sees it (``gateway.supervisor.Plan``)."""

    def __init__(self, configuration: Configuration, kept: InstallationSecrets, environment: dict[str, str]) -> None:
        self.configuration = configuration
        self._kept = kept
        self.environment = environment
        self.workers = configuration.workers
        self.drain_s = configuration.drain_timeout_s
        self.endpoints = tuple(
            NamedEndpoint(endpoint_key(kind, listener.address), listener.address.host, listener.address.port)
            for kind, listeners in (
                ("smtp", configuration.smtp_listeners),
                ("http", configuration.http_listeners),
                ("smpp", configuration.smpp_listeners),
                ("opt_out_mail", configuration.opt_out_mail_listeners),
                ("registry_push", _push_listeners(configuration)),
            )
            for listener in listeners
        )

    def order(self, slot: int, file_descriptors: dict[str, int], channel: int) -> bytes:
        return pickle.dumps(WorkerOrder(self.configuration, self._kept, slot, file_descriptors, channel))

    def housekeeping_order(self) -> bytes:
        return pickle.dumps(self.configuration)

    def sync_order(self, channel: int) -> bytes | None:
        """None without a registry, or without a login to it."""
        registry = self.configuration.registry
        if registry is None or not registry.accounts:
            return None
        return pickle.dumps(SyncOrder(self.configuration, self._kept, channel))


def _push_listeners(configuration: Configuration) -> tuple[RegistryPushSettings, ...]:
    registry = configuration.registry
    return () if registry is None or registry.push is None else (registry.push,)


def serve(path: Path) -> None:
    """Run the gateway until a signal ends it. Raises ``ConfigurationError``, ``sockets.BindError``, ``OSError``."""
    configuration = load(path)
    logs = configure_logs(configuration.log.level, configuration.log.format)
    try:
        with scratch_folder() as metrics_directory:
            use_directory(metrics_directory)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(path, configuration, metrics_directory, logs))
    finally:
        logs.close()


async def _serve(path: Path, configuration: Configuration, metrics_directory: Path, logs: Logs) -> None:
    logs.watch_loop(asyncio.get_running_loop())
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(metrics_directory)}
    plan = GatewayPlan(configuration, load_or_create_secrets(configuration), environment)

    def load_plan() -> GatewayPlan:
        changed = load(path)
        return GatewayPlan(changed, load_or_create_secrets(changed), environment)

    metrics = SupervisorMetrics(VERSION)
    supervisor = Supervisor(
        plan, load_plan, default_worker_command(), lambda pid: forget_process(metrics_directory, pid)
    )
    sync = SyncProcess(
        default_sync_command(), lambda: current_plan(), lambda pid: forget_process(metrics_directory, pid)
    )
    housekeeping = Housekeeping(default_housekeeping_command(), lambda: current_plan().housekeeping_order())
    started_at = time.time()

    def current_plan() -> GatewayPlan:
        plan = supervisor.plan
        assert isinstance(plan, GatewayPlan)
        return plan

    def workers() -> list[WorkerState]:
        return [
            WorkerState(each.slot, each.process.pid, each.generation, each.reported_at, each.report)
            for each in supervisor.workers
        ]

    def about() -> dict[str, object]:
        return {
            "version": VERSION,
            "started_at": started_at,
            "generation": supervisor.generation,
            "worker_restarts": supervisor.restarts,
            "reloads": supervisor.reloads,
            "last_reload_problem": supervisor.last_reload_problem,
            "housekeeping": housekeeping.describe(),
            "registry": sync.describe(),
        }

    def show_metrics() -> bytes:
        now = time.time()
        states = workers()
        metrics.follow(
            restarts=supervisor.restarts,
            reloads=supervisor.reloads,
            loaded_at=supervisor.loaded_at,
            worker_states=[worker_state(each, now) for each in states],
            is_ready=readiness(states, now, is_draining=supervisor.is_stopping).is_ready,
        )
        return render(metrics_directory)

    admin = AdminServer(
        render_metrics=show_metrics,
        is_healthy=lambda: is_healthy(workers(), time.time()),
        readiness=lambda: readiness(workers(), time.time(), is_draining=supervisor.is_stopping),
        status=lambda: status_page(workers(), time.time(), about(), is_draining=supervisor.is_stopping),
    )
    log.info("gateway.started", version=VERSION, configuration=configuration.describe())
    for warning in configuration.warnings:
        log.warning("configuration.doubtful", problem=str(warning))
    (admin_socket,) = sockets.bind(configuration.admin.host, configuration.admin.port, 1)
    await supervisor.start()
    await admin.start(admin_socket)
    beside = [
        asyncio.create_task(housekeeping.run(), name="housekeeping"),
        asyncio.create_task(sync.run(), name="sync"),
    ]
    try:
        await supervisor.run()
    finally:
        for task in beside:
            task.cancel()
        await asyncio.wait(beside)
        await admin.close()
    log.info("gateway.stopped")

"""One worker process: all its parts, connected."""

from __future__ import annotations

import asyncio
import pickle
import secrets
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import uvloop

from adapters.smpp import SmscLife, SmscSender, SmscUpstream
from adapters.sms.upstream import HttpUpstream
from adapters.smtp.pool import SmtpUpstream
from adapters.webhook import Webhook, WebhookLimits
from filters.token import TokenKeys
from gateway.app.closing import make_closing
from gateway.app.doors import make_http_doors, make_intake_doors, make_push_doors
from gateway.app.endpoints import endpoint_key
from gateway.app.mail import (
    UpstreamInUse,
    capabilities_of,
    link_maker,
    make_brand_route,
    make_listener_settings,
    make_mail_observer,
    make_rewrite_settings,
    make_tag_headers,
    make_upstream_settings,
    make_webhooks,
    protocol_name,
)
from gateway.app.opening import make_note_seal, open_store_with, sealing_of
from gateway.app.order import WorkerOrder
from gateway.app.recording import open_evidence_writer
from gateway.app.registry import make_worker_keys, open_index
from gateway.app.sms import (
    log_link_event,
    make_delivery_settings,
    make_delivery_targets,
    make_provider_settings,
    make_smsc_settings,
)
from gateway.app.tls import server_tls
from gateway.clients import ClientAccess, ClientDirectory
from gateway.configuration.sections.rules import PartlyRefused
from gateway.configuration.settings import Certificate
from gateway.doors import SessionDoor
from gateway.logs import Logs, configure_logs
from gateway.mail.observer import MailObserver
from gateway.mail.pipeline import MailPipeline
from gateway.mail.route import MailRoute, fold_senders
from gateway.metrics import WorkerMetrics
from gateway.observers import Observer
from gateway.processes.worker import Door, Worker
from gateway.processes.worker_channel import ReportSender
from gateway.refusals import Refusals
from gateway.registry.metrics import WorkerRegistryMetrics
from gateway.registry.pending import ConsentNotes
from gateway.registry.registering import Registering, one_by_one
from gateway.registry.registering_api import ConsentsMeans
from gateway.smpp.assembly import SmppSide
from gateway.sms.assembly import SmsMeans, SmsSide, make_scheduled
from gateway.sms.observer import SmsObserver
from gateway.sms.scheduled import CancellingRecorder
from gateway.sms.sealed_notes import SealedNotes
from gateway.smtp.listener import MailListener
from gateway.smtp.memory_budget import MemoryBudget
from gateway.trace import Tracer


def worker_main() -> None:
    """Entry of a worker process: its order comes on standard input."""
    order = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - written by our own supervisor, over a pipe
    logs = configure_logs(order.configuration.log.level, order.configuration.log.format, fixed={"worker": order.slot})
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run_worker(order, logs))
    finally:
        logs.close()


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
    keys = make_worker_keys(configuration, kept.index_secret.reveal())
    tokens = TokenKeys(kept.token_keys.reveal(), kept.token_keys.current)
    store = open_store_with(configuration, keys)
    evidence = open_evidence_writer(order, observer, metrics)
    registry_metrics = WorkerRegistryMetrics()
    index, dealer_lists, stop_asking = open_index(configuration, store, keys, registry_metrics)
    upstreams = {
        settings.name: SmtpUpstream(make_upstream_settings(settings, configuration.hostname), observer)
        for settings in configuration.smtp_upstreams
    }
    brands = {settings.brand.code: make_brand_route(configuration, settings) for settings in configuration.brands}
    sender_classes = {
        each.client.name: fold_senders(each.sender_classes) for each in configuration.clients if each.sender_classes
    }
    routes = {
        listener.name: MailRoute(
            listener.name, upstreams[listener.upstream], protocol_name(listener), listener.fixed_class, sender_classes
        )
        for listener in configuration.smtp_listeners
    }
    webhooks = make_webhooks(configuration, observer)
    instance = f"{int(time.time()):x}{secrets.token_hex(2)}{order.slot:x}"
    signing_threads = ThreadPoolExecutor(2, thread_name_prefix="dkim")
    pipeline = MailPipeline(
        routes=routes,
        brands=brands,
        tag_headers=make_tag_headers(configuration),
        keys=keys,
        index=index,
        dealer_lists=dealer_lists,
        evidence=evidence,
        make_links=link_maker(tokens),
        tracer=Tracer(configuration.hostname, instance),
        node=f"{configuration.hostname}-{order.slot}",
        store=str(configuration.store.url.kind),
        signing_threads=signing_threads,
        observe=make_mail_observer(configuration, mail_observer, webhooks),
        note_retry=mail_observer.retry_noted,
        observe_refused=mail_observer.recipient_refused,
        refuses_partly=configuration.partly_refused is PartlyRefused.REFUSE,
        limits=make_rewrite_settings(configuration).limits,
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
            make_listener_settings(listener, configuration.hostname),
            handler=pipeline,
            clients=clients,
            budget=budget,
            capabilities=capabilities_of(upstream),
            footer_allowance=lambda: allowance,
            ssl_context=server_tls(listener.certificate),
            count=mail_observer.session_event,
        )
        doors.append(SessionDoor(mail_listener, order.take(endpoint_key("smtp", listener.address))))
    providers = {
        settings.name: HttpUpstream(make_provider_settings(settings), observer)
        for settings in configuration.sms_upstreams
    }
    scheduled = make_scheduled(
        configuration,
        index=store,
        notes=SealedNotes(store, make_note_seal(kept)),
        evidence=evidence,
        upstreams=providers,
        count=metrics.count_cancellation,
        instance=instance,
    )
    recorder = CancellingRecorder(
        Refusals(store, evidence, *sealing_of(configuration, kept), observer, index=store), scheduled
    )
    senders = {
        settings.name: HttpUpstream(make_delivery_settings(settings, settings.delivery_url), observer)
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
            seal=make_note_seal(kept),
            tag_headers=make_tag_headers(configuration),
            upstreams=providers,
            observer=sms_observer,
            metrics=metrics,
            node=f"{configuration.hostname}-{order.slot}",
            instance=instance,
            scheduled=scheduled,
            deliveries=make_delivery_targets(senders, pushes),
        ),
    )
    smpp = SmppSide(configuration, sms, clients)
    smscs = {
        settings.name: SmscUpstream(
            make_smsc_settings(settings),
            deliver=smpp.deliveries[settings.name].take,
            count=partial(log_link_event, settings.name),
        )
        for settings in configuration.smpp_upstreams
    }
    evidence.count_expected = lambda: pipeline.in_hand + sms.pipeline.in_hand
    for each in configuration.smpp_listeners:
        tls = server_tls(
            Certificate(each.certificate_file, each.private_key_file)
            if each.certificate_file is not None and each.private_key_file is not None
            else None
        )
        smpp_listener = smpp.make_listener(each, SmscSender(smscs[each.upstream]), tls)
        doors.append(SessionDoor(smpp_listener, order.take(endpoint_key("smpp", each.address))))
    sealing = sealing_of(configuration, kept)
    notes = ConsentNotes(store)
    registering = Registering(store, notes, keys, *sealing, one_by_one(recorder.record))
    consents = ConsentsMeans(clients, registering, notes, sms_observer.call_answered)
    doors += make_http_doors(order, sms, consents, recorder, tokens, keys, observer)
    doors += make_intake_doors(order, recorder, tokens, keys, observer)
    doors += make_push_doors(order, store, keys, observer, registry_metrics)
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
            make_closing(clients.close),
            make_closing(signing_threads.shutdown),
        ],
    )


_DROPPED_POSTS = 100_000
"""To one sender: some providers post each message by itself, and a job may have dropped fifty thousand."""

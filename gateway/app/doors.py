"""What listens beside mail and SMPP: pages, dialects, refusals by mail, and the registry."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from adapters.store import Store
from filters.consent_key import ConsentKeys
from filters.token import TokenKeys
from gateway.app.endpoints import endpoint_key
from gateway.app.opening import make_note_seal
from gateway.app.order import WorkerOrder
from gateway.app.tls import server_tls
from gateway.doors import HttpDoor, IntakeDoor
from gateway.observers import Observer
from gateway.opt_out.listener import HttpListener
from gateway.opt_out.logo import load_logo
from gateway.opt_out.mail_intake import MailIntake
from gateway.opt_out.pages import OptOutPages
from gateway.ports import RefusalRecorder
from gateway.processes.worker import Door
from gateway.registry.metrics import WorkerRegistryMetrics
from gateway.registry.push import PushReceiver
from gateway.registry.questions import QuestionBook
from gateway.registry.registering_api import ConsentsMeans
from gateway.sms.assembly import SmsSide


def make_http_doors(
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
        doors.append(HttpDoor(listener, listening, server_tls(http.certificate)))
    return doors


_SMS_LINE_BYTES = 64 * 1024
"""A dialect that sends by GET has text and recipients in the first line of the request."""


def make_intake_doors(
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
            tls=server_tls(mail.certificate),
        )
        doors.append(IntakeDoor(intake, order.take(endpoint_key("opt_out_mail", mail.address))))
    return doors


def make_push_doors(
    order: WorkerOrder, store: Store, keys: ConsentKeys, observer: Observer, metrics: WorkerRegistryMetrics
) -> list[Door]:
    """Where the registry tells at once what citizens did; in every worker, so that no single process has to be up."""
    registry = order.configuration.registry
    if registry is None or registry.push is None:
        return []
    push = registry.push
    receiver = PushReceiver(
        store,
        QuestionBook(store, make_note_seal(order.secrets)),
        keys,
        {(each.brand.iys_code, each.brand.code): each.brand.code for each in order.configuration.brands},
        push.username,
        push.password.reveal_text(),
        metrics,
    )
    listener = HttpListener(receiver.build_app(push.path), observer, max_connections=_PUSH_CONNECTIONS)
    listening = order.take(endpoint_key("registry_push", push.address))
    return [HttpDoor(listener, listening, server_tls(push.certificate))]


_PUSH_CONNECTIONS = 100

"""The SMPP side of one worker, put together from the configuration and the SMS side."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from filters.smpp.answer import ConsentRefusal
from filters.smpp.dialect import SmppDialect
from filters.smpp.reassembly import ReassemblyLimits
from filters.smpp.server_session import ServerLimits
from filters.smpp.submission import LinkReading
from filters.smpp.tags import TagRules
from gateway.clients import ClientDirectory
from gateway.configuration import Configuration
from gateway.configuration import smpp_settings as settled
from gateway.smpp.admission import Admission
from gateway.smpp.deliveries import Deliveries
from gateway.smpp.handler import InboundTasks, PipelineHandler
from gateway.smpp.listener import SmppListener
from gateway.smpp.receipt_notes import ReceiptNotes
from gateway.smpp.receipts import ReceiptBook
from gateway.smpp.settings import SmppListenerSettings
from gateway.sms.assembly import SmsSide
from gateway.sms.ports import SmsUpstream
from gateway.sms.route import SmsRoute


class SmppSide:
    """One worker's. ``deliveries`` by the name of the upstream they come from."""

    def __init__(self, configuration: Configuration, sms: SmsSide, clients: ClientDirectory) -> None:
        self._sms = sms
        # Either is enough for mail; here a client with networks and a password needs both.
        networks = {
            each.client.name: each.networks for each in configuration.clients if each.networks and each.username
        }
        self._admission = Admission(clients, networks)
        self._upstreams = {settings.name: settings for settings in configuration.smpp_upstreams}
        self.deliveries: Mapping[str, Deliveries] = {
            settings.name: Deliveries(
                settings.name,
                inbound=InboundTasks(sms.make_taker(settings.name)),
                routes={
                    number: client
                    for listener in configuration.smpp_listeners
                    if listener.upstream == settings.name
                    for number, client in listener.inbound.items()
                },
                default_alphabet=settings.default_alphabet,
                book=ReceiptBook(kept=ReceiptNotes(sms.notes, settings.name)),
            )
            for settings in configuration.smpp_upstreams
        }

    def make_listener(
        self, settings: settled.SmppListenerSettings, upstream: SmsUpstream, ssl_context: ssl.SSLContext | None
    ) -> SmppListener:
        """The listener before ``upstream``."""
        smsc = self._upstreams[settings.upstream]
        refusal = ConsentRefusal(settings.refusal_status, by_receipt=settings.refuses_by_receipt)
        tags = TagRules(
            service_types=settings.service_types, class_tlv=settings.class_tlv, classes=settings.class_tlv_values
        )
        name = f"smpp-{settings.address.port}"
        route = SmsRoute(
            name,
            SmppDialect(LinkReading(smsc.default_alphabet, tags), refusal),
            upstream,
            rules=self._sms.rules_of(settings.upstream),
            max_lead_s=smsc.max_lead_s,
        )
        return SmppListener(
            SmppListenerSettings(
                name=name,
                limits=ServerLimits(settings.system_id, settings.window),
                refusal=refusal,
                reassembly=ReassemblyLimits(max_age_s=settings.part_age_s),
                tls=ssl_context is not None,
                max_connections=settings.connections,
                max_connections_per_peer=settings.connections_per_peer,
                max_binds_per_client=settings.binds_per_client,
                idle_timeout_s=settings.idle_timeout_s,
                part_hold_s=settings.part_hold_s,
            ),
            handler=PipelineHandler(self._sms.pipeline, route),
            admission=self._admission,
            deliveries=self.deliveries[settings.upstream],
            ssl_context=ssl_context,
        )

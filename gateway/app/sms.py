"""The SMS side's neighbours: providers, SMSCs, and senders who take delivery reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from adapters.smpp import LinkEvent, SmscSettings
from adapters.sms.settings import HttpUpstreamSettings
from adapters.sms.upstream import HttpUpstream
from adapters.webhook import Posting, Webhook
from filters.smpp.client_session import ClientLimits
from gateway.app.tls import client_tls
from gateway.configuration.settings import SmsUpstreamSettings
from gateway.configuration.smpp_settings import SmppUpstreamSettings
from gateway.sms.delivery import DeliveryTarget

log = structlog.stdlib.get_logger(__name__)


def make_provider_settings(settings: SmsUpstreamSettings) -> HttpUpstreamSettings:
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
        tls=client_tls(settings.ca_file, verify=settings.verify) if is_tls else None,
    )


def make_delivery_settings(settings: SmsUpstreamSettings, url: str) -> HttpUpstreamSettings:
    """The sender's own address, which takes what the provider posts."""
    is_tls = url.startswith("https:")
    return HttpUpstreamSettings(
        name=f"{settings.name}-delivery",
        base_url=url,
        timeout_s=settings.timeout_s,
        connect_s=settings.connect_timeout_s,
        waiting_s=settings.queue_timeout_s,
        idle_s=settings.idle_timeout_s,
        tls=client_tls(None, verify=True) if is_tls else None,
    )


def make_delivery_targets(
    senders: Mapping[str, HttpUpstream], pushes: Mapping[str, Webhook]
) -> dict[str, DeliveryTarget]:
    """By upstream, where the sender takes delivery reports."""

    def post_by(webhook: Webhook) -> Callable[[bytes, Mapping[str, str]], None]:
        return lambda body, fields: webhook.send(Posting(body, fields))

    return {name: DeliveryTarget(sender, post_by(pushes[name])) for name, sender in senders.items()}


def make_smsc_settings(settings: SmppUpstreamSettings) -> SmscSettings:
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


def log_link_event(upstream: str, event: LinkEvent) -> None:
    log.info("smsc.link", upstream=upstream, event_kind=str(event))

"""The mail side of one worker: settings become routes, listeners, upstreams and who is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from adapters.smtp.pool import SmtpUpstream
from adapters.smtp.settings import Timeouts, UpstreamSettings
from adapters.smtp.settings import TlsMode as UpstreamTls
from adapters.webhook import Posting, Webhook
from filters.brand import Brand
from filters.classify import TagField, TagHeaders
from filters.envelope import Answer
from filters.exchange import UpstreamCapabilities
from filters.mime.footer import Footer, Language, find_texts, make_footer
from filters.mime.limits import DEFAULT_LIMITS
from filters.mime.settings import RewriteSettings
from filters.token import Grant, OptOutLinks, TokenKeys
from filters.vocabulary import Channel, RecipientType
from gateway.configuration import Configuration
from gateway.configuration.sections.rules import AmpAlternative
from gateway.configuration.sections.upstreams import MailProtocol
from gateway.configuration.settings import (
    BrandSettings,
    SmtpListenerSettings,
    SmtpUpstreamSettings,
)
from gateway.mail.drop_reports import DropReports
from gateway.mail.in_hand import MailInHand
from gateway.mail.observer import MailObserver
from gateway.mail.route import BrandRoute, MakeLinks
from gateway.observers import Observer
from gateway.smtp.settings import ListenerSettings
from gateway.smtp.settings import TlsMode as ListenerTls


def make_tag_headers(configuration: Configuration) -> TagHeaders:
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


def make_brand_route(configuration: Configuration, settings: BrandSettings) -> BrandRoute:
    signer = None
    if settings.dkim is not None:
        from adapters.dkim import load_dkim_signer

        signer = load_dkim_signer(settings.dkim.domain, settings.dkim.selector, settings.dkim.private_key_file)
    return BrandRoute(
        settings.brand,
        settings.policy,
        _footer(settings),
        make_rewrite_settings(configuration),
        signer,
    )


def _footer(settings: BrandSettings) -> Footer:
    language = cast("Language", str(settings.footer_language))  # the configuration admits no other
    texts = find_texts(language)
    if settings.footer_invitation is not None:
        texts = texts._replace(invitation=settings.footer_invitation)
    if settings.footer_link_words is not None:
        texts = texts._replace(link_words=settings.footer_link_words)
    return make_footer(settings.brand, language, texts=texts)


def make_rewrite_settings(configuration: Configuration) -> RewriteSettings:
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


def link_maker(tokens: TokenKeys) -> MakeLinks:
    def make_links(brand: Brand, address: bytes, recipient_type: RecipientType | None, key: bytes) -> OptOutLinks:
        return tokens.opt_out_links(brand, Grant(brand.code, Channel.EMAIL, recipient_type, address), key)

    return make_links


def make_listener_settings(listener: SmtpListenerSettings, hostname: str) -> ListenerSettings:
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


def protocol_name(listener: SmtpListenerSettings) -> str:
    return "LMTP" if listener.protocol is MailProtocol.LMTP else "ESMTP"


def make_upstream_settings(settings: SmtpUpstreamSettings, hostname: str) -> UpstreamSettings:
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


def capabilities_of(upstream: SmtpUpstream) -> Callable[[], UpstreamCapabilities | None]:
    return lambda: upstream.capabilities


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


def make_webhooks(configuration: Configuration, observer: Observer) -> dict[str, Webhook]:
    """By client name; empty where nobody asked for reports."""
    return {
        each.client.name: Webhook(each.client.name, each.report_url, observer)
        for each in configuration.clients
        if each.report_url is not None
    }


def make_mail_observer(
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

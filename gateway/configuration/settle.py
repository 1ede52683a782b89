"""From the typed document to the values the program uses: paths resolved, secrets put in, units unified."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from filters.brand import Brand
from filters.client import Client
from filters.decision.policy import Policy
from filters.vocabulary import MessageClass, RecipientType
from gateway.configuration import problems
from gateway.configuration.describe import describe_document
from gateway.configuration.document import Document
from gateway.configuration.sections.brands import BrandSection
from gateway.configuration.sections.clients import ClientSection, SmsRuleSection
from gateway.configuration.sections.listeners import HttpListenerSection, OptOutMailListenerSection, SmtpListenerSection
from gateway.configuration.sections.registry import RegistryPushSection
from gateway.configuration.sections.rules import UnrecordedMerchant
from gateway.configuration.sections.upstreams import SmsUpstreamSection, SmtpUpstreamSection, TlsMode
from gateway.configuration.settings import (
    BrandSettings,
    CalendarSettings,
    Certificate,
    ClientSettings,
    Configuration,
    DkimSettings,
    EvidenceSettings,
    HttpListenerSettings,
    LogSettings,
    OptOutMailListenerSettings,
    RegistryAccount,
    RegistryPushSettings,
    RegistrySettings,
    RewritingSettings,
    SecretSource,
    SecretsSettings,
    SmsOptOut,
    SmsRuleSettings,
    SmsUpstreamSettings,
    SmtpListenerSettings,
    SmtpUpstreamSettings,
    StoreSettings,
    TagSettings,
)
from gateway.configuration.settle_smpp import settle_smpp_listener, settle_smpp_upstream
from gateway.configuration.values import Duration, Secret

SHIPPED_HOLIDAYS = Path(__file__).resolve().parents[2] / "config" / "holidays-tr.toml"


def settle(document: Document, file: Path, secrets: Mapping[problems.Path, Secret]) -> Configuration:
    """The configuration. ``document`` breaks no rule and all its secrets were read; paths start at the folder of
    ``file``."""
    return _Settling(file, secrets).settle(document)


class _Settling:
    def __init__(self, file: Path, secrets: Mapping[problems.Path, Secret]) -> None:
        self._file = file
        self._folder = file.absolute().parent
        self._secrets = secrets

    def settle(self, document: Document) -> Configuration:
        store, listeners = document.store, document.listeners
        return Configuration(
            file=self._file,
            hostname=document.gateway.hostname or find_hostname(),
            workers=document.gateway.workers or count_cores(),
            drain_timeout_s=document.gateway.drain_timeout.seconds,
            store=StoreSettings(
                url=store.url,
                path=self._resolve_optional(store.url.path),
                username=store.username,
                password=self._secrets.get(("store", "password")),
                verify=store.verify,
                ca_file=self._resolve_optional(store.ca_file),
                lookup_timeout_s=store.lookup_timeout.seconds,
                map_size_bytes=store.map_size.in_bytes,
                connections=store.connections,
                retry_memory_days=store.retry_memory_days,
                journal_days=store.journal_days,
                state_directory=self._resolve(store.state_directory),
            ),
            secrets=self._installation_secrets(document),
            brands=tuple(self._brand(document, brand) for brand in document.brands),
            clients=tuple(self._client(n, client) for n, client in enumerate(document.clients)),
            tags=_tags(document),
            smtp_upstreams=tuple(self._upstream(n, upstream) for n, upstream in enumerate(document.upstreams.smtp)),
            sms_rules=tuple(_sms_rule(rule) for rule in document.sms_rules),
            sms_upstreams=tuple(self._provider(n, upstream) for n, upstream in enumerate(document.upstreams.sms)),
            smpp_upstreams=tuple(
                settle_smpp_upstream(
                    upstream, self._secrets.get(("upstreams", "smpp", n, "password")), self._resolve_optional
                )
                for n, upstream in enumerate(document.upstreams.smpp)
            ),
            smpp_listeners=tuple(settle_smpp_listener(listener, self._resolve_optional) for listener in listeners.smpp),
            smtp_listeners=tuple(self._smtp_listener(listener) for listener in listeners.smtp),
            http_listeners=tuple(
                HttpListenerSettings(
                    listener.address,
                    listener.sms,
                    listener.opt_out_pages,
                    listener.plain_upstream,
                    listener.check_api,
                    listener.consents_api,
                    listener.forwarded_from,
                    listener.connections,
                    listener.request_memory.in_bytes,
                    self._certificate(listener),
                )
                for listener in listeners.http
            ),
            opt_out_mail_listeners=tuple(
                OptOutMailListenerSettings(
                    listener.address, self._certificate(listener), listener.connections, listener.message_size.in_bytes
                )
                for listener in listeners.opt_out_mail
            ),
            admin=document.admin.address,
            registry=self._registry(document),
            policy=_policy(document),
            partly_refused=document.policy.partly_refused,
            rewriting=RewritingSettings(
                placeholder=document.rewriting.placeholder,
                keep_sender_optout=document.rewriting.keep_sender_optout,
                amp_alternative=document.rewriting.amp_alternative,
                signed_domains=frozenset(
                    [
                        *document.rewriting.signed_domains,
                        *(brand.dkim.domain for brand in document.brands if brand.dkim),
                    ]
                ),
                remove_foreign_signatures=document.rewriting.remove_foreign_signatures,
                max_parts=document.rewriting.max_parts,
                max_depth=document.rewriting.max_depth,
                max_header_bytes=document.rewriting.max_header_size.in_bytes,
            ),
            calendar=CalendarSettings(
                holidays_file=self._resolve_optional(document.calendar.holidays_file) or SHIPPED_HOLIDAYS,
                half_days_count=document.calendar.half_days_count,
            ),
            evidence=EvidenceSettings(
                directory=self._resolve(document.evidence.directory),
                segment_bytes=document.evidence.segment_size.in_bytes,
                segment_age_s=document.evidence.segment_age.seconds,
                sign_interval_s=document.evidence.sign_interval.seconds,
                retention_years=document.evidence.retention_years,
            ),
            log=LogSettings(document.log.format, document.log.level),
            warnings=(),
            effective_json=json.dumps(describe_document(document), ensure_ascii=False),
        )

    # -- parts ----------------------------------------------------------------------------------------------------

    def _installation_secrets(self, document: Document) -> SecretsSettings:
        section = document.secrets
        directory = self._resolve(section.directory)

        def source(name: str, default_file: str, path: PurePosixPath | None) -> SecretSource:
            file = self._resolve(path) if path is not None else directory / default_file
            return SecretSource(self._secrets.get(("secrets", name)), file, may_be_created=path is None)

        return SecretsSettings(
            directory=directory,
            index_secret=source("index_secret", "index.key", section.index_secret_file),
            token_keys=source("token_keys", "token.keys", section.token_keys_file),
            current_token_key=section.current_token_key,
            outbox_keys=source("outbox_keys", "outbox.keys", section.outbox_keys_file),
            current_outbox_key=section.current_outbox_key,
            evidence_key=source("evidence_key", "evidence.pem", section.evidence_key_file),
        )

    def _brand(self, document: Document, section: BrandSection) -> BrandSettings:
        dkim, sms = section.dkim, section.sms_opt_out
        return BrandSettings(
            brand=Brand(
                code=section.code,
                iys_code=section.iys_code,
                name=section.name,
                title=section.title,
                mersis=section.mersis or "",
                trader_name=section.trader_name,
                trader_id=section.trader_id or "",
                contact=section.contact,
                opt_out_url=section.opt_out_url,
                opt_out_mail_domain=section.opt_out_mail_domain or "",
                logo_path=str(self._resolve(section.logo_file)) if section.logo_file else "",
                is_active=section.active,
            ),
            footer_language=section.footer_language,
            footer_invitation=section.footer_invitation,
            footer_link_words=section.footer_link_words,
            policy=_policy(document, section),
            dkim=DkimSettings(dkim.domain, dkim.selector, self._resolve(dkim.private_key_file)) if dkim else None,
            sms_opt_out=SmsOptOut(sms.keyword, sms.number, sms.fit, sms.language, sms.identity) if sms else None,
        )

    def _client(self, number: int, section: ClientSection) -> ClientSettings:
        return ClientSettings(
            client=Client(
                name=section.name,
                brands=section.brands,
                default_class=section.default_class,
                allowed_classes=frozenset(section.allowed_classes),
                fixed_class=section.fixed_class,
                default_recipient_type=section.default_recipient_type,
                max_message_bytes=section.max_message_size.in_bytes if section.max_message_size else 0,
                retailer_code=section.retailer,
            ),
            networks=section.networks,
            username=section.username,
            password_hash=self._secrets.get(("clients", number, "password_hash")),
            sender_classes=dict(section.sender_classes),
            report_url=section.report_url,
            report_secret=self._secrets.get(("clients", number, "report_secret")),
        )

    def _upstream(self, number: int, section: SmtpUpstreamSection) -> SmtpUpstreamSettings:
        addresses = (section.address,) if section.address is not None else section.addresses
        return SmtpUpstreamSettings(
            name=section.name,
            addresses=addresses,
            protocol=section.protocol,
            tls=section.tls,
            verify=section.verify,
            ca_file=self._resolve_optional(section.ca_file),
            server_name=section.server_name,
            username=section.username,
            password=self._secrets.get(("upstreams", "smtp", number, "password")),
            allows_clear_login=section.auth_without_tls or all(address.is_loopback for address in addresses),
            connections=section.connections,
            queue=section.queue,
            queue_memory_bytes=section.queue_memory.in_bytes,
            queue_timeout_s=section.queue_timeout.seconds,
            max_messages_per_connection=section.max_messages_per_connection,
            connection_age_s=section.connection_age.seconds,
            idle_timeout_s=section.idle_timeout.seconds,
            connect_timeout_s=section.connect_timeout.seconds,
            reply_timeout_s=section.reply_timeout.seconds,
            final_reply_timeout_s=section.final_reply_timeout.seconds,
        )

    def _provider(self, number: int, section: SmsUpstreamSection) -> SmsUpstreamSettings:
        path: problems.Path = ("upstreams", "sms", number)
        return SmsUpstreamSettings(
            name=section.name,
            dialect=section.dialect,
            base_url=section.base_url,
            prefix=section.prefix or "",
            verify=section.verify,
            ca_file=self._resolve_optional(section.ca_file),
            username=section.username,
            password=self._secrets.get((*path, "password")),
            timeout_s=section.timeout.seconds,
            connect_timeout_s=section.connect_timeout.seconds,
            idle_timeout_s=section.idle_timeout.seconds,
            connections=section.connections,
            queue=section.queue,
            queue_timeout_s=section.queue_timeout.seconds,
            rate=section.rate,
            breaker_failures=section.breaker_failures,
            breaker_time_s=section.breaker_time.seconds,
            request_bytes=section.request_size.in_bytes,
            response_bytes=section.response_size.in_bytes,
            max_lead_s=section.max_lead.seconds,
            scheduled_cancel=str(section.scheduled_cancel),
            code_length=section.code_length,
            inbound_secret=self._secrets.get((*path, "inbound_secret")),
            inbound_networks=section.inbound_networks,
            inbound_signing_secret=self._secrets.get((*path, "inbound_signing_secret")),
            delivery_url=section.delivery_url,
            confirm_text=section.confirm_text,
            confirm_sender=section.confirm_sender,
        )

    def _smtp_listener(self, section: SmtpListenerSection) -> SmtpListenerSettings:
        limits = section.limits
        return SmtpListenerSettings(
            name=section.effective_name,
            address=section.address,
            upstream=section.upstream,
            protocol=section.protocol,
            tls=section.tls,
            certificate=self._certificate(section),
            allows_clear_login=section.auth_without_tls or section.address.is_loopback,
            proxy_protocol_from=section.proxy_protocol_from,
            fixed_class=section.fixed_class,
            connections=limits.connections,
            connections_per_peer=limits.connections_per_peer,
            recipients=limits.recipients,
            message_bytes=limits.message_size.in_bytes,
            message_memory_bytes=limits.message_memory.in_bytes,
            errors=limits.errors,
            failed_logins=limits.failed_logins,
            idle_timeout_s=limits.idle_timeout.seconds,
            data_grace_s=limits.data_grace.seconds,
            data_rate=limits.data_rate.in_bytes,
            answer_timeout_s=limits.answer_timeout.seconds,
            session_time_s=limits.session_time.seconds,
            handshake_timeout_s=limits.handshake_timeout.seconds,
        )

    def _registry(self, document: Document) -> RegistrySettings | None:
        section = document.registry
        if section is None:
            return None
        password = self._secrets.get(("registry", "password"))
        others = {code for account in section.accounts for code in account.brands}
        accounts = []
        if section.username is not None and password is not None:
            rest = tuple(brand.code for brand in document.brands if brand.code not in others)
            accounts.append(RegistryAccount(rest, section.username, password))
        for n, account in enumerate(section.accounts):
            known = self._secrets.get(("registry", "accounts", n, "password"))
            if known is not None:
                accounts.append(RegistryAccount(account.brands, account.username, known))
        return RegistrySettings(
            section.base_url,
            section.username,
            password,
            self._resolve_optional(section.ca_file),
            section.pull_interval.seconds,
            section.requests_per_second,
            section.requery,
            section.requery_missing,
            section.retailer_list_age.seconds,
            section.late_as_own_decision,
            tuple(account for account in accounts if account.brands),
            self._registry_push(section.push),
        )

    def _registry_push(self, section: RegistryPushSection | None) -> RegistryPushSettings | None:
        if section is None:
            return None
        return RegistryPushSettings(
            section.address,
            section.public_url,
            urlsplit(section.public_url).path or "/",
            section.username,
            self._secrets["registry", "push", "password"],
            self._certificate(section),
            section.registers,
        )

    def _certificate(
        self, section: SmtpListenerSection | HttpListenerSection | OptOutMailListenerSection | RegistryPushSection
    ) -> Certificate | None:
        if section.tls is TlsMode.NONE or section.certificate_file is None or section.private_key_file is None:
            return None
        return Certificate(self._resolve(section.certificate_file), self._resolve(section.private_key_file))

    def _resolve(self, path: PurePosixPath) -> Path:
        return self._folder / path

    def _resolve_optional(self, path: PurePosixPath | None) -> Path | None:
        return None if path is None else self._resolve(path)


def _sms_rule(section: SmsRuleSection) -> SmsRuleSettings:
    return SmsRuleSettings(
        section.upstream or "",
        section.client or "",
        section.sender_title or "",
        section.account or "",
        (section.header.lower(), section.header_value) if section.header and section.header_value else None,
        section.message_class,
        section.recipient_type,
        section.brand,
    )


def find_hostname() -> str:
    """The machine's full name, without asking a name server."""
    return socket.gethostname() or "localhost"


def count_cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0))


def _policy(document: Document, brand: BrandSection | None = None) -> Policy:
    """The rules of the installation, with the brand's own limits of freshness."""
    own, common, policy = brand.freshness if brand else None, document.freshness, document.policy
    return Policy(
        aging_after_s=_whole_seconds((own and own.aging_after) or common.aging_after),
        stale_after_s=_whole_seconds((own and own.stale_after) or common.stale_after),
        blind_after_s=_whole_seconds((own and own.blind_after) or common.blind_after),
        clock_tolerance_s=_whole_seconds(common.clock_tolerance),
        merchant_unrecorded_allow=policy.merchant_unrecorded is UnrecordedMerchant.ALLOW,
        any_refusal_drops=policy.any_refusal_drops,
        mixed=policy.mixed,
        abroad=policy.abroad,
        service_opt_out=policy.service_opt_out,
    )


def _whole_seconds(duration: Duration) -> int:
    return duration.milliseconds // 1000


def _tags(document: Document) -> TagSettings:
    tags = document.tags
    return TagSettings(
        class_headers=tags.class_headers,
        brand_headers=tags.brand_headers,
        recipient_type_headers=tags.recipient_type_headers,
        campaign_headers=tags.campaign_headers,
        class_words={
            **{word.lower(): meaning for word, meaning in tags.class_words.items()},
            **{str(meaning): meaning for meaning in MessageClass},
        },
        recipient_type_words={
            **{word.lower(): meaning for word, meaning in tags.recipient_type_words.items()},
            **{str(meaning): meaning for meaning in RecipientType},
        },
    )

"""From the typed document to the values the program uses: names resolved, secrets read, units unified."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from filters.brand import Brand
from filters.client import Client
from filters.policy import Policy
from filters.vocabulary import MessageClass, RecipientType
from gateway.configuration import problems
from gateway.configuration.describe import describe_document
from gateway.configuration.document import Document
from gateway.configuration.kinds import parse_password_hash
from gateway.configuration.sections.brands import BrandSection
from gateway.configuration.sections.clients import ClientSection
from gateway.configuration.sections.listeners import HttpListenerSection, OptOutMailListenerSection, SmtpListenerSection
from gateway.configuration.sections.rules import UnrecordedMerchant
from gateway.configuration.sections.upstreams import SmtpUpstreamSection, TlsMode
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
    RegistrySettings,
    RewritingSettings,
    SecretSource,
    SecretsSettings,
    SmsOptOut,
    SmsUpstreamSettings,
    SmtpListenerSettings,
    SmtpUpstreamSettings,
    StoreSettings,
    TagSettings,
)
from gateway.configuration.validate import Finding
from gateway.configuration.values import Duration, Secret

MOST_SECRET_BYTES = 64 * 1024
"""A file larger than this is not a secret but a mistake."""

SHIPPED_HOLIDAYS = Path(__file__).resolve().parents[2] / "config" / "holidays-tr.toml"


class Settling:
    """One run over a document. ``findings`` and ``warnings`` are what came up on the way."""

    def __init__(self, file: Path, environment: Mapping[str, str]) -> None:
        self.findings: list[Finding] = []
        self.warnings: list[Finding] = []
        self._file = file
        self._folder = file.absolute().parent
        self._environment = environment

    def settle(self, document: Document) -> Configuration:
        """The configuration; only good for use if ``findings`` stayed empty."""
        self._add_warnings(document)
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
                password=self._secret(("store", "password"), store.password, store.password_file),
                verify=store.verify,
                ca_file=self._resolve_optional(store.ca_file),
                lookup_timeout_s=store.lookup_timeout.seconds,
                map_size_bytes=store.map_size.in_bytes,
                connections=store.connections,
                retry_memory_days=store.retry_memory_days,
                journal_days=store.journal_days,
                state_directory=self._resolve(store.state_directory),
            ),
            secrets=self._secrets(document),
            brands=tuple(self._brand(document, n, brand) for n, brand in enumerate(document.brands)),
            clients=tuple(self._client(n, client) for n, client in enumerate(document.clients)),
            tags=_tags(document),
            smtp_upstreams=tuple(self._upstream(n, upstream) for n, upstream in enumerate(document.upstreams.smtp)),
            sms_upstreams=tuple(
                SmsUpstreamSettings(upstream.name, upstream.dialect, upstream.base_url, upstream.timeout.seconds)
                for upstream in document.upstreams.sms
            ),
            smtp_listeners=tuple(self._smtp_listener(listener) for listener in listeners.smtp),
            http_listeners=tuple(
                HttpListenerSettings(
                    listener.address,
                    listener.sms,
                    listener.opt_out_pages,
                    self._certificate(listener),
                    listener.trusted_proxies,
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
                signed_mail=document.rewriting.signed_mail,
                amp_alternative=document.rewriting.amp_alternative,
                remove_foreign_signatures=document.rewriting.remove_foreign_signatures,
                html_size_warning_bytes=document.rewriting.html_size_warning.in_bytes,
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

    def _secrets(self, document: Document) -> SecretsSettings:
        section = document.secrets
        directory = self._resolve(section.directory)

        def source(name: str, file: str, reference: str | None, path: PurePosixPath | None) -> SecretSource:
            value = None if reference is None else self._from_environment(("secrets", name), reference)
            if path is not None and not self._resolve(path).is_file():
                # Creating it there would hide a wrong path, and links already sent would stop working.
                self.findings.append(_unreadable(("secrets", f"{name}_file"), path, "there is no such file"))
            return SecretSource(value, self._resolve(path) if path else directory / file, path is None)

        return SecretsSettings(
            directory=directory,
            index_secret=source("index_secret", "index.key", section.index_secret, section.index_secret_file),
            token_keys=source("token_keys", "token.keys", section.token_keys, section.token_keys_file),
            current_token_key=section.current_token_key,
            outbox_keys=source("outbox_keys", "outbox.keys", section.outbox_keys, section.outbox_keys_file),
            current_outbox_key=section.current_outbox_key,
            evidence_key=source("evidence_key", "evidence.pem", None, section.evidence_key_file),
        )

    def _brand(self, document: Document, number: int, section: BrandSection) -> BrandSettings:
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
            footer_text_tr=section.footer_text_tr,
            footer_text_en=section.footer_text_en,
            policy=_policy(document, section),
            dkim=DkimSettings(dkim.domain, dkim.selector, self._resolve(dkim.private_key_file)) if dkim else None,
            sms_opt_out=SmsOptOut(sms.keyword, sms.number) if sms else None,
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
            ),
            networks=section.networks,
            username=section.username,
            password_hash=self._password_hash(("clients", number), section),
            sender_classes=dict(section.sender_classes),
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
            password=self._secret(("upstreams", "smtp", number, "password"), section.password, section.password_file),
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

    def _smtp_listener(self, section: SmtpListenerSection) -> SmtpListenerSettings:
        limits = section.limits
        return SmtpListenerSettings(
            name=section.name or f"smtp-{section.address.port}",
            address=section.address,
            upstream=section.upstream,
            protocol=section.protocol,
            tls=section.tls,
            certificate=self._certificate(section),
            allows_clear_login=section.auth_without_tls or section.address.is_loopback,
            proxy_protocol_from=section.proxy_protocol_from,
            fixed_class=section.fixed_class,
            prdr=section.prdr,
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
        before = len(self.findings)
        password = self._secret(("registry", "password"), section.password, section.password_file)
        # Mail is decided from the store alone; a registry that cannot be asked is no reason not to start.
        self.warnings += self.findings[before:]
        del self.findings[before:]
        return RegistrySettings(section.base_url, section.username, password)

    def _certificate(
        self, section: SmtpListenerSection | HttpListenerSection | OptOutMailListenerSection
    ) -> Certificate | None:
        if section.tls is TlsMode.NONE or section.certificate_file is None or section.private_key_file is None:
            return None
        return Certificate(self._resolve(section.certificate_file), self._resolve(section.private_key_file))

    # -- secrets and paths ----------------------------------------------------------------------------------------

    def _secret(self, path: problems.Path, reference: str | None, file: PurePosixPath | None) -> Secret | None:
        if reference is not None:
            return self._from_environment(path, reference)
        return self._from_file((*path[:-1], f"{path[-1]}_file"), file) if file is not None else None

    def _password_hash(self, path: problems.Path, section: ClientSection) -> Secret | None:
        value = section.password_hash
        if value is not None and not value.startswith("env:"):
            return Secret(value.encode())
        where = (*path, "password_hash" if value is not None else "password_hash_file")
        secret = self._secret((*path, "password_hash"), value, section.password_hash_file)
        if secret is not None:
            try:
                parse_password_hash(secret.reveal_text())
            except ValueError as error:
                self.findings.append(Finding(where, "an Argon2 hash there", "something else", hint=str(error)))
                return None
        return secret

    def _from_environment(self, path: problems.Path, reference: str) -> Secret | None:
        name = reference.removeprefix("env:")
        value = self._environment.get(name)
        if not value:
            found = "it is not set" if value is None else "it is empty"
            self.findings.append(Finding(path, f"a value in the environment variable {name}", found))
            return None
        try:
            return Secret(value.encode())
        except UnicodeEncodeError:
            self.findings.append(Finding(path, f"UTF-8 in the environment variable {name}", "other bytes"))
            return None

    def _from_file(self, path: problems.Path, file: PurePosixPath) -> Secret | None:
        """The first line of the file, without its end."""
        place = self._resolve(file)
        try:
            with place.open("rb") as stream:
                first_line = stream.readline(MOST_SECRET_BYTES + 1).rstrip(b"\r\n")
        except OSError as error:
            self.findings.append(_unreadable(path, file, describe_os_error(error)))
            return None
        if not first_line or len(first_line) > MOST_SECRET_BYTES:
            self.findings.append(
                Finding(
                    path, "a secret in the first line of the file", "an empty line" if not first_line else "too much"
                )
            )
            return None
        try:
            first_line.decode()
        except UnicodeDecodeError:
            self.findings.append(Finding(path, "UTF-8 in the first line of the file", "other bytes"))
            return None
        if is_open_to_others(place):
            self.warnings.append(
                Finding(path, "a file that only its owner can read", f'"{file}" open to others', hint="chmod 600")
            )
        return Secret(first_line)

    def _resolve(self, path: PurePosixPath) -> Path:
        return self._folder / path

    def _resolve_optional(self, path: PurePosixPath | None) -> Path | None:
        return None if path is None else self._resolve(path)

    # -- warnings -------------------------------------------------------------------------------------------------

    def _add_warnings(self, document: Document) -> None:
        """What is lawful to write and probably not meant."""
        listeners = document.listeners
        for n, brand in enumerate(document.brands):
            if not brand.contact:
                self.warnings.append(
                    Finding(
                        ("brands", n, "contact"),
                        "a contact that recipients can reach",
                        "nothing",
                        '"iletisim@shop.example"',
                        "the law asks for one in every commercial message (6563, 7/2)",
                    )
                )
            if brand.opt_out_mail_domain and not listeners.opt_out_mail:
                self.warnings.append(
                    Finding(
                        ("brands", n, "opt_out_mail_domain"),
                        "a listener for its mail",
                        "none",
                        "[[listeners.opt_out_mail]]",
                        "unless another machine has it",
                    )
                )
        if document.brands and not any(http.opt_out_pages for http in listeners.http):
            self.warnings.append(
                Finding(
                    ("listeners", "http"),
                    "a listener for the opt-out pages",
                    "none",
                    "[[listeners.http]]",
                    "unless another machine has it",
                )
            )
        ip = document.admin.address.ip
        if ip is not None and (ip.is_global or ip.is_unspecified):
            self.warnings.append(
                Finding(
                    ("admin", "address"),
                    "an address that only operators reach",
                    f'"{document.admin.address}"',
                    '"127.0.0.1:9025"',
                    "it asks for no login",
                )
            )
        for n, upstream in enumerate(document.upstreams.smtp):
            if not upstream.verify:
                self.warnings.append(
                    Finding(
                        ("upstreams", "smtp", n, "verify"),
                        "true",
                        "false",
                        hint="anyone on the way can pretend to be the relay",
                    )
                )


def find_hostname() -> str:
    """The machine's full name, without asking a name server."""
    return socket.gethostname() or "localhost"


def count_cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0))


def is_open_to_others(path: Path) -> bool:
    """Whether the group or everybody may read or write the file."""
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def describe_os_error(error: OSError) -> str:
    """Why a file could not be used, without its name."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return "it may not be read"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    return (error.strerror or type(error).__name__).lower()


def _unreadable(path: problems.Path, file: PurePosixPath, reason: str) -> Finding:
    return Finding(path, "a file that can be read", f'"{file}"', hint=reason)


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

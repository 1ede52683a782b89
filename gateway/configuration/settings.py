"""The configuration as the program uses it: frozen, picklable, valid; times in seconds, sizes in bytes, paths
absolute."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from filters.brand import Brand
from filters.client import Client
from filters.decision.policy import Policy
from filters.sms.suffix import SuffixPolicy
from filters.sms.wording import Identity
from filters.vocabulary import MessageClass, RecipientType
from gateway.configuration.problems import Problem
from gateway.configuration.sections.brands import FooterLanguage, SmsLanguageName
from gateway.configuration.sections.operation import LogFormat, LogLevel
from gateway.configuration.sections.rules import (
    AmpAlternative,
    PartlyRefused,
)
from gateway.configuration.sections.upstreams import MailProtocol, SmsDialect, TlsMode
from gateway.configuration.smpp_settings import SmppListenerSettings, SmppUpstreamSettings
from gateway.configuration.store_url import StoreUrl
from gateway.configuration.values import Endpoint, Network, Secret


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """``path`` is set for LMDB, relative paths resolved; ``url`` says the rest."""

    url: StoreUrl
    path: Path | None
    username: str | None
    password: Secret | None
    verify: bool
    ca_file: Path | None
    lookup_timeout_s: float
    map_size_bytes: int
    connections: int
    retry_memory_days: int
    journal_days: int
    state_directory: Path

    def connection_url(self) -> str:
        """The URL with user and password, for the adapter only: never log it."""
        if self.path is not None:
            return f"lmdb:{self.path}"
        if self.password is None:
            return str(self.url)
        user = quote(self.username or "", safe="")
        return str(self.url).replace("://", f"://{user}:{quote(self.password.reveal(), safe='')}@", 1)


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where one of the installation's secrets comes from: given by the environment, else the file."""

    value: Secret | None
    path: Path
    may_be_created: bool


@dataclass(frozen=True, slots=True)
class SecretsSettings:
    """``current_…`` None means the highest id."""

    directory: Path
    index_secret: SecretSource
    token_keys: SecretSource
    current_token_key: int | None
    outbox_keys: SecretSource
    current_outbox_key: int | None
    evidence_key: SecretSource


@dataclass(frozen=True, slots=True)
class DkimSettings:
    domain: str
    selector: str
    private_key_file: Path


@dataclass(frozen=True, slots=True)
class SmsOptOut:
    keyword: str
    number: str
    fit: SuffixPolicy
    language: SmsLanguageName
    identity: Identity


@dataclass(frozen=True, slots=True)
class BrandSettings:
    """A brand and what surrounds it; ``policy`` has the installation's limits where the brand has none of its own."""

    brand: Brand
    footer_language: FooterLanguage
    footer_invitation: str | None
    footer_link_words: str | None
    policy: Policy
    dkim: DkimSettings | None
    sms_opt_out: SmsOptOut | None


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """A client and how it is recognised. ``password_hash`` is an Argon2 hash in PHC form.

    ``sender_classes`` are keyed by MAIL FROM address or ``@domain`` (domain in lower case).
    """

    client: Client
    networks: tuple[Network, ...]
    username: str | None
    password_hash: Secret | None
    sender_classes: Mapping[str, MessageClass]
    report_url: str | None
    report_secret: Secret | None


@dataclass(frozen=True, slots=True)
class TagSettings:
    """Names of header fields as configured; words in lower case, those of the program included."""

    class_headers: tuple[str, ...]
    brand_headers: tuple[str, ...]
    recipient_type_headers: tuple[str, ...]
    campaign_headers: tuple[str, ...]
    class_words: Mapping[str, MessageClass]
    recipient_type_words: Mapping[str, RecipientType]


@dataclass(frozen=True, slots=True)
class SmtpUpstreamSettings:
    """``allows_clear_login``: the password may travel without TLS, because allowed or because it stays on the
    machine."""

    name: str
    addresses: tuple[Endpoint, ...]
    protocol: MailProtocol
    tls: TlsMode
    verify: bool
    ca_file: Path | None
    server_name: str | None
    username: str | None
    password: Secret | None
    allows_clear_login: bool
    connections: int
    queue: int
    queue_memory_bytes: int
    queue_timeout_s: float
    max_messages_per_connection: int
    connection_age_s: float
    idle_timeout_s: float
    connect_timeout_s: float
    reply_timeout_s: float
    final_reply_timeout_s: float


@dataclass(frozen=True, slots=True)
class SmsRuleSettings:
    """``header`` is a name in lower case and a value. None and "" stand for "any", and for "says nothing"."""

    upstream: str
    client: str
    sender_title: str
    account: str
    header: tuple[str, str] | None
    message_class: MessageClass | None
    recipient_type: RecipientType | None
    brand: int | None


@dataclass(frozen=True, slots=True)
class SmsUpstreamSettings:
    """``prefix`` is "" for none; ``rate`` requests a second, 0 for no limit."""

    name: str
    dialect: SmsDialect
    base_url: str
    prefix: str
    verify: bool
    ca_file: Path | None
    username: str | None
    password: Secret | None
    timeout_s: float
    connect_timeout_s: float
    idle_timeout_s: float
    connections: int
    queue: int
    queue_timeout_s: float
    rate: int
    breaker_failures: int
    breaker_time_s: float
    request_bytes: int
    response_bytes: int
    max_lead_s: float
    scheduled_cancel: str
    code_length: int | None
    inbound_secret: Secret | None
    inbound_networks: tuple[Network, ...]
    inbound_signing_secret: Secret | None
    delivery_url: str | None
    confirm_text: str | None
    confirm_sender: str | None


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files of a chain and its private key."""

    certificate_file: Path
    private_key_file: Path


@dataclass(frozen=True, slots=True)
class SmtpListenerSettings:
    """``allows_clear_login``: AUTH is offered without TLS, because allowed or because the address is loopback.

    Counts are per worker. ``data_rate`` is bytes a second, required once ``data_grace_s`` is over.
    """

    name: str
    address: Endpoint
    upstream: str
    protocol: MailProtocol
    tls: TlsMode
    certificate: Certificate | None
    allows_clear_login: bool
    proxy_protocol_from: tuple[Network, ...]
    fixed_class: MessageClass | None
    connections: int
    connections_per_peer: int
    recipients: int
    message_bytes: int
    message_memory_bytes: int
    errors: int
    failed_logins: int
    idle_timeout_s: float
    data_grace_s: float
    data_rate: int
    answer_timeout_s: float
    session_time_s: float
    handshake_timeout_s: float


@dataclass(frozen=True, slots=True)
class HttpListenerSettings:
    address: Endpoint
    sms: tuple[str, ...]
    opt_out_pages: bool
    plain_upstream: str | None
    check_api: bool
    consents_api: bool
    forwarded_from: tuple[Network, ...]
    connections: int
    request_memory_bytes: int
    certificate: Certificate | None


@dataclass(frozen=True, slots=True)
class OptOutMailListenerSettings:
    """With a ``certificate`` it offers STARTTLS."""

    address: Endpoint
    certificate: Certificate | None
    connections: int
    message_bytes: int


@dataclass(frozen=True, slots=True)
class RegistryAccount:
    """An account of the registry and the brands it acts for."""

    brands: tuple[int, ...]
    username: str
    password: Secret


@dataclass(frozen=True, slots=True)
class RegistryPushSettings:
    """``path``: of ``public_url``, the only one answered. ``registers``: we register it ourselves."""

    address: Endpoint
    public_url: str
    path: str
    username: str
    password: Secret
    certificate: Certificate | None
    registers: bool


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """``password`` is None also where its file could not be read; that is then among the warnings.

    ``accounts``: every account whose password is known, that of the section with the brands no other acts for. A
    brand in none of them is not kept in step.
    """

    base_url: str
    username: str | None
    password: Secret | None
    ca_file: Path | None
    pull_interval_s: float
    requests_per_second: int
    requery: bool
    requery_missing: bool
    retailer_list_age_s: float
    late_as_own_decision: bool
    accounts: tuple[RegistryAccount, ...]
    push: RegistryPushSettings | None


@dataclass(frozen=True, slots=True)
class RewritingSettings:
    """``signed_domains`` holds the domains of the brands' own keys too."""

    placeholder: str
    keep_sender_optout: bool
    amp_alternative: AmpAlternative
    signed_domains: frozenset[str]
    remove_foreign_signatures: bool
    max_parts: int
    max_depth: int
    max_header_bytes: int


@dataclass(frozen=True, slots=True)
class EvidenceSettings:
    directory: Path
    segment_bytes: int
    segment_age_s: float
    sign_interval_s: float
    retention_years: int


@dataclass(frozen=True, slots=True)
class CalendarSettings:
    holidays_file: Path
    half_days_count: bool


@dataclass(frozen=True, slots=True)
class LogSettings:
    format: LogFormat
    level: LogLevel


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything, as loaded from ``file``. ``warnings`` are worth a look and stop nothing."""

    file: Path
    hostname: str
    workers: int
    drain_timeout_s: float
    store: StoreSettings
    secrets: SecretsSettings
    brands: tuple[BrandSettings, ...]
    clients: tuple[ClientSettings, ...]
    tags: TagSettings
    sms_rules: tuple[SmsRuleSettings, ...]
    smtp_upstreams: tuple[SmtpUpstreamSettings, ...]
    sms_upstreams: tuple[SmsUpstreamSettings, ...]
    smpp_upstreams: tuple[SmppUpstreamSettings, ...]
    smtp_listeners: tuple[SmtpListenerSettings, ...]
    http_listeners: tuple[HttpListenerSettings, ...]
    smpp_listeners: tuple[SmppListenerSettings, ...]
    opt_out_mail_listeners: tuple[OptOutMailListenerSettings, ...]
    admin: Endpoint
    registry: RegistrySettings | None
    policy: Policy
    partly_refused: PartlyRefused
    rewriting: RewritingSettings
    calendar: CalendarSettings
    evidence: EvidenceSettings
    log: LogSettings
    warnings: tuple[Problem, ...]
    effective_json: str
    """What is in force, defaults included and secrets masked, in the names of the file."""

    def describe(self) -> dict[str, object]:
        """What is in force, for the start log: names and spelling of the file, defaults included, secrets masked."""
        described: dict[str, object] = json.loads(self.effective_json)
        return described

"""The sockets on which clients, recipients and operators reach us."""

from __future__ import annotations

from typing import Annotated

from gateway.configuration import kinds
from gateway.configuration.section import (
    REQUIRED,
    CertificateFile,
    PrivateKeyFile,
    Section,
    YesNo,
    setting,
    table,
    tables,
)
from gateway.configuration.sections.clients import Class
from gateway.configuration.sections.smpp_listeners import SmppListenerSection
from gateway.configuration.sections.upstreams import MailProtocol, TlsMode
from gateway.configuration.values import Duration, Endpoint, Network, Size


class SmtpLimitsSection(Section):
    """What one listener takes before it says no. Numbers count for each worker; what is over them gets a temporary
    answer."""

    connections: Annotated[int, kinds.whole(1, 100_000, 2000)] = setting(2000, "Most open connections.")
    connections_per_peer: Annotated[int, kinds.whole(1, 100_000, 500)] = setting(
        500, "Most open connections of one peer: an IPv4 address or an IPv6 /64."
    )
    recipients: Annotated[int, kinds.whole(1, 50_000, 1000)] = setting(
        1000, "Most recipients of one message (RFC 5321 4.5.3.1.8: at least 100); more get 452."
    )
    message_size: Annotated[Size, kinds.size("64 KiB", "1 GiB", "50 MiB")] = setting(
        "50 MiB",
        "Largest message. SIZE announces it less the footer's allowance, and never more than the upstream takes.",
    )
    message_memory: Annotated[Size, kinds.size("1 MiB", "64 GiB", "256 MiB")] = setting(
        "256 MiB", "Most message bytes a worker holds at once; above it connections are not read until there is room."
    )
    errors: Annotated[int, kinds.whole(1, 1000, 20)] = setting(20, "Wrong commands before a connection is closed.")
    failed_logins: Annotated[int, kinds.whole(1, 100, 3)] = setting(3, "Failed logins before a connection is closed.")
    idle_timeout: Annotated[Duration, kinds.duration("1s", "30m", "5m")] = setting(
        "5m", "Between two commands (RFC 5321 4.5.3.2.7: at least five minutes)."
    )
    data_grace: Annotated[Duration, kinds.duration("1s", "1h", "3m")] = setting(
        "3m", "How long DATA may take however slow it is (RFC 5321 4.5.3.2.5: three minutes for a block) …"
    )
    data_rate: Annotated[Size, kinds.size("0 B", "1 MB", "1 kB")] = setting(
        "1 kB", "… and after that must have brought so much a second, or a client that drips bytes is cut off."
    )
    answer_timeout: Annotated[Duration, kinds.duration("1s", "30m", "10m")] = setting(
        "10m", "How long our own side may take for an answer before the client is told to try again."
    )
    session_time: Annotated[Duration, kinds.duration("1m", "7d", "6h")] = setting("6h", "Longest life of a connection.")
    handshake_timeout: Annotated[Duration, kinds.duration("1s", "5m", "30s")] = setting(
        "30s", "For the TLS handshake, and for the PROXY header."
    )


class SmtpListenerSection(Section):
    """Where clients hand mail to us."""

    name: Annotated[str, kinds.name("submission")] | None = setting(
        None, "Name in logs, metrics and evidence; left out, smtp and the port (smtp-2525)."
    )
    address: Annotated[Endpoint, kinds.listener_endpoint("127.0.0.1:2525")] = setting(
        REQUIRED, "IP address and port; 0.0.0.0 or [::] for all.", given='"127.0.0.1:2525"'
    )
    upstream: Annotated[str, kinds.name("relay")] = setting(
        REQUIRED, "Name of the [[upstreams.smtp]] that mail goes on to.", given='"relay"'
    )
    protocol: Annotated[MailProtocol, kinds.one_of(MailProtocol)] = setting(
        "smtp", "smtp, or lmtp with its reply per recipient."
    )
    tls: Annotated[TlsMode, kinds.one_of(TlsMode)] = setting(
        "none", "none, starttls (offered) or tls from the first byte."
    )
    certificate_file: CertificateFile | None = setting(None, "Certificate chain, PEM; needed unless tls is none.")
    private_key_file: PrivateKeyFile | None = setting(None, "Its private key, PEM, without a passphrase.")
    auth_without_tls: YesNo = setting(
        False, "Take passwords over a connection without TLS that is not loopback. Anyone on the way can read them."
    )
    proxy_protocol_from: tuple[Annotated[Network, kinds.network()], ...] = setting(
        [],
        """Load balancers that speak the PROXY protocol (v1 or v2) to this listener. From these networks it is required,
        from others refused.""",
        example='["192.0.2.10/32"]',
    )
    fixed_class: Class | None = setting(
        None, "Class of all mail on this listener, whatever its tags say: an own port for marketing gets 550 at RCPT."
    )
    limits: SmtpLimitsSection = table(SmtpLimitsSection)

    @property
    def effective_name(self) -> str:
        return self.name or f"smtp-{self.address.port}"


class HttpListenerSection(Section):
    """Opt-out pages, and the send APIs of SMS providers. Usually behind a reverse proxy that ends TLS."""

    address: Annotated[Endpoint, kinds.listener_endpoint("127.0.0.1:8025")] = setting(
        REQUIRED, "IP address and port.", given='"127.0.0.1:8025"'
    )
    sms: tuple[Annotated[str, kinds.name("netgsm")], ...] = setting(
        [], "Names of the [[upstreams.sms]] whose dialect is spoken here.", example='["netgsm"]'
    )
    opt_out_pages: YesNo = setting(True, "Whether the opt-out pages are served here.")
    plain_upstream: Annotated[str, kinds.name("netgsm")] | None = setting(
        None,
        """Name of the [[upstreams.sms]] through which POST /v1/messages leaves, whatever dialect that one speaks; for
        senders that have no provider's software. It needs username and password there.""",
    )
    check_api: YesNo = setting(
        False, "Whether POST /v1/check is answered here: the decision without sending, for SMS, mail and calls."
    )
    consents_api: YesNo = setting(
        False, "Whether POST /v1/consents is answered here: consents and refusals handed over for the registry."
    )
    forwarded_from: tuple[Annotated[Network, kinds.network()], ...] = setting(
        [],
        """Reverse proxies before this listener: from these networks the client's address is the last one in
        X-Forwarded-For.""",
        example='["192.0.2.10/32"]',
    )
    connections: Annotated[int, kinds.whole(1, 100_000, 1000)] = setting(1000, "Most open connections of a worker.")
    request_memory: Annotated[Size, kinds.size("1 MiB", "64 GiB", "256 MiB")] = setting(
        "256 MiB", "Most bytes of SMS requests that a worker holds at once."
    )
    tls: Annotated[TlsMode, kinds.one_of(TlsMode)] = setting("none", "none or tls.")
    certificate_file: CertificateFile | None = setting(None, "Certificate chain, PEM; needed with tls.")
    private_key_file: PrivateKeyFile | None = setting(None, "Its private key, PEM, without a passphrase.")


class OptOutMailListenerSection(Section):
    """Takes mail to the brands' opt_out_mail_domain: refusals by mailto:. Open to the Internet, stores no mail."""

    address: Annotated[Endpoint, kinds.listener_endpoint("0.0.0.0:25")] = setting(REQUIRED, "IP address and port.")
    tls: Annotated[TlsMode, kinds.one_of(TlsMode)] = setting("none", "none or starttls.")
    certificate_file: CertificateFile | None = setting(None, "Certificate chain, PEM; needed with starttls.")
    private_key_file: PrivateKeyFile | None = setting(None, "Its private key, PEM, without a passphrase.")
    connections: Annotated[int, kinds.whole(1, 10_000, 100)] = setting(100, "Most open connections of a worker.")
    message_size: Annotated[Size, kinds.size("16 KiB", "64 MiB", "1 MiB")] = setting("1 MiB", "Largest mail taken.")


class ListenersSection(Section):
    """Where we are reached."""

    smtp: tuple[SmtpListenerSection, ...] = tables()
    http: tuple[HttpListenerSection, ...] = tables()
    smpp: tuple[SmppListenerSection, ...] = tables()
    opt_out_mail: tuple[OptOutMailListenerSection, ...] = tables()

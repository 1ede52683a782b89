"""The relays and providers that messages are handed to."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from gateway.configuration import kinds
from gateway.configuration.section import (
    REQUIRED,
    AuthoritiesFile,
    FromEnvironment,
    SecretFile,
    Section,
    UpstreamEndpoint,
    YesNo,
    setting,
    tables,
)
from gateway.configuration.values import Duration, Endpoint, Size


class MailProtocol(StrEnum):
    SMTP = "smtp"
    LMTP = "lmtp"


class TlsMode(StrEnum):
    """``starttls`` is required once set: without it the connection is not used."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class SmsDialect(StrEnum):
    NETGSM = "netgsm"
    ILETIMERKEZI = "iletimerkezi"
    VERIMOR = "verimor"
    TWILIO = "twilio"
    VONAGE = "vonage"
    INFOBIP = "infobip"


class SmtpUpstreamSection(Section):
    """A mail relay. Connections are kept open; numbers count for each worker."""

    name: Annotated[str, kinds.name("relay")] = setting(
        REQUIRED, "Name by which listeners refer to it, and in logs and metrics.", given='"relay"'
    )
    address: Annotated[Endpoint, kinds.upstream_endpoint("127.0.0.1:2526")] | None = setting(
        None, "Host and port.", given='"127.0.0.1:2526"'
    )
    addresses: tuple[UpstreamEndpoint, ...] = setting(
        [],
        "Several, instead of address: the first that can be reached is used, the next ones stand in.",
        example='["relay1.example.net:587", "relay2.example.net:587"]',
    )
    protocol: Annotated[MailProtocol, kinds.one_of(MailProtocol)] = setting(
        "smtp", "smtp, or lmtp with its reply per recipient."
    )
    tls: Annotated[TlsMode, kinds.one_of(TlsMode)] = setting(
        "starttls",
        "none, starttls (then it is required) or tls from the first byte. Anything but none verifies the server.",
        given='"none"',
    )
    verify: YesNo = setting(True, "Check the server's certificate and name. Off, anyone on the way can read the mail.")
    ca_file: AuthoritiesFile | None = setting(None, "Authorities to trust instead of the system's.")
    server_name: Annotated[str, kinds.domain("relay.example.net")] | None = setting(
        None, "Name the certificate must have; left out, the host of the address."
    )
    username: Annotated[str, kinds.text(200, "izinkapi")] | None = setting(None, "Login name (AUTH).")
    password: FromEnvironment | None = setting(None, "Its password, from the environment.")
    password_file: SecretFile | None = setting(None, "Its password, from the first line of a file.")
    auth_without_tls: YesNo = setting(
        False, "Send the password over a connection without TLS that is not loopback (RFC 4954, section 4, forbids it)."
    )
    connections: Annotated[int, kinds.whole(1, 1000, 20)] = setting(
        20, "Most connections of a worker, all addresses together."
    )
    queue: Annotated[int, kinds.whole(1, 1_000_000, 2000)] = setting(
        2000,
        "Most copies a worker lets wait for a connection; above it clients get 451. Not a spool: memory, for moments.",
    )
    queue_memory: Annotated[Size, kinds.size("1 MiB", "64 GiB", "64 MiB")] = setting(
        "64 MiB", "Most bytes of waiting copies in a worker."
    )
    queue_timeout: Annotated[Duration, kinds.duration("1s", "5m", "30s")] = setting(
        "30s", "How long a copy waits for a connection before its client gets 451."
    )
    max_messages_per_connection: Annotated[int, kinds.whole(1, 1_000_000, 1000)] = setting(
        1000, "After so many messages a connection is closed and made anew."
    )
    connection_age: Annotated[Duration, kinds.duration("1s", "1d", "10m")] = setting(
        "10m", "After this a connection is closed and made anew, so that a change in DNS is noticed."
    )
    idle_timeout: Annotated[Duration, kinds.duration("1s", "10m", "1m")] = setting(
        "1m", "An unused connection is closed after this; shorter than the relay's own limit."
    )
    connect_timeout: Annotated[Duration, kinds.duration("100ms", "5m", "10s")] = setting(
        "10s", "To connect and agree on TLS."
    )
    reply_timeout: Annotated[Duration, kinds.duration("1s", "10m", "1m")] = setting(
        "1m", "For the greeting, the reply to a command and a block of data."
    )
    final_reply_timeout: Annotated[Duration, kinds.duration("1s", "30m", "5m")] = setting(
        "5m",
        """For the reply to the final dot; after it the outcome is unknown. With the waiting before it, it must stay
        below the ten minutes that clients wait (RFC 5321 4.5.3.2.6), or they send again what was relayed.""",
    )


class SmsUpstreamSection(Section):
    """An SMS provider, in its own dialect."""

    name: Annotated[str, kinds.name("netgsm")] = setting(
        REQUIRED, "Name by which listeners refer to it, and in logs and metrics."
    )
    dialect: Annotated[SmsDialect, kinds.one_of(SmsDialect)] = setting(
        REQUIRED, "The API it speaks, and which its clients speak to us."
    )
    base_url: Annotated[str, kinds.web_base("https://api.provider.example")] = setting(
        REQUIRED, "Base of the provider's API."
    )
    timeout: Annotated[Duration, kinds.duration("100ms", "5m", "30s")] = setting("30s", "For the answer to a request.")


class UpstreamsSection(Section):
    """Where messages go on to."""

    smtp: tuple[SmtpUpstreamSection, ...] = tables()
    sms: tuple[SmsUpstreamSection, ...] = tables()

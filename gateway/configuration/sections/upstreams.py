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
from gateway.configuration.sections.smpp_upstreams import SmppUpstreamSection
from gateway.configuration.values import Duration, Endpoint, Network, Size


class MailProtocol(StrEnum):
    SMTP = "smtp"
    LMTP = "lmtp"


class TlsMode(StrEnum):
    """``starttls`` is required once set: without it the connection is not used."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class ScheduledCancel(StrEnum):
    """Which scheduled jobs a refusal calls off: those that concern this one person, any, or none."""

    SINGLE = "single"
    WHOLE = "whole"
    OFF = "off"


class SmsDialect(StrEnum):
    """The names of ``filters.sms.dialects.registry``; a test holds the two equal."""

    NETGSM = "netgsm"
    NETGSM_LEGACY = "netgsm_legacy"
    ILETIMERKEZI = "iletimerkezi"
    VERIMOR = "verimor"
    JETSMS = "jetsms"
    MUTLUCELL = "mutlucell"
    VATANSMS = "vatansms"
    TURKCELL = "turkcell"
    TWILIO = "twilio"
    VONAGE_SMS = "vonage_sms"
    VONAGE_MESSAGES = "vonage_messages"
    INFOBIP = "infobip"
    PLAIN = "plain"


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
    """An SMS provider, in its own dialect: clients keep paths, credentials and fields and change the host only.
    Numbers count for each worker."""

    name: Annotated[str, kinds.name("netgsm")] = setting(
        REQUIRED, "Name by which listeners refer to it, and in logs and metrics."
    )
    dialect: Annotated[SmsDialect, kinds.one_of(SmsDialect)] = setting(
        REQUIRED, "The API it speaks, and which its clients speak to us."
    )
    base_url: Annotated[str, kinds.web_base("https://api.provider.example")] = setting(
        REQUIRED, "Base of the provider's API."
    )
    prefix: (
        Annotated[
            str,
            kinds.matching(
                "a path of letters, digits and - that begins with a slash", "/bulk", r"(/[A-Za-z0-9-]{1,40}){1,4}"
            ),
        ]
        | None
    ) = setting(
        None,
        """Path under which clients reach this upstream, before the provider's own paths. Tells apart two upstreams of
        one dialect on one listener.""",
    )
    verify: YesNo = setting(True, "Check the server's certificate and name. Off, anyone on the way can read the SMS.")
    ca_file: AuthoritiesFile | None = setting(None, "Authorities to trust instead of the system's.")
    username: Annotated[str, kinds.text(200, "8501234567")] | None = setting(
        None,
        """The operator's account there: user name, key or account id, as the dialect calls it. Needed only for what
        does not come from a client of this dialect: plain_upstream, and confirmations of refusals.""",
    )
    password: FromEnvironment | None = setting(None, "Its password, secret or token, from the environment.")
    password_file: SecretFile | None = setting(None, "The same, from the first line of a file.")
    timeout: Annotated[Duration, kinds.duration("100ms", "5m", "30s")] = setting(
        "30s", "For the answer to a request; after it the outcome is unknown, and is never sent again."
    )
    connect_timeout: Annotated[Duration, kinds.duration("100ms", "1m", "5s")] = setting(
        "5s", "To connect and agree on TLS."
    )
    idle_timeout: Annotated[Duration, kinds.duration("1s", "10m", "15s")] = setting(
        "15s", "An unused connection is closed after this; shorter than the provider's own limit."
    )
    connections: Annotated[int, kinds.whole(1, 1000, 50)] = setting(50, "Most requests under way at once.")
    queue: Annotated[int, kinds.whole(0, 100_000, 1000)] = setting(
        1000, "Most requests that wait for their turn; above it clients get the dialect's temporary fault."
    )
    queue_timeout: Annotated[Duration, kinds.duration("100ms", "1m", "10s")] = setting(
        "10s", "How long a request may wait for its turn."
    )
    rate: Annotated[int, kinds.whole(0, 100_000, 20)] = setting(
        0, "Most requests a second; 0 for no limit of ours.", example="20"
    )
    breaker_failures: Annotated[int, kinds.whole(1, 1000, 10)] = setting(
        10, "After so many failures in a row the provider is left alone …"
    )
    breaker_time: Annotated[Duration, kinds.duration("100ms", "10m", "5s")] = setting(
        "5s", "… for so long; then one request tries."
    )
    request_size: Annotated[Size, kinds.size("4 KiB", "256 MiB", "16 MiB")] = setting(
        "16 MiB", "Largest request taken."
    )
    response_size: Annotated[Size, kinds.size("4 KiB", "256 MiB", "16 MiB")] = setting(
        "16 MiB", "Largest answer read; a larger one is as good as none."
    )
    max_lead: Annotated[Duration, kinds.duration("1m", "365d", "2d")] = setting(
        "2d",
        """How far ahead a send may be scheduled, and how long hours or a speed in the request may hold it. Consent is
        looked up when the request comes; who refuses in between still gets the message where it cannot be called
        off.""",
    )
    scheduled_cancel: Annotated[ScheduledCancel, kinds.one_of(ScheduledCancel)] = setting(
        "single",
        """What a refusal calls off that the provider holds until its time, where the dialect has a call for that:
        "single" for jobs that concern this one person, "whole" for jobs of up to 1,000 people too (nobody of them gets
        it then), "off" for nothing.""",
    )
    code_length: Annotated[int, kinds.whole(0, 40, 5)] | None = setting(
        None, "Characters of the operator's code behind each text; left out, what is known of this provider."
    )
    inbound_secret: FromEnvironment | None = setting(
        None, "Secret end of the path at which the provider tells of incoming SMS, from the environment."
    )
    inbound_secret_file: SecretFile | None = setting(
        None,
        """The same, from the first line of a file: 16 to 128 letters, digits, - and _. The provider is given
        https://HOST/sms/inbound/SECRET. Left out, incoming SMS are not taken.""",
    )
    inbound_networks: tuple[Annotated[Network, kinds.network()], ...] = setting(
        [], "Where the provider tells of them from; left out, from anywhere.", example='["192.0.2.0/24"]'
    )
    inbound_signing_secret: FromEnvironment | None = setting(
        None, "Secret with which the provider signs them, where the dialect has that; from the environment."
    )
    inbound_signing_secret_file: SecretFile | None = setting(None, "The same, from the first line of a file.")
    delivery_url: Annotated[str, kinds.web_base("https://shop.example/sms-report")] | None = setting(
        None,
        """Where the sender takes the delivery reports that the provider posts. The provider is given
        https://HOST/sms/delivery/SECRET, with the secret of inbound_secret; what it posts goes on as it is.""",
    )
    confirm_text: Annotated[str, kinds.text(300, "Talebiniz alindi, artik SMS gonderilmeyecek.")] | None = setting(
        None, "Sent to a person whose refusal came by SMS here, as informational. Left out, nothing is."
    )
    confirm_sender: Annotated[str, kinds.text(15, "ORNEK")] | None = setting(None, "Sender title of that text.")


class UpstreamsSection(Section):
    """Where messages go on to."""

    smtp: tuple[SmtpUpstreamSection, ...] = tables()
    sms: tuple[SmsUpstreamSection, ...] = tables()
    smpp: tuple[SmppUpstreamSection, ...] = tables()

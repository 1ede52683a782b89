"""SMSCs that SMS go on to over SMPP 3.4."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from filters.smpp.coding import DefaultAlphabet
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
)
from gateway.configuration.values import Duration, Endpoint


class SmppTls(StrEnum):
    """SMPP has no STARTTLS."""

    NONE = "none"
    TLS = "tls"


SystemId = Annotated[str, kinds.matching("1 to 15 printable characters", "IZINKAPI", r"[!-~]{1,15}")]


class SmppUpstreamSection(Section):
    """An operator's SMSC, to which we bind as a transceiver (SMPP 3.4). Numbers count for each worker, and each worker
    binds for itself."""

    name: Annotated[str, kinds.name("operator")] = setting(
        REQUIRED, "Name by which listeners refer to it, and in logs and metrics."
    )
    address: Annotated[Endpoint, kinds.upstream_endpoint("smsc.operator.example:2775")] | None = setting(
        None, "Host and port."
    )
    addresses: tuple[UpstreamEndpoint, ...] = setting(
        [],
        "Several, instead of address: the first that can be reached is used, the next ones stand in.",
        example='["smsc1.operator.example:2775", "smsc2.operator.example:2775"]',
    )
    tls: Annotated[SmppTls, kinds.one_of(SmppTls)] = setting(
        "tls", "none, or tls from the first byte, which verifies the server."
    )
    clear_text: YesNo = setting(
        False, "With tls none: send password and texts in clear to an address that is not loopback (a VPN, mostly)."
    )
    verify: YesNo = setting(True, "Check the server's certificate and name. Off, anyone on the way can read the SMS.")
    ca_file: AuthoritiesFile | None = setting(None, "Authorities to trust instead of the system's.")
    server_name: Annotated[str, kinds.domain("smsc.operator.example")] | None = setting(
        None, "Name the certificate must have; left out, the host of the address."
    )
    system_id: SystemId = setting(REQUIRED, "Our name at the SMSC.")
    password: FromEnvironment | None = setting(None, "Its password, at most eight characters, from the environment.")
    password_file: SecretFile | None = setting(None, "The same, from the first line of a file.")
    system_type: Annotated[str, kinds.matching("at most 12 printable characters", "SMPP", r"[!-~]{0,12}")] = setting(
        "", "What the operator wants to see in the bind besides."
    )
    default_alphabet: Annotated[DefaultAlphabet, kinds.one_of(DefaultAlphabet)] = setting(
        "gsm", "What data_coding 0 means there and to the clients: ask the operator."
    )
    links: Annotated[int, kinds.whole(1, 100, 1)] = setting(1, "Binds of a worker.")
    window: Annotated[int, kinds.whole(1, 10_000, 50)] = setting(50, "Most messages unanswered on a bind.")
    queue: Annotated[int, kinds.whole(1, 1_000_000, 10_000)] = setting(
        10_000, "Most messages that wait for room in a window; above it clients are told to slow down."
    )
    queue_timeout: Annotated[Duration, kinds.duration("100ms", "1m", "10s")] = setting(
        "10s", "How long a message may wait for that."
    )
    connect_timeout: Annotated[Duration, kinds.duration("100ms", "1m", "10s")] = setting(
        "10s", "To connect and agree on TLS."
    )
    answer_timeout: Annotated[Duration, kinds.duration("1s", "5m", "1m")] = setting(
        "1m", "For the answer to a message; after it the outcome is unknown, and is never sent again."
    )
    enquire_after: Annotated[Duration, kinds.duration("1s", "10m", "30s")] = setting(
        "30s", "After so much silence we ask whether the SMSC is still there (enquire_link)."
    )
    code_length: Annotated[int, kinds.whole(0, 40, 5)] | None = setting(
        None, "Characters of the operator's code behind each text; left out, five: a space and B001."
    )
    max_lead: Annotated[Duration, kinds.duration("1m", "365d", "2d")] = setting(
        "2d", "How far ahead a send may be scheduled; who refuses in between still gets the message."
    )

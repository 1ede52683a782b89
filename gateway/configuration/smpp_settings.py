"""What the program is told of SMPP: settled values of ``sections.smpp_upstreams`` and ``sections.smpp_listeners``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filters.smpp.coding import DefaultAlphabet
from filters.vocabulary import MessageClass
from gateway.configuration.values import Endpoint, Secret


@dataclass(frozen=True, slots=True)
class SmppUpstreamSettings:
    """Times in seconds. ``allows_clear_text``: because allowed, or because all addresses are loopback."""

    name: str
    addresses: tuple[Endpoint, ...]
    tls: bool
    allows_clear_text: bool
    verify: bool
    ca_file: Path | None
    server_name: str | None
    system_id: str
    password: Secret | None
    system_type: str
    default_alphabet: DefaultAlphabet
    links: int
    window: int
    queue: int
    queue_timeout_s: float
    connect_timeout_s: float
    answer_timeout_s: float
    enquire_after_s: float
    code_length: int | None
    max_lead_s: float


@dataclass(frozen=True, slots=True)
class SmppListenerSettings:
    """Times in seconds; PEM files None without TLS. ``inbound`` maps a number of ours, "" for all others, to a client's
    name."""

    address: Endpoint
    upstream: str
    certificate_file: Path | None
    private_key_file: Path | None
    system_id: str
    refuses_by_receipt: bool
    refusal_status: int
    service_types: Mapping[str, MessageClass]
    class_tlv: int | None
    class_tlv_values: Mapping[bytes, MessageClass]
    inbound: Mapping[str, str]
    window: int
    part_hold_s: float
    part_age_s: float
    connections: int
    connections_per_peer: int
    binds_per_client: int
    idle_timeout_s: float

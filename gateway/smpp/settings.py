"""What one SMPP listener may do, and how much of anything it allows."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from filters.smpp.answer import ConsentRefusal
from filters.smpp.reassembly import ReassemblyLimits
from filters.smpp.server_session import ServerLimits

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class SmppListenerSettings:
    """One listener. Times in seconds.

    ``part_hold_s``: how long the answer to a part of a long message waits for the next part. Within it all parts get
    the answer that the whole message gets; after it a part is answered as taken, because its sender may be waiting for
    that before it sends the next one, and the last part gets the answer. 0 answers each part at once.
    """

    name: str
    limits: ServerLimits = field(default_factory=ServerLimits)
    refusal: ConsentRefusal = field(default_factory=ConsentRefusal)
    reassembly: ReassemblyLimits = field(default_factory=ReassemblyLimits)
    tls: bool = False
    max_connections: int = 500
    """In this worker."""
    max_connections_per_peer: int = 50
    max_binds_per_client: int = 20
    """In this worker."""
    max_messages_in_hand: int = 5000
    """Unanswered, of all clients of this worker; above it clients are told to slow down."""

    bind_timeout_s: float = 10.0
    """From the connection to a successful bind."""
    idle_timeout_s: float = 120.0
    """Without a PDU; half-way we ask by enquire_link."""
    answer_timeout_s: float = 120.0
    """How long our own side may take for one answer before the client is told to try again."""
    deliver_timeout_s: float = 30.0
    """For a client's answer to what was delivered to it."""
    part_hold_s: float = 1.0
    handshake_timeout_s: float = 30.0

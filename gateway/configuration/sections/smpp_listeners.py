"""Where clients bind to us over SMPP 3.4."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from gateway.configuration import kinds
from gateway.configuration.section import REQUIRED, CertificateFile, PrivateKeyFile, Section, YesNo, setting
from gateway.configuration.sections.clients import Class
from gateway.configuration.sections.smpp_upstreams import SmppTls, SystemId
from gateway.configuration.values import Duration, Endpoint


class SmppRefusal(StrEnum):
    """How a recipient without consent is refused."""

    STATUS = "status"
    RECEIPT = "receipt"


ServiceType = Annotated[str, kinds.matching("1 to 5 printable characters", "INFO", r"[!-~]{1,5}")]
TlvValue = Annotated[str, kinds.matching("1 to 40 printable characters", "T", r"[!-~]{1,40}")]
OwnNumber = Annotated[str, kinds.matching("3 to 20 digits, or *", "3338", r"[0-9]{3,20}|\*")]
ClientName = Annotated[str, kinds.name("shop")]


class SmppListenerSection(Section):
    """Where clients bind to us as if we were their operator's SMSC: system_id and password are the client's username
    and password (at most 15 and 8 characters); a client that has networks too needs both. One without a password binds
    from its networks, with its name as system_id. Numbers count for each worker. The parts of one long message must
    come to one worker. A receipt is known to every worker, also after a restart; of a long message, which is several
    at the SMSC, only to the worker that sent it: the SMSC is told to repeat it until it meets that one."""

    address: Annotated[Endpoint, kinds.listener_endpoint("127.0.0.1:2775")] = setting(REQUIRED, "IP address and port.")
    upstream: Annotated[str, kinds.name("operator")] = setting(
        REQUIRED, "Name of the [[upstreams.smpp]] that messages go on to."
    )
    tls: Annotated[SmppTls, kinds.one_of(SmppTls)] = setting("none", "none or tls.")
    certificate_file: CertificateFile | None = setting(None, "Certificate chain, PEM; needed with tls.")
    private_key_file: PrivateKeyFile | None = setting(None, "Its private key, PEM, without a passphrase.")
    clear_text: YesNo = setting(False, "Take passwords over a connection without TLS that is not loopback.")
    system_id: SystemId = setting("IZINKAPI", "Our name, as clients see it.")
    refusal: Annotated[SmppRefusal, kinds.one_of(SmppRefusal)] = setting(
        "status",
        """How a recipient without consent is refused: by status in the answer, or by receipt, where the message is
        accepted and a receipt says REJECTD. Who asks for no receipts gets the status.""",
    )
    refusal_status: Annotated[int, kinds.whole(1, 0x4FF, 69)] = setting(
        69, "That command_status: 69 (0x45) or a code agreed with the clients, 1024 to 1279 (0x400 to 0x4FF)."
    )
    service_types: dict[ServiceType, Class] = setting(
        {},
        "Classes by service_type. Where two tags disagree the message is commercial.",
        example='{ "INFO" = "informational" }',
    )
    class_tlv: Annotated[int, kinds.whole(0x1400, 0x3FFF, 5121)] | None = setting(
        None, "Tag of a TLV that holds the class, agreed with the clients: 5120 to 16383 (0x1400 to 0x3FFF)."
    )
    class_tlv_values: dict[TlvValue, Class] = setting(
        {}, "Its values; any other one is commercial.", example='{ "T" = "informational", "C" = "commercial" }'
    )
    inbound: dict[OwnNumber, ClientName] = setting(
        {},
        """Which client gets what people write to a number of ours, * for all other numbers. Refusals in it count in any
        case.""",
        example='{ "3338" = "shop" }',
    )
    window: Annotated[int, kinds.whole(1, 10_000, 100)] = setting(
        100, "Most messages unanswered on a connection; above it the client is not read from."
    )
    part_hold: Annotated[Duration, kinds.duration("0s", "10s", "1s")] = setting(
        "1s",
        """How long the answer to a part of a long message waits for the next part. In that time all parts get the
        answer of the whole; after it a part is answered as taken, and the last part has the verdict.""",
    )
    part_age: Annotated[Duration, kinds.duration("1s", "10m", "1m")] = setting(
        "1m", "How long parts wait for the rest of their message, which is never sent without them."
    )
    connections: Annotated[int, kinds.whole(1, 100_000, 500)] = setting(500, "Most open connections.")
    connections_per_peer: Annotated[int, kinds.whole(1, 100_000, 50)] = setting(
        50, "Most open connections of one peer: an IPv4 address or an IPv6 /64."
    )
    binds_per_client: Annotated[int, kinds.whole(1, 10_000, 20)] = setting(20, "Most binds of one client.")
    idle_timeout: Annotated[Duration, kinds.duration("1s", "1d", "2m")] = setting(
        "2m", "A connection on which nothing comes is asked half-way (enquire_link), and then closed."
    )

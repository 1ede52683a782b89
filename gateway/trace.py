"""The trace field put on top of each message, and the recognition of our own traces (RFC 5321 4.4, 6.3)."""

from __future__ import annotations

import itertools
import time
from email.utils import formatdate

from filters.envelope import Envelope
from filters.mime.headers import HeaderBlock

MAX_OWN_TRACES = 2
"""A message may come by us twice (forwarded by a recipient's system, or by another client); a third time is a loop."""

MAX_RECEIVED_FIELDS = 100
"""RFC 5321 6.3: a simple count of Received fields with a threshold of at least 100."""


class Tracer:
    """Makes message ids that no other worker makes, and trace fields with them.

    ``hostname`` is ours; ``instance`` tells this worker's life from every other (it may not repeat after a restart).
    """

    def __init__(self, hostname: str, instance: str) -> None:
        self._instance = instance
        self._counter = itertools.count(1)
        self._by = b"by %s (IzinKapi)" % hostname.encode("ascii")
        self._date = b""
        self._date_second = 0

    def next_id(self) -> str:
        return f"{self._instance}-{next(self._counter):x}"

    def is_loop(self, headers: HeaderBlock) -> bool:
        """Whether the header block shows that the message goes round."""
        content, fields = headers.content, headers.fields
        if content.count(self._by, 0, headers.body_start) >= MAX_OWN_TRACES:
            # Only now field by field: a sender may write our name wherever it likes, and is not going round for that.
            own = sum(name == b"received" and content.find(self._by, start, end) >= 0 for name, start, end in fields)
            if own >= MAX_OWN_TRACES:
                return True
        return len(fields) > MAX_RECEIVED_FIELDS < sum(field[0] == b"received" for field in fields)

    def field(self, envelope: Envelope, protocol: str, message_id: str) -> bytes:
        """The complete ``Received`` field, CRLF included; no recipient in it, as each copy would tell the others'.

        ``protocol`` without TLS; with it, its name ends in S (RFC 3848).
        """
        second = int(time.time())
        if second != self._date_second:
            self._date_second = second
            self._date = formatdate(second, usegmt=True).replace("GMT", "+0000").encode("ascii")
        helo = envelope.helo.encode("ascii", "replace")
        return b"Received: from %s (%s)\r\n\t%s with %s id %s;\r\n\t%s\r\n" % (
            helo or b"unknown",
            _address_literal(envelope.peer),
            self._by,
            protocol.encode("ascii") + (b"S" if envelope.is_tls else b""),
            message_id.encode("ascii"),
            self._date,
        )


def _address_literal(peer: str) -> bytes:
    """``[192.0.2.1]`` or ``[IPv6:2001:db8::1]`` (RFC 5321 4.1.3)."""
    return (b"[IPv6:%s]" if ":" in peer else b"[%s]") % peer.encode("ascii", "replace")

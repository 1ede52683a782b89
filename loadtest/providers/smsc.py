"""An SMSC to send to: binds, takes messages, sends receipts that mature, tells what people write, fails on request.

A second implementation of SMPP 3.4: it shares no line with the gateway's codec, so that a mistake there is not made
twice. Numbers whose last digits are in ``FAULTS`` meet that fate.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

FAULTS = {
    "9404": 0x0B,  # invalid destination
    "9408": 0x08,  # system error
    "9445": 0x45,  # submit failed
}
SILENT = "9000"
"""Never answered."""
UNDELIVERABLE = "9505"
"""Taken, and its receipt says UNDELIV."""

_GSM = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENDED = dict(zip(b"\x0a\x14\x28\x29\x2f\x3c\x3d\x3e\x40\x65", "\f^{}\\[~]|€", strict=True))
_TURKISH = dict(zip(b"GIScgis", "ĞİŞçğış", strict=True))


@dataclass
class Submit:
    """One submit_sm as it came."""

    system_id: str
    source: str
    destination: str
    esm_class: int
    registered: int
    data_coding: int
    octets: bytes
    tlvs: dict[int, bytes]
    message_id: str = ""
    service_type: str = ""

    @property
    def header(self) -> bytes:
        return self.octets[: self.octets[0] + 1] if self.esm_class & 0x40 else b""

    @property
    def part(self) -> tuple[int, int, int]:
        """Reference, total, number; (0, 1, 1) for a whole message."""
        header = self.header
        at = 1
        while at + 1 < len(header):
            kind, size = header[at], header[at + 1]
            value = header[at + 2 : at + 2 + size]
            if kind == 0 and size == 3:
                return value[0], value[1], value[2]
            if kind == 8 and size == 4:
                return value[0] << 8 | value[1], value[2], value[3]
            at += 2 + size
        if 0x020C in self.tlvs:
            return int.from_bytes(self.tlvs[0x020C], "big"), self.tlvs[0x020E][0], self.tlvs[0x020F][0]
        return 0, 1, 1

    @property
    def content(self) -> bytes:
        return self.octets[len(self.header) :]

    @property
    def text(self) -> str:
        """What this part says."""
        if self.data_coding == 8:
            return self.content.decode("utf-16-be")
        if self.data_coding in (1, 3):
            return self.content.decode("latin-1")
        shifted = b"\x24\x01\x01" in self.header
        letters, escaped = [], False
        for octet in self.content:
            if escaped:
                letters.append((_GSM_EXTENDED | _TURKISH if shifted else _GSM_EXTENDED).get(octet, "?"))
                escaped = False
            elif octet == 0x1B:
                escaped = True
            else:
                letters.append(_GSM[octet])
        return "".join(letters)


@dataclass
class Smsc:
    """The simulator. Start it with ``start``; ``port`` is then known.

    ``passwords`` by system_id. ``receipt_after_s`` None sends no receipts. ``max_per_s`` throttles above so many
    submits in a second; ``throttle_next`` answers so many more with 0x58. While ``is_mute`` nothing is answered.
    """

    passwords: dict[str, str] = field(default_factory=lambda: {"gate": "secret"})
    receipt_after_s: float | None = 0.05
    max_per_s: int = 0
    throttle_next: int = 0
    is_mute: bool = False
    keeps: bool = True
    port: int = 0
    submitted: list[Submit] = field(default_factory=list)
    taken: int = 0
    binds: int = 0
    deliver_answers: list[int] = field(default_factory=list)
    enquiries: int = 0
    links: list[_Link] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def start(self, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Link(self), host, self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Hang up on everybody."""
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.sleep(0)

    def cut(self) -> None:
        """All links go dead at once."""
        for link in list(self.links):
            link.transport.abort()

    def messages(self) -> list[tuple[str, str, str]]:
        """(source, destination, text) of every message of which all parts have come, parts joined."""
        whole: list[tuple[str, str, str]] = []
        sets: dict[tuple[str, str, int, int], dict[int, str]] = {}
        for submit in self.submitted:
            reference, total, number = submit.part
            if total == 1:
                whole.append((submit.source, submit.destination, submit.text))
                continue
            key = (submit.source, submit.destination, reference, total)
            parts = sets.setdefault(key, {})
            parts[number] = submit.text
            if len(parts) == total:
                whole.append((submit.source, submit.destination, "".join(parts[n] for n in sorted(parts))))
                del sets[key]
        return whole

    def incomplete(self) -> int:
        """How many parts have come of messages that are not whole."""
        parts = [submit.part for submit in self.submitted if submit.part[1] > 1]
        totals: dict[tuple[int, int], int] = {}
        for reference, total, _ in parts:
            totals[reference, total] = totals.get((reference, total), 0) + 1
        return sum(count % total for (_, total), count in totals.items())

    def inject(self, source: str, destination: str, text: str) -> None:
        """A person writes to one of our numbers."""
        link = next(link for link in self.links if link.is_bound)
        link.deliver(source, destination, 0, text.encode("utf-16-be"), data_coding=8)

    def next_id(self) -> str:
        return str(500_000 + next(self._ids))


class _Link(asyncio.Protocol):
    def __init__(self, smsc: Smsc) -> None:
        self.smsc = smsc
        self.kept = b""
        self.system_id = ""
        self.is_bound = False
        self.sequence = 0
        self.second = 0
        self.in_second = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self.smsc.links.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.smsc.links.remove(self)

    def data_received(self, data: bytes) -> None:
        stream = self.kept + data
        at, out = 0, []
        while len(stream) - at >= 16:
            length, command, status, sequence = struct.unpack_from(">4L", stream, at)
            if len(stream) - at < length:
                break
            answer = self.take(command, status, sequence, stream[at + 16 : at + length])
            if answer is not None and not self.smsc.is_mute:
                out.append(answer)
            at += length
        self.kept = stream[at:]
        if out:
            self.transport.write(b"".join(out))

    def take(self, command: int, status: int, sequence: int, body: bytes) -> bytes | None:
        smsc = self.smsc
        if command == 0x04:
            return self.submit(sequence, body)
        if command in (0x01, 0x02, 0x09):
            system_id, password = body.split(b"\0", 2)[:2]
            wanted = smsc.passwords.get(system_id.decode())
            if wanted is None or wanted != password.decode():
                return _pdu(command | 0x80000000, 0x0E if wanted is not None else 0x0F, sequence)
            self.system_id, self.is_bound = system_id.decode(), True
            smsc.binds += 1
            return _pdu(command | 0x80000000, 0, sequence, b"SIMULATOR\0\x02\x10\x00\x01\x34")
        if command == 0x15:
            smsc.enquiries += 1
            return _pdu(0x80000015, 0, sequence)
        if command == 0x06:
            asyncio.get_running_loop().call_soon(self.transport.close)
            return _pdu(0x80000006, 0, sequence)
        if command == 0x80000005:
            smsc.deliver_answers.append(status)
            return None
        return None if command & 0x80000000 else _pdu(0x80000000, 0x03, sequence)

    def submit(self, sequence: int, body: bytes) -> bytes | None:
        smsc = self.smsc
        if not self.is_bound:
            return _pdu(0x80000004, 0x04, sequence)
        if smsc.throttle_next > 0 or self.is_over_rate():
            smsc.throttle_next -= smsc.throttle_next > 0
            return _pdu(0x80000004, 0x58, sequence)
        submit = _read_submit(self.system_id, body)
        ending = submit.destination[-4:]
        if ending in FAULTS:
            return _pdu(0x80000004, FAULTS[ending], sequence)
        submit.message_id = smsc.next_id()
        smsc.taken += 1
        if smsc.keeps:
            smsc.submitted.append(submit)
        if ending == SILENT:
            return None
        if submit.registered & 3 and smsc.receipt_after_s is not None:
            asyncio.get_running_loop().call_later(smsc.receipt_after_s, self.receipt, submit)
        return _pdu(0x80000004, 0, sequence, submit.message_id.encode() + b"\0")

    def is_over_rate(self) -> bool:
        if not self.smsc.max_per_s:
            return False
        second = int(asyncio.get_running_loop().time())
        if second != self.second:
            self.second, self.in_second = second, 0
        self.in_second += 1
        return self.in_second > self.smsc.max_per_s

    def receipt(self, submit: Submit) -> None:
        state = "UNDELIV" if submit.destination.endswith(UNDELIVERABLE) else "DELIVRD"
        now = datetime.now(UTC).strftime("%y%m%d%H%M")
        text = (
            f"id:{submit.message_id} sub:001 dlvrd:{int(state == 'DELIVRD'):03} submit date:{now} done date:{now} "
            f"stat:{state} err:000 text:{submit.text[:20] if submit.data_coding == 0 else ''}"
        )
        links = [link for link in self.smsc.links if link.is_bound]
        if links:
            links[0].deliver(submit.destination, submit.source, 4, text.encode("latin-1", "replace"))

    def deliver(self, source: str, destination: str, esm_class: int, octets: bytes, data_coding: int = 0) -> None:
        self.sequence += 1
        body = b"\0\x01\x01" + source.encode() + b"\0\x05\0" + destination.encode("latin-1") + b"\0"
        body += bytes((esm_class, 0, 0)) + b"\0\0" + bytes((0, 0, data_coding, 0, len(octets))) + octets
        self.transport.write(_pdu(0x05, 0, self.sequence, body))


def _pdu(command: int, status: int, sequence: int, body: bytes = b"") -> bytes:
    return struct.pack(">4L", len(body) + 16, command, status, sequence) + body


def _read_submit(system_id: str, body: bytes) -> Submit:
    service, rest = body.split(b"\0", 1)
    source, rest = rest[2:].split(b"\0", 1)
    destination, rest = rest[2:].split(b"\0", 1)
    esm_class = rest[0]
    _, rest = rest[3:].split(b"\0", 1)
    _, rest = rest.split(b"\0", 1)
    registered, _, data_coding, _, length = rest[:5]
    octets, rest = rest[5 : 5 + length], rest[5 + length :]
    tlvs: dict[int, bytes] = {}
    while rest:
        tag, size = struct.unpack(">2H", rest[:4])
        tlvs[tag], rest = rest[4 : 4 + size], rest[4 + size :]
    return Submit(
        system_id,
        source.decode("latin-1"),
        destination.decode("latin-1"),
        esm_class,
        registered,
        data_coding,
        tlvs.pop(0x0424, octets),
        tlvs,
        service_type=service.decode("latin-1"),
    )


PASSWORD_VARIABLE = "IZINKAPI_SIMULATED_SMSC_PASSWORD"


async def serve(smsc: Smsc, ready: Callable[[int], None], host: str = "127.0.0.1") -> None:
    """Run until cancelled."""
    await smsc.start(host)
    ready(smsc.port)
    try:
        await asyncio.Event().wait()
    finally:
        await smsc.stop()


def main() -> None:
    """``python -m loadtest.providers.smsc``: an SMSC on loopback until interrupted."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=2776)
    parser.add_argument("--system-id", default="gate", help=f"who may bind, with the password in ${PASSWORD_VARIABLE}")
    parser.add_argument("--max-per-second", type=int, default=0)
    parser.add_argument("--forgetful", action="store_true", help="count messages and keep none")
    options = parser.parse_args()
    passwords = {options.system_id: os.environ.get(PASSWORD_VARIABLE, "secret")}
    smsc = Smsc(port=options.port, passwords=passwords, max_per_s=options.max_per_second, keeps=not options.forgetful)
    try:
        asyncio.run(serve(smsc, lambda port: print(f"SMSC on {options.host}:{port}", flush=True), options.host))
    except KeyboardInterrupt:
        print(f"{smsc.taken} messages taken")


if __name__ == "__main__":
    main()

"""An SMPP client that says exactly what a test wants said; its own reading and writing of PDUs."""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

OK = 0
SUBMIT, SUBMIT_ANSWER = 0x04, 0x80000004
DELIVER = 0x05


class Pdu(NamedTuple):
    command: int
    status: int
    sequence: int
    body: bytes

    @property
    def message_id(self) -> str:
        return self.body.split(b"\0")[0].decode()


class Delivery(NamedTuple):
    """A deliver_sm, read."""

    source: str
    destination: str
    esm_class: int
    data_coding: int
    octets: bytes
    tlvs: dict[int, bytes]

    @property
    def fields(self) -> dict[str, str]:
        """The fields of a receipt's text."""
        words = self.octets.decode("latin-1").replace("submit date", "submit").replace("done date", "done")
        return dict(word.split(":", 1) for word in words.split(" ") if ":" in word)


def pdu(command: int, sequence: int, body: bytes = b"", status: int = 0) -> bytes:
    return struct.pack(">4L", 16 + len(body), command, status, sequence) + body


def bind_body(system_id: str = "shop", password: str = "secret", system_type: str = "") -> bytes:
    return b"\0".join(word.encode() for word in (system_id, password, system_type)) + b"\0\x34\0\0\0"


def submit_body(
    destination: str = "905321234567",
    octets: bytes = b"Hello",
    *,
    source: str = "SHOP",
    esm_class: int = 0,
    registered: int = 0,
    data_coding: int = 0,
    service: str = "",
    ton: int = 1,
    schedule: str = "",
    protocol: int = 0,
    tlvs: Sequence[tuple[int, bytes]] = (),
) -> bytes:
    body = service.encode() + b"\0\x05\0" + source.encode("latin-1") + b"\0"
    body += bytes((ton, 1)) + destination.encode("latin-1") + b"\0" + bytes((esm_class, protocol, 0))
    body += schedule.encode() + b"\0\0" + bytes((registered, 0, data_coding, 0, len(octets))) + octets
    return body + b"".join(struct.pack(">2H", tag, len(value)) + value for tag, value in tlvs)


def multi_body(destinations: Sequence[str], octets: bytes = b"Hello", *, registered: int = 0) -> bytes:
    body = b"\0\x05\0SHOP\0" + bytes((len(destinations),))
    body += b"".join(b"\x01\x01\x01" + number.encode() + b"\0" for number in destinations)
    return body + bytes((0, 0, 0)) + b"\0\0" + bytes((registered, 0, 0, 0, len(octets))) + octets


def read_multi_answer(body: bytes) -> tuple[str, dict[str, int]]:
    """The message id, and the statuses of those who were not taken."""
    message_id, rest = body.split(b"\0", 1)
    count, rest = rest[0], rest[1:]
    failed = {}
    for _ in range(count):
        number, rest = rest[2:].split(b"\0", 1)
        failed[number.decode()] = int.from_bytes(rest[:4], "big")
        rest = rest[4:]
    assert rest == b""
    return message_id.decode(), failed


def parts_of(octets: bytes, size: int, reference: int = 7) -> list[bytes]:
    """``octets`` in parts with a user data header each."""
    cuts = [octets[at : at + size] for at in range(0, len(octets), size)]
    return [bytes((5, 0, 3, reference, len(cuts), number)) + cut for number, cut in enumerate(cuts, 1)]


def read_delivery(body: bytes) -> Delivery:
    _, rest = body.split(b"\0", 1)
    source, rest = rest[2:].split(b"\0", 1)
    destination, rest = rest[2:].split(b"\0", 1)
    esm_class = rest[0]
    _, _, rest = rest[3:].split(b"\0", 2)
    data_coding, length = rest[2], rest[4]
    octets, rest = rest[5 : 5 + length], rest[5 + length :]
    tlvs = {}
    while rest:
        tag, size = struct.unpack(">2H", rest[:4])
        tlvs[tag], rest = rest[4 : 4 + size], rest[4 + size :]
    return Delivery(source.decode(), destination.decode("latin-1"), esm_class, data_coding, octets, tlvs)


class Esme:
    """One connection. ``deliveries`` are answered with ``delivery_status`` while something is being read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.sequences = itertools.count(1)
        self.deliveries: list[Delivery] = []
        self.delivery_status = OK

    @classmethod
    async def open(cls, port: int, **options: Any) -> Esme:
        return cls(*await asyncio.open_connection("127.0.0.1", port, **options))

    @classmethod
    async def bound(cls, port: int, *, command: int = 0x09, **options: Any) -> Esme:
        esme = await cls.open(port, **options)
        answer = await esme.ask(command, bind_body())
        assert answer.status == OK
        return esme

    def send(self, command: int, body: bytes = b"", status: int = 0, sequence: int | None = None) -> int:
        number = next(self.sequences) if sequence is None else sequence
        self.writer.write(pdu(command, number, body, status))
        return number

    async def read(self) -> Pdu | None:
        """The next PDU, or None where the connection is closed."""
        try:
            async with asyncio.timeout(10):
                length, command, status, sequence = struct.unpack(">4L", await self.reader.readexactly(16))
                body = await self.reader.readexactly(length - 16)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return Pdu(command, status, sequence, body)

    async def hear(self) -> Pdu:
        """The next PDU that is not a delivery."""
        while True:
            said = await self.read()
            assert said is not None, "hung up on"
            if said.command != DELIVER:
                return said
            self.deliveries.append(read_delivery(said.body))
            self.send(0x80000005, b"\0" if not self.delivery_status else b"", self.delivery_status, said.sequence)

    async def ask(self, command: int, body: bytes = b"") -> Pdu:
        """Say it and hear the answer to it."""
        number = self.send(command, body)
        while True:
            said = await self.hear()
            if said.sequence == number and said.command & 0x80000000:
                return said

    async def submit(self, *words: Any, **more: Any) -> Pdu:
        return await self.ask(SUBMIT, submit_body(*words, **more))

    async def wait_for_deliveries(self, count: int) -> list[Delivery]:
        async with asyncio.timeout(10):
            while len(self.deliveries) < count:
                # Something to hear: deliveries are read on the way to its answer.
                await self.ask(0x15)
                await asyncio.sleep(0.01)
        return self.deliveries

    def close(self) -> None:
        self.writer.close()

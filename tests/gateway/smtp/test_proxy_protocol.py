"""PROXY headers: believed from balancers only, demanded from them, read to the last byte and no further."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp import replies
from gateway.smtp.proxy_protocol import ProxiedPeer, ProxyHeaderError, ProxyHeaderReader
from gateway.smtp.session import SessionEvent
from gateway.smtp.settings import TlsMode
from tests.support.certificates import client_context

BALANCERS = (ipaddress.ip_network("127.0.0.0/30"),)
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command: int, family: int, rest: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(rest)) + rest


OVER_IPV4 = bytes([192, 0, 2, 7, 192, 0, 2, 1]) + struct.pack(">HH", 40000, 25)
OVER_IPV6 = ipaddress.IPv6Address("2001:db8::7").packed * 2 + struct.pack(">HH", 40000, 25)

GOOD = {
    b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 25\r\n": "192.0.2.7",
    b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 25\r\n": "2001:db8::7",
    b"PROXY UNKNOWN\r\n": None,
    b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n": None,
    v2(0x21, 0x11, OVER_IPV4): "192.0.2.7",
    v2(0x21, 0x11, OVER_IPV4 + b"\x04\0\x02ab"): "192.0.2.7",
    v2(0x21, 0x21, OVER_IPV6): "2001:db8::7",
    v2(0x21, 0x31, b"/" * 216): None,
    v2(0x21, 0x00, b""): None,
    v2(0x20, 0x11, OVER_IPV4): None,
}
BAD = [
    b"EHLO client.example\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 40000\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 25 x\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 040000 25\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 65536 25\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 -1 25\r\n",
    b"PROXY TCP4 192.0.2.256 192.0.2.1 40000 25\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 40000 25\r\n",
    b"PROXY TCP6 192.0.2.7 192.0.2.1 40000 25\r\n",
    b"PROXY TCP6 fe80::1%eth0 fe80::2 40000 25\r\n",
    b"PROXY UDP4 192.0.2.7 192.0.2.1 40000 25\r\n",
    b"PROXY TCP4  192.0.2.7 192.0.2.1 40000 25\r\n",
    b"proxy TCP4 192.0.2.7 192.0.2.1 40000 25\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 25" + b" " * 80 + b"\r\n",
    b"PROXY TCP4 192.0.2.\xff 192.0.2.1 40000 25\r\n",
    b"PROXY \r\nEHLO x.example\r\n" + b"x" * 100,
    SIGNATURE + b"\x11\x11\0\x0c" + OVER_IPV4,
    v2(0x22, 0x11, OVER_IPV4),
    v2(0x21, 0x12, OVER_IPV4),
    v2(0x21, 0x11, OVER_IPV4[:-1]),
    v2(0x21, 0x21, OVER_IPV4),
    SIGNATURE + b"\x21\x11\xff\xff" + b"x" * 100,
    SIGNATURE[:-1] + b"X\x21\x11\0\x0c" + OVER_IPV4,
]


def read(sent: bytes, step: int = 10**9) -> tuple[ProxiedPeer | None, int]:
    """The peer and how many bytes were taken, never more than wanted at once."""
    reader = ProxyHeaderReader()
    at = 0
    while at < len(sent):
        size = min(reader.wanted_bytes, step)
        assert size > 0
        peer = reader.read(sent[at : at + size])
        at += size
        if peer is not None:
            return peer, at
    return None, at


@pytest.mark.parametrize("step", [10**9, 1, 3])
@pytest.mark.parametrize("header", GOOD, ids=repr)
def test_a_header_is_read_to_its_last_byte_and_no_further(header: bytes, step: int) -> None:
    """What follows belongs to the session, or to TLS."""
    assert read(header + b"EHLO client.example\r\n" * 10, step) == (ProxiedPeer(GOOD[header]), len(header))


@pytest.mark.parametrize("sent", BAD, ids=repr)
def test_what_is_not_exactly_a_header_is_refused(sent: bytes) -> None:
    """No guess is made at who the client may be."""
    with pytest.raises(ProxyHeaderError):
        read(sent)


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=60).map(lambda rest: SIGNATURE + rest)))
def test_any_bytes_are_either_a_header_or_refused(sent: bytes) -> None:
    """Nothing else can happen, and no address comes out that was not one."""
    try:
        peer, taken = read(sent)
    except ProxyHeaderError:
        return
    assert taken <= max(len(sent), 15) or peer is None
    if peer is not None and peer.address is not None:
        ipaddress.ip_address(peer.address)


@pytest.mark.parametrize("header", GOOD, ids=repr)
async def test_a_balancer_says_who_the_client_is(serve: Any, connect: Any, header: bytes) -> None:
    """The client is then known, or not, by the address in the header."""
    gate = await serve(proxy_networks=BALANCERS)
    wire = await connect(gate.port, proxy_header=header)
    assert (await wire.hear()).startswith(b"220 ")
    await wire.ask(b"HELO c.example\r\n")
    is_own = GOOD[header] is None
    assert await wire.ask(b"MAIL FROM:<a@shop.example>\r\n") == (
        replies.MAIL_TAKEN if is_own else replies.UNKNOWN_CLIENT
    )


@pytest.mark.parametrize("sent", BAD, ids=repr)
async def test_a_balancer_that_sends_no_header_is_cut_off(serve: Any, connect: Any, sent: bytes) -> None:
    """Without a word, and without a session."""
    gate = await serve(proxy_networks=BALANCERS)
    wire = await connect(gate.port, proxy_header=sent)
    with contextlib.suppress(ConnectionResetError):
        assert await wire.hear_all() == b""
    await gate.until(lambda: gate.events[SessionEvent.PROXY_HEADER_REFUSED] == 1)
    assert gate.events[SessionEvent.CONNECTION_OPENED] == 0


async def test_nobody_else_is_believed(serve: Any, connect: Any) -> None:
    """A header from a host that is no balancer is a command that does not exist."""
    gate = await serve(proxy_networks=BALANCERS)
    wire = await connect(gate.port, local_addr=("127.0.0.9", 0))
    assert (await wire.hear()).startswith(b"220 ")
    assert await wire.ask(b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 25\r\n") == replies.UNKNOWN_COMMAND


async def test_a_listener_without_balancers_believes_nobody(serve: Any, connect: Any) -> None:
    """The default."""
    gate = await serve()
    wire = await connect(gate.port, proxy_header=b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 25\r\n")
    await wire.hear()
    assert await wire.hear() == replies.UNKNOWN_COMMAND


async def test_a_balancer_that_says_nothing_does_not_wait_for_ever(serve: Any, connect: Any) -> None:
    """The header has a time limit."""
    gate = await serve(proxy_networks=BALANCERS, handshake_timeout_s=0.05)
    wire = await connect(gate.port, proxy_header=b"PROXY TCP4")
    with contextlib.suppress(ConnectionResetError):
        assert await wire.hear_all() == b""
    assert gate.events[SessionEvent.PROXY_HEADER_REFUSED] == 1


@pytest.mark.parametrize("header", [next(iter(GOOD)), v2(0x21, 0x11, OVER_IPV4)], ids=["v1", "v2"])
async def test_implicit_tls_begins_right_behind_the_header(serve: Any, tmp_path: Path, header: bytes) -> None:
    """Header and handshake may come in one packet."""
    gate = await serve(proxy_networks=BALANCERS, tls=TlsMode.IMPLICIT)
    context = client_context(tmp_path)

    def run() -> bytes:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", gate.port)) as wire:
            first = header
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    wire.sendall(first + outgoing.read())
                    first = b""
                    incoming.write(wire.recv(65536))
            tls.write(b"HELO c.example\r\nMAIL FROM:<a@shop.example>\r\nQUIT\r\n")
            wire.sendall(outgoing.read())
            heard = b""
            while not heard.endswith(replies.FAREWELL):
                try:
                    heard += tls.read(65536)
                except ssl.SSLWantReadError:
                    incoming.write(wire.recv(65536))
            return heard

    assert replies.UNKNOWN_CLIENT in await asyncio.to_thread(run)

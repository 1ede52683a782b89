"""The two ends of a link joined without a network: whatever is cut where, both say and hear the same."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from filters.smpp.bind import Bind
from filters.smpp.client_session import (
    Bound,
    ClientLimits,
    ClientSession,
    Delivered,
    EndReason,
    LinkEnded,
    SubmitAnswered,
)
from filters.smpp.fields import Address
from filters.smpp.frames import render_frame
from filters.smpp.message import ShortMessage, render_submit
from filters.smpp.server_session import (
    BindAsked,
    DeliverAnswered,
    Ended,
    LinkState,
    ServerLimits,
    ServerSession,
    Submitted,
)

SHOP, SOMEBODY = Address(5, 0, "SHOP"), Address(1, 1, "905321234567")


def cut(data: bytes, draw: st.DataObject) -> list[bytes]:
    pieces = []
    while data:
        size = draw.draw(st.integers(1, len(data)))
        pieces.append(data[:size])
        data = data[size:]
    return pieces


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 5), st.data())
def test_two_ends_agree_however_the_stream_is_cut(texts: list[bytes], window: int, draw: st.DataObject) -> None:
    """Bind, messages through a small window, deliveries back, unbind."""
    client = ClientSession(ClientLimits(window=window), Bind("shop", "secret"), 0.0)
    server = ServerSession(ServerLimits(window=3))
    waiting = list(texts)
    taken: list[bytes] = []
    answered: list[str] = []
    delivered: list[bytes] = []
    is_left = False
    for _ in range(400):
        for piece in cut(client.take_output(), draw) or [b""]:
            events = server.receive(piece)
            while events:
                for event in events:
                    if isinstance(event, BindAsked):
                        assert event.bind.system_id == "shop"
                        server.accept_bind()
                    elif isinstance(event, Submitted):
                        taken.append(event.message.payload)
                        server.answer_submit(event.sequence, 0, f"id-{len(taken)}")
                        if server.can_deliver:
                            server.deliver(event.message)
                    elif isinstance(event, Ended):
                        is_left = True
                    else:
                        assert isinstance(event, DeliverAnswered)
                        assert event.status == 0
                events = server.go_on()
        for piece in cut(server.take_output(), draw) or [b""]:
            for said in client.receive(piece, 0.0):
                if isinstance(said, SubmitAnswered):
                    assert said.status == 0
                    answered.append(said.message_id)
                elif isinstance(said, Delivered):
                    delivered.append(said.message.payload)
                    client.answer_delivery(said, 0)
                elif isinstance(said, Bound):
                    assert said.has_tlvs
        while waiting and client.room:
            client.submit(render_submit(ShortMessage(SHOP, SOMEBODY, waiting.pop(0))), 0.0)
        if client.is_bound and not waiting and not client.unanswered and len(delivered) == len(texts):
            client.leave()
        if is_left and client.is_ended:
            break
    assert taken == texts
    assert answered == [f"id-{number}" for number in range(1, len(texts) + 1)]
    assert delivered == texts
    assert (server.state, server.unanswered, server.undelivered) == (LinkState.CLOSED, 0, 0)


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 3), st.binary(max_size=30)), max_size=20),
    st.booleans(),
)
def test_any_sequence_of_pdus_is_answered_and_never_worse(pdus: list[tuple[int, int, bytes]], is_bound: bool) -> None:
    """Commands in any order and state, with any body: no exception, and nothing is submitted without a bind."""
    server = ServerSession(ServerLimits())
    if is_bound:
        server.state = LinkState.BOUND_TRX
    commands = [0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x09, 0x15, 0x21, 0x103, 0x80000000, 0x80000005]
    for number, (command, sequence, body) in enumerate(pdus):
        known = commands[command % len(commands)] if number % 3 else command
        for event in server.receive(render_frame(known, sequence, body)):
            if isinstance(event, BindAsked):
                server.refuse_bind(0x0E)
            assert is_bound or not isinstance(event, Submitted)


def test_the_server_reads_no_further_than_its_window() -> None:
    server = ServerSession(ServerLimits(window=2))
    server.state = LinkState.BOUND_TRX
    stream = b"".join(render_frame(0x04, n, render_submit(ShortMessage(SHOP, SOMEBODY, b"x"))) for n in range(1, 6))
    assert len(server.receive(stream)) == 2
    assert server.is_full
    server.answer_submit(2, 0, "b")
    assert len(server.go_on()) == 1
    server.answer_submit(1, 0, "a")
    server.answer_submit(3, 0, "c")
    assert len(server.go_on()) == 2


def test_the_client_asks_a_silent_smsc_and_gives_up_on_it() -> None:
    """Time is an argument: enquire_link after the silence, the end when that is not answered."""
    client = ClientSession(ClientLimits(quiet_s=30, answer_s=60, bind_s=15), Bind("shop", "secret"), 0.0)
    client.take_output()
    client.receive(render_frame(0x80000009, 1, b"SMSC\0"), 1.0)
    assert client.tick(30.0) == []
    assert client.take_output() == b""
    assert client.tick(31.5) == []
    assert client.take_output() == render_frame(0x15, 2)
    number = client.submit(render_submit(ShortMessage(SHOP, SOMEBODY, b"x")), 40.0)
    assert client.tick(91.0) == []
    (ended,) = client.tick(92.0)
    assert ended == LinkEnded(EndReason.SILENT, 0, (number,))


def test_a_bind_that_is_not_answered_ends() -> None:
    client = ClientSession(ClientLimits(bind_s=15), Bind("shop", "secret"), 0.0)
    assert client.tick(15.0) == []
    assert client.tick(15.1) == [LinkEnded(EndReason.BIND_TIMED_OUT, 0, ())]


def test_an_answer_that_comes_late_is_told_once() -> None:
    client = ClientSession(ClientLimits(answer_s=60, quiet_s=1000), Bind("shop", "secret"), 0.0)
    client.receive(render_frame(0x80000009, 1, b"SMSC\0"), 0.0)
    number = client.submit(render_submit(ShortMessage(SHOP, SOMEBODY, b"x")), 0.0)
    assert client.tick(60.0) == [SubmitAnswered(number, None, "")]
    assert client.receive(render_frame(0x80000004, number, b"1\0"), 61.0) == []

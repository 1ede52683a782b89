"""Sessions over real sockets: limits, faults, clients that leave, are slow or do not listen, drain."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
import structlog

from gateway.smtp import replies
from gateway.smtp.session import MAX_KEPT_BYTES, SessionEvent

HELLO = b"HELO c.example\r\n"
ENVELOPE = b"MAIL FROM:<a@shop.example>\r\nRCPT TO:<b@customer.example>\r\nDATA\r\n"
CONTENT = b"Subject: x\r\n\r\ntext\r\n.\r\n"
RELAYED = b"250 2.0.0 Relayed\r\n"


async def test_a_message_goes_through_in_one_write(serve: Any, connect: Any) -> None:
    """Everything pipelined, everything answered."""
    gate = await serve()
    wire = await connect(gate.port)
    wire.send(HELLO + ENVELOPE + CONTENT + b"QUIT\r\n")
    said = await wire.hear_all()
    assert said.endswith(RELAYED + replies.FAREWELL)
    assert [message.content for message in gate.handler.messages] == [CONTENT[:-3]]
    assert gate.listener.budget.used_bytes == 0


async def test_an_unknown_host_is_no_client(serve: Any, connect: Any) -> None:
    """No open relay."""
    gate = await serve(knows_network=False)
    wire = await connect(gate.port)
    wire.send(HELLO + ENVELOPE + b"QUIT\r\n")
    said = await wire.hear_all()
    assert replies.UNKNOWN_CLIENT in said
    assert gate.handler.messages == []


async def test_a_client_that_closes_its_half_still_gets_its_answer(serve: Any, connect: Any) -> None:
    """As a script piped into a socket does."""
    gate = await serve()
    gate.handler.is_holding = True
    wire = await connect(gate.port)
    wire.send(HELLO + ENVELOPE + CONTENT)
    wire.writer.write_eof()
    await gate.until(lambda: gate.handler.held)
    await asyncio.sleep(0.05)
    gate.handler.held.pop()()
    assert (await wire.hear_all()).endswith(RELAYED)


async def test_a_late_answer_to_a_client_that_left_goes_nowhere(serve: Any, connect: Any) -> None:
    """Its memory is charged until the handler lets go of the message, and nobody else hears the answer."""
    gate = await serve()
    gate.handler.is_holding = True
    leaving, staying = await connect(gate.port), await connect(gate.port)
    leaving.send(HELLO + ENVELOPE + CONTENT)
    await gate.until(lambda: gate.handler.held)
    leaving.vanish()
    await gate.until(lambda: gate.listener.session_count == 1)
    assert gate.events[SessionEvent.CLIENT_LOST] == 1
    assert gate.listener.budget.used_bytes == len(CONTENT)
    await staying.hear()
    assert await staying.ask(HELLO) == b"250 gate.example\r\n"
    answer = gate.handler.held.pop()
    answer()
    answer()
    assert gate.listener.budget.used_bytes == 0
    assert await staying.ask(b"NOOP\r\n") == replies.NOTHING_DONE


async def test_an_answer_given_twice_counts_once(serve: Any, connect: Any) -> None:
    """The second call neither answers the next message nor frees memory twice."""
    gate = await serve()
    gate.handler.is_holding = True
    wire = await connect(gate.port)
    await wire.hear()
    await wire.ask(HELLO)
    wire.send(ENVELOPE + CONTENT)
    await gate.until(lambda: gate.handler.held)
    first = gate.handler.held.pop()
    first()
    wire.send(ENVELOPE + CONTENT)
    await gate.until(lambda: gate.handler.held)
    first()
    await asyncio.sleep(0.02)
    assert gate.listener.budget.used_bytes == len(CONTENT)
    gate.handler.held.pop()()
    wire.send(b"QUIT\r\n")
    assert (await wire.hear_all()).count(RELAYED) == 2


@pytest.mark.parametrize(
    "envelope",
    [
        b"MAIL FROM:<crash@shop.example>\r\nRCPT TO:<b@customer.example>\r\nDATA\r\n" + CONTENT,
        b"MAIL FROM:<a@shop.example>\r\nRCPT TO:<fault@customer.example>\r\nRSET\r\n",
    ],
    ids=["handle", "check_recipient"],
)
async def test_a_fault_in_the_handler_is_temporary_and_keeps_its_text_to_itself(
    serve: Any, connect: Any, envelope: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """451, the session goes on, and the exception's text (an address) is in no reply and no log."""
    gate = await serve()
    wire = await connect(gate.port)
    with caplog.at_level(logging.DEBUG), structlog.testing.capture_logs() as logs:
        wire.send(HELLO + envelope + b"NOOP\r\nQUIT\r\n")
        said = await wire.hear_all()
    assert replies.FAULT in said
    assert said.endswith(replies.NOTHING_DONE + replies.FAREWELL)
    assert [entry["fault"] for entry in logs] == ["LookupError"]
    assert "customer.example" not in said.decode() + str(logs) + caplog.text
    assert gate.events[SessionEvent.FAULT] == 1
    assert gate.listener.budget.used_bytes == 0


async def test_a_fault_in_the_dialogue_ends_the_session_and_no_other(
    serve: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """421 4.3.0: the state of such a session cannot be trusted."""
    gate = await serve()
    wire, other = await connect(gate.port), await connect(gate.port)
    await wire.hear()
    await other.hear()

    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret@customer.example")

    with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setattr("gateway.smtp.dialogue.Dialogue._carry_out", fail)
        wire.send(b"NOOP\r\n")
        assert await wire.hear_all() == replies.FAULT_CLOSES
    assert "customer" not in str(logs)
    assert await other.ask(b"NOOP\r\n") == replies.NOTHING_DONE


async def test_little_is_read_ahead_while_an_answer_is_awaited(serve: Any, connect: Any) -> None:
    """Reading is paused, and everything is answered in order afterwards."""
    gate = await serve()
    gate.handler.is_holding = True
    wire = await connect(gate.port)
    wire.send(HELLO + ENVELOPE + CONTENT)
    await gate.until(lambda: gate.handler.held)
    wire.send(b"NOOP\r\n" * 200_000)
    await asyncio.sleep(0.2)
    assert MAX_KEPT_BYTES < gate.listener.budget.used_bytes < MAX_KEPT_BYTES + 600_000
    gate.handler.held.pop()()
    wire.send(b"QUIT\r\n")
    said = await wire.hear_all()
    assert said.count(replies.NOTHING_DONE) == 200_000
    assert gate.listener.budget.used_bytes == 0


async def test_a_client_that_does_not_read_its_replies_is_not_read_from_and_in_the_end_dropped(
    serve: Any, connect: Any
) -> None:
    """Replies do not pile up without bound."""
    gate = await serve()
    wire = await connect(gate.port, limit=1024)
    session = None

    def is_blocked() -> bool:
        nonlocal session
        session = next(iter(gate.listener._sessions), None)
        return session is not None and session._is_write_blocked

    # HELP has a reply longer than the command.
    for _ in range(400):
        wire.send(b"HELP\r\n" * 2000)
        await asyncio.sleep(0)
        if is_blocked():
            break
    await gate.until(is_blocked)
    gate.sweep(400.0)
    await gate.until(lambda: gate.listener.session_count == 0)
    assert gate.events[SessionEvent.TIMED_OUT] == 1


@pytest.mark.parametrize(
    ("sent", "seconds", "farewell"),
    [
        (HELLO, 301, replies.IDLE_TOO_LONG),
        (HELLO + ENVELOPE + b"Subject: x\r\n", 181, replies.TOO_SLOW),
        (HELLO + ENVELOPE + CONTENT, 601, replies.ANSWER_OVERDUE),
    ],
    ids=["idle", "slow", "unanswered"],
)
async def test_what_takes_too_long_ends(serve: Any, connect: Any, sent: bytes, seconds: float, farewell: bytes) -> None:
    """Idle sessions, slow content and handlers that never answer: 421, and no sooner."""
    gate = await serve()
    gate.handler.is_holding = True
    wire = await connect(gate.port)
    wire.send(sent)
    await gate.until(lambda: bool(gate.listener.session_count))
    await asyncio.sleep(0.1)
    gate.sweep(seconds - 2)
    assert gate.events[SessionEvent.TIMED_OUT] == 0
    gate.sweep(seconds)
    assert (await wire.hear_all()).endswith(farewell)
    assert gate.events[SessionEvent.TIMED_OUT] == 1
    for answer in gate.handler.held:
        answer()
    assert gate.listener.budget.used_bytes == 0


async def test_a_dribble_of_single_bytes_is_no_sign_of_life(serve: Any, connect: Any) -> None:
    """Only complete commands are: slowloris gains nothing."""
    gate = await serve()
    wire = await connect(gate.port)
    await wire.hear()
    session = next(iter(gate.listener._sessions))
    now = gate.listener.now()
    session.sweep(now)
    for number in range(1, 4):
        wire.send(b"x")
        await asyncio.sleep(0.02)
        session.sweep(now + number * 90)
    session.sweep(now + 301)
    assert await wire.hear_all() == replies.IDLE_TOO_LONG


async def test_a_busy_session_lives_until_its_maximum_and_ends_between_messages(serve: Any, connect: Any) -> None:
    """Within a message it is left alone."""
    gate = await serve(max_session_s=1000)
    wire = await connect(gate.port)
    await wire.hear()
    await wire.ask(HELLO)
    session = next(iter(gate.listener._sessions))
    now = gate.listener.now()
    await wire.ask(b"MAIL FROM:<a@shop.example>\r\n")
    session.sweep(now + 1001)
    assert gate.events[SessionEvent.TIMED_OUT] == 0
    await wire.ask(b"RSET\r\n")
    session.sweep(now + 1002)
    assert await wire.hear_all() == replies.SESSION_TOO_LONG


async def test_connections_are_limited_for_each_peer_and_in_all(serve: Any, connect: Any) -> None:
    """421 to the one too many; a place that is left is free again."""
    gate = await serve(max_connections=3, max_connections_per_peer=2)
    first, second = await connect(gate.port), await connect(gate.port)
    assert (await first.hear()).startswith(b"220")
    assert (await second.hear()).startswith(b"220")
    third = await connect(gate.port)
    assert await third.hear_all() == replies.TOO_MANY_FROM_PEER
    # loopback has more than one address
    others = [await connect(gate.port, local_addr=("127.0.0.9", 0)) for _ in range(2)]
    assert (await others[0].hear()).startswith(b"220")
    assert await others[1].hear_all() == replies.TOO_MANY_CONNECTIONS
    assert gate.events[SessionEvent.CONNECTION_REFUSED] == 2
    first.send(b"QUIT\r\n")
    await first.hear_all()
    await gate.until(lambda: gate.listener.session_count == 2)
    again = await connect(gate.port)
    assert (await again.hear()).startswith(b"220")


async def test_drain_says_goodbye_to_the_idle_and_lets_the_busy_finish(serve: Any, connect: Any) -> None:
    """421 4.3.2 to those that say nothing, 221 to QUIT; new connections are not taken."""
    gate = await serve()
    gate.handler.is_holding = True
    idle, busy, leaving = [await connect(gate.port) for _ in range(3)]
    await idle.hear()
    busy.send(HELLO + ENVELOPE + CONTENT)
    leaving.send(HELLO + ENVELOPE + CONTENT)
    await gate.until(lambda: len(gate.handler.held) == 2)
    draining = asyncio.create_task(gate.listener.drain(5))
    assert await idle.hear_all() == replies.SHUTTING_DOWN
    await idle.close()
    with pytest.raises(OSError):
        await connect(gate.port)
    assert not draining.done()
    for answer in gate.handler.held:
        answer()
    leaving.send(b"QUIT\r\n")
    assert (await leaving.hear_all()).endswith(RELAYED + replies.FAREWELL)
    assert (await busy.hear_all()).endswith(RELAYED + replies.SHUTTING_DOWN)
    await leaving.close()
    await busy.close()
    await draining
    assert gate.listener.session_count == 0


async def test_drain_does_not_wait_for_ever(serve: Any, connect: Any) -> None:
    """After the time given, what is unanswered is broken off, so the client keeps its message."""
    gate = await serve()
    gate.handler.is_holding = True
    wire = await connect(gate.port)
    wire.send(HELLO + ENVELOPE + CONTENT)
    await gate.until(lambda: gate.handler.held)
    await gate.listener.drain(0.05)
    said = await wire.hear_all()
    assert said.endswith(replies.SHUTTING_DOWN)
    assert RELAYED not in said
    gate.handler.held.pop()()
    assert gate.listener.budget.used_bytes == 0


async def test_one_budget_holds_for_all_sessions(serve: Any, connect: Any) -> None:
    """While one message fills it, another is put off; when it is answered, there is room again."""
    gate = await serve(budget=5000)
    gate.handler.is_holding = True
    big, small = await connect(gate.port), await connect(gate.port)
    big.send(HELLO + ENVELOPE + b"x" * 4000 + b"\r\n.\r\n")
    await gate.until(lambda: gate.handler.held)
    await small.hear()
    await small.ask(HELLO)
    small.send(ENVELOPE)
    for _ in range(3):
        await small.hear()
    assert await small.ask(b"x" * 2000 + b"\r\n.\r\n") == replies.NO_MEMORY
    gate.handler.held.pop()()
    gate.handler.is_holding = False
    small.send(ENVELOPE)
    for _ in range(3):
        await small.hear()
    assert await small.ask(b"x" * 2000 + b"\r\n.\r\n") == RELAYED


async def test_a_reply_before_closing_reaches_a_client_that_is_still_sending(serve: Any, connect: Any) -> None:
    """No reset destroys the 521 on its way."""
    gate = await serve()
    wire = await connect(gate.port)
    wire.send(b"NOOP\n" + b"x" * 2_000_000)
    assert (await wire.hear_all()).endswith(replies.BARE_NEWLINE_IN_COMMAND)


async def test_a_session_that_lingers_is_dropped_after_a_moment(serve: Any, connect: Any) -> None:
    """A client that never closes does not keep its place."""
    gate = await serve()
    wire = await connect(gate.port)
    wire.send(b"NOOP\n")
    await wire.hear_all()
    assert gate.listener.session_count == 1
    gate.sweep(3)
    await gate.until(lambda: gate.listener.session_count == 0)


async def test_session_ids_differ_and_name_no_peer(serve: Any, connect: Any) -> None:
    """They may stand in logs and trace headers."""
    gate = await serve()
    for _ in range(2):
        wire = await connect(gate.port)
        wire.send(HELLO + ENVELOPE + CONTENT + b"QUIT\r\n")
        await wire.hear_all()
    first, second = (envelope.session_id for envelope in gate.handler.envelopes)
    assert first != second
    assert "127" not in first.replace(gate.listener._session_prefix, "")


async def test_a_login_that_cannot_be_checked_is_put_off_each_time(serve: Any, connect: Any) -> None:
    """454 without a text of ours, and the next try is not left hanging on the first."""
    gate = await serve(knows_network=False, has_logins=True, allows_clear_login=True)
    gate.listener.clients.close()
    wire = await connect(gate.port)
    await wire.hear()
    await wire.ask(HELLO)
    for _ in range(2):
        assert await wire.ask(b"AUTH PLAIN AHNob3AAc2VjcmV0\r\n") == replies.LOGIN_PUT_OFF


async def test_a_thousand_messages_on_one_connection_leave_nothing_behind(serve: Any, connect: Any) -> None:
    """Neither memory charged nor state of one message in the next."""
    gate = await serve()
    wire = await connect(gate.port)
    messages = [
        b"MAIL FROM:<a%d@shop.example>\r\nRCPT TO:<b%d@customer.example>\r\nDATA\r\nmessage %d\r\n.\r\n"
        % (number, number, number)
        for number in range(1000)
    ]
    wire.send(HELLO + b"".join(messages) + b"QUIT\r\n")
    said = await wire.hear_all()
    assert said.count(RELAYED) == 1000
    assert [(message.sender, message.recipients, message.content) for message in gate.handler.messages] == [
        (b"a%d@shop.example" % number, ((b"b%d@customer.example" % number, b""),), b"message %d\r\n" % number)
        for number in range(1000)
    ]
    assert gate.listener.budget.used_bytes == 0

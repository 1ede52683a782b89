"""What must hold of the dialogue whatever is sent."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from filters.envelope import Answer
from filters.reply import Reply
from gateway.smtp import replies
from gateway.smtp.dialogue import MAX_LINE_BYTES, Dialogue, State
from gateway.smtp.effects import CheckLogin, CheckRecipient, Close, Effect, HandleMessage, StartTls
from gateway.smtp.memory_budget import MemoryBudget
from gateway.smtp.settings import ListenerSettings, TlsMode
from tests.support.mail_world import SHOP, make_dialogue

OK = Reply(250, "0.0", "Relayed")

# Pieces of conversations, right and wrong, for drawing hostile ones.
PIECES = [
    b"EHLO c.example\r\n",
    b"HELO x\r\n",
    b"LHLO x\r\n",
    b"MAIL FROM:<a@shop.example>\r\n",
    b"MAIL FROM:<> SIZE=10 PRDR\r\n",
    b"RCPT TO:<b@customer.example>\r\n",
    b"RCPT TO:<c@customer.example> NOTIFY=NEVER\r\n",
    b"DATA\r\n",
    b"Subject: x\r\n\r\ntext\r\n.\r\n",
    b".\r\n",
    b"\r\n.\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"AUTH PLAIN AHNob3AAc2VjcmV0\r\n",
    b"AUTH LOGIN\r\n",
    b"c2hvcA==\r\n",
    b"*\r\n",
    b"STARTTLS\r\n",
    b"QUIT\r\n",
    b"BDAT 5\r\n",
    b"x" * 2100,
    b"AUTH PLAIN " + b"A" * 3000 + b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b" ",
    b"MAIL",
    b"\xff\xfe",
    b"\r\n",
]


def _conversations(pieces: list[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(st.one_of(st.sampled_from(pieces), st.binary(max_size=8)), max_size=25).map(b"".join)


HOSTILE = _conversations(PIECES)
# A handshake is a cut of its own: what comes with the command in one piece is thrown away. Drawn without it, rather
# than sorted out afterwards: too many sorted out fail the test.
IN_CLEAR = _conversations([piece for piece in PIECES if b"STARTTLS" not in piece])


class Run:
    """A dialogue driven to its end with every effect granted at once."""

    def __init__(self, **options: object) -> None:
        self.budget = MemoryBudget(1 << 20)
        listener = ListenerSettings(
            name="in",
            hostname="gate.example",
            allows_clear_login=True,
            tls=TlsMode.STARTTLS,
            max_message_bytes=5000,
            **options,
        )
        self.dialogue = make_dialogue(listener, has_logins=True, budget=self.budget)
        self.said = b""
        self.effects: list[tuple[object, ...]] = []

    def feed(self, data: bytes) -> None:
        self._carry_out(self.dialogue.receive(data))
        self.said += self.dialogue.take_replies()

    def _carry_out(self, effect: Effect | None) -> None:
        while effect is not None:
            match effect:
                case CheckRecipient(envelope, recipient):
                    assert envelope.client is SHOP
                    self.effects.append(("recipient", recipient))
                    effect = self.dialogue.recipient_checked(None)
                case HandleMessage(envelope, content, charge):
                    assert envelope.recipients, "content without a recipient was handed on"
                    assert content == b"" or content.endswith(b"\r\n")
                    assert b"\0" not in content
                    assert content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r")
                    assert len(content) <= 5000
                    self.effects.append(("message", tuple(envelope.recipients), content))
                    self.budget.release(charge)
                    effect = self.dialogue.message_answered(Answer(OK, (OK,) * len(envelope.recipients)))
                case CheckLogin():
                    self.effects.append(tuple(effect))
                    effect = self.dialogue.login_checked(SHOP)
                case StartTls():
                    self.effects.append(("tls",))
                    effect = self.dialogue.tls_started()
                case Close():
                    self.effects.append(("close", effect.is_farewell))
                    return


@settings(max_examples=300)
@given(HOSTILE, st.booleans())
def test_nothing_that_is_sent_crashes_it_or_gets_a_message_through_without_a_transaction(
    sent: bytes, is_lmtp: bool
) -> None:
    """Whatever comes: no exception, no handler call outside a transaction, no memory left charged."""
    run = Run(is_lmtp=is_lmtp)
    run.feed(sent)
    run.dialogue.abandon()
    assert run.budget.used_bytes == 0


@settings(max_examples=300)
@given(IN_CLEAR, st.data())
def test_the_outcome_does_not_depend_on_how_bytes_are_cut(sent: bytes, data: st.DataObject) -> None:
    """Same replies, same effects, same order."""
    whole, cut = Run(), Run()
    whole.feed(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=12)))
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        cut.feed(sent[start:end])
    assert (cut.said, cut.effects) == (whole.said, whole.effects)


@given(IN_CLEAR)
def test_the_outcome_is_the_same_byte_by_byte(sent: bytes) -> None:
    """The finest cut there is."""
    whole, cut = Run(), Run()
    whole.feed(sent)
    for at in range(len(sent)):
        cut.feed(sent[at : at + 1])
    assert (cut.said, cut.effects) == (whole.said, whole.effects)


def test_what_is_sent_in_clear_after_starttls_is_thrown_away() -> None:
    """Commands injected before the handshake are not obeyed after it (RFC 3207, 6)."""
    run = Run()
    run.feed(b"EHLO c.example\r\nSTARTTLS\r\nRSET\r\nMAIL FROM:<a@shop.example>\r\n")
    assert run.said.endswith(replies.READY_FOR_TLS)
    assert run.dialogue.state is State.CONNECTED
    assert run.dialogue.envelope is None
    assert run.dialogue.is_tls
    run.feed(b"MAIL FROM:<a@shop.example>\r\n")
    assert run.said.endswith(replies.HELLO_FIRST)


def test_two_thousand_pipelined_commands_get_two_thousand_replies_in_one_piece() -> None:
    """Pipelining has no limit but the line's, and costs no more than a line's worth each."""
    run = Run()
    started = time.process_time()
    run.feed(b"EHLO c.example\r\n" + b"NOOP\r\nRSET\r\n" * 1000)
    assert run.said.count(replies.NOTHING_DONE) == 2000
    assert time.process_time() - started < 1


def test_a_thousand_pipelined_recipients_cost_linear_time() -> None:
    """The rest of the buffer is not copied at each of them."""
    run = Run()
    commands = b"".join(b"RCPT TO:<r%d@customer.example>\r\n" % number for number in range(1000))
    started = time.process_time()
    run.feed(b"EHLO c.example\r\nMAIL FROM:<a@shop.example>\r\n" + commands + b"DATA\r\nx\r\n.\r\n")
    assert time.process_time() - started < 1
    message = run.effects[-1]
    assert message[0] == "message"
    assert isinstance(message[1], tuple)
    assert len(message[1]) == 1000


def test_many_refused_messages_in_one_buffer_do_not_nest() -> None:
    """Each goes through the same loop, so their number has no bound but time."""
    run = Run()
    one = b"MAIL FROM:<a@shop.example>\r\nRCPT TO:<b@customer.example>\r\nDATA\r\n\n\r\n.\r\n"
    run.feed(b"EHLO c.example\r\n" + one * 3000)
    assert run.said.count(replies.BARE_NEWLINE_IN_CONTENT) == 3000


def test_a_line_of_exactly_the_limit_is_read_and_one_more_byte_is_too_long() -> None:
    """The limit is what the constant says."""
    run = Run()
    fitting = b"NOOP " + b"x" * (MAX_LINE_BYTES - 5)
    run.feed(fitting + b"\r\n")
    assert run.said == replies.NOTHING_DONE
    run.feed(fitting + b"x\r\nNOOP\r\n")
    assert run.said == replies.NOTHING_DONE + replies.LINE_TOO_LONG + replies.NOTHING_DONE


def test_a_login_line_may_be_longer_and_has_its_own_limit() -> None:
    """RFC 4954 asks for 12,288 octets."""
    run = Run()
    run.feed(b"EHLO c.example\r\nAUTH PLAIN " + b"A" * 12_000 + b"\r\n")
    assert run.said.endswith(replies.BAD_CREDENTIALS)
    run.feed(b"AUTH PLAIN\r\n" + b"A" * 12_289 + b"\r\nNOOP\r\n")
    assert run.said.endswith(replies.LOGIN_LINE_TOO_LONG + replies.NOTHING_DONE)


def test_an_endless_line_costs_no_memory() -> None:
    """What is too long is thrown away while it comes."""
    run = Run()
    for _ in range(1000):
        run.feed(b"x" * 1000)
    assert len(run.dialogue._input) <= MAX_LINE_BYTES + 2


def drive_to_content(dialogue: Dialogue) -> None:
    dialogue.receive(b"EHLO c.example\r\nMAIL FROM:<a@shop.example>\r\nRCPT TO:<b@customer.example>\r\n")
    dialogue.recipient_checked(None)
    dialogue.receive(b"DATA\r\n")
    dialogue.take_replies()


def test_a_served_session_begins_no_other_message_when_we_go_down() -> None:
    """421 4.3.2 to whatever it says next, so that the client connects elsewhere; nothing unasked."""
    dialogue = make_dialogue()
    drive_to_content(dialogue)
    dialogue.receive(b"x\r\n.\r\n")
    dialogue.message_answered(Answer(OK, (OK,)))
    dialogue.take_replies()
    dialogue.shut_down()
    assert dialogue.is_leaving
    assert dialogue.take_replies() == b""
    assert isinstance(dialogue.receive(b"MAIL FROM:<a@shop.example>\r\n"), Close)
    assert dialogue.take_replies() == replies.SHUTTING_DOWN


def test_a_session_just_opened_may_still_hand_over_its_message_when_we_go_down() -> None:
    """Its connection was taken a moment ago: a reload must not show to a client that connects for each message."""
    dialogue = make_dialogue()
    dialogue.shut_down()
    assert dialogue.is_leaving
    drive_to_content(dialogue)
    assert isinstance(dialogue.receive(b"x\r\n.\r\n"), HandleMessage)
    assert not dialogue.is_leaving
    assert dialogue.message_answered(Answer(OK, (OK,))) is None
    assert isinstance(dialogue.receive(b"NOOP\r\n"), Close)
    assert dialogue.take_replies() == OK.render() + replies.SHUTTING_DOWN


def test_a_farewell_is_answered_as_one_when_we_go_down() -> None:
    """221: a client that was just told of its message must not hear of trouble when it says QUIT."""
    dialogue = make_dialogue()
    drive_to_content(dialogue)
    dialogue.shut_down()
    dialogue.receive(b"x\r\n.\r\n")
    assert not dialogue.is_leaving
    assert dialogue.message_answered(Answer(OK, (OK,))) is None
    assert dialogue.is_leaving
    assert isinstance(dialogue.receive(b"quit\r\n"), Close)
    assert dialogue.take_replies() == OK.render() + replies.FAREWELL


def test_a_message_under_way_is_finished_when_we_go_down() -> None:
    """Its reply comes first; the next message is not begun."""
    dialogue = make_dialogue()
    drive_to_content(dialogue)
    dialogue.shut_down()
    effect = dialogue.receive(b"x\r\n.\r\nMAIL FROM:<a@shop.example>\r\n")
    assert isinstance(effect, HandleMessage)
    assert isinstance(dialogue.message_answered(Answer(OK, (OK,))), Close)
    assert dialogue.take_replies() == OK.render() + replies.SHUTTING_DOWN


def test_going_down_waits_for_a_transaction_that_has_begun() -> None:
    """Between MAIL and the dot the client is not hung up on, be it the first message or not."""
    dialogue = make_dialogue()
    drive_to_content(dialogue)
    dialogue.receive(b"x\r\n.\r\nMAIL FROM:<a@shop.example>\r\nRC")
    dialogue.message_answered(Answer(OK, (OK,)))
    dialogue.take_replies()
    dialogue.shut_down()
    dialogue.receive(b"PT TO:<b@customer.example>\r\n")
    assert dialogue.recipient_checked(None) is None
    assert not dialogue.is_leaving
    assert isinstance(dialogue.receive(b"RSET\r\nNOOP\r\n"), Close)
    assert dialogue.take_replies() == replies.RECIPIENT_TAKEN + replies.RESET + replies.SHUTTING_DOWN


def test_an_answer_with_too_few_replies_is_a_fault_of_ours() -> None:
    """No recipient is told of another's fate."""
    dialogue = make_dialogue(ListenerSettings(name="in", hostname="gate.example", is_lmtp=True))
    dialogue.receive(b"LHLO c.example\r\nMAIL FROM:<a@shop.example>\r\n")
    for number in range(2):
        dialogue.receive(b"RCPT TO:<b%d@customer.example>\r\n" % number)
        dialogue.recipient_checked(None)
    dialogue.receive(b"DATA\r\nx\r\n.\r\n")
    dialogue.take_replies()
    dialogue.message_answered(Answer(OK, (OK,)))
    assert dialogue.take_replies() == replies.FAULT * 2


def test_the_envelope_tells_what_the_trace_header_needs() -> None:
    """Peer, name given at EHLO with anything odd masked, TLS, listener, session."""
    dialogue = make_dialogue()
    dialogue.receive("EHLO ŞİRKET(x)\r\nMAIL FROM:<a@shop.example> BODY=8BITMIME\r\n".encode())
    envelope = dialogue.envelope
    assert envelope is not None
    assert (envelope.listener, envelope.session_id, envelope.peer, envelope.is_tls) == ("in", "s-1", "127.0.0.1", False)
    assert envelope.helo == "????RKET?x?"
    assert envelope.is_8bitmime


def test_input_kept_while_an_answer_is_awaited_is_charged() -> None:
    """One budget counts pipelined input too, and gets it back."""
    budget = MemoryBudget(1 << 20)
    dialogue = make_dialogue(budget=budget)
    dialogue.receive(b"EHLO c.example\r\nMAIL FROM:<a@shop.example>\r\nRCPT TO:<b@customer.example>\r\n")
    dialogue.receive(b"NOOP\r\n" * 100)
    assert dialogue.kept_bytes == 600
    assert budget.used_bytes == 600
    dialogue.recipient_checked(None)
    assert budget.used_bytes == 0
    assert dialogue.take_replies().endswith(replies.NOTHING_DONE * 100)

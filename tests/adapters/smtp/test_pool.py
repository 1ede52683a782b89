"""The upstream against a real server: what the client is told is what became of the message."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.smtp import SmtpUpstream, Timeouts, TransactionResult, UpstreamSettings
from filters.reply import Reply
from filters.vocabulary import Outcome
from loadtest.mail_sink import MailSink, ScheduledFault, SinkOptions

QUICK = Timeouts(waiting_s=5, connect_s=5, greeting_s=5, command_s=5, data_block_s=5, after_dot_s=5, quit_s=1)
IMPATIENT = Timeouts(
    waiting_s=0.3, connect_s=0.3, greeting_s=0.3, command_s=0.3, data_block_s=0.3, after_dot_s=0.3, quit_s=0.3
)


class Counts:
    """An observer that counts."""

    def __init__(self) -> None:
        self.replies: Counter[TransactionResult] = Counter()
        self.connections = 0
        self.connections_made = 0

    def on_reply(self, upstream: str, result: TransactionResult) -> None:
        self.replies[result] += 1

    def on_connection(self, upstream: str, change: int) -> None:
        self.connections += change
        self.connections_made += change > 0


@asynccontextmanager
async def upstream_to(*ports: int, observer: Counts | None = None, **options: Any) -> AsyncIterator[SmtpUpstream]:
    addresses = tuple(("127.0.0.1", port) for port in ports)
    options.setdefault("timeouts", QUICK)
    options.setdefault("backoff_s", (0.1, 0.2))
    upstream = SmtpUpstream(UpstreamSettings("relay", addresses, **options), observer)
    await upstream.start()
    try:
        yield upstream
    finally:
        await upstream.close(0)


def keeping(**options: Any) -> MailSink:
    return MailSink(SinkOptions(is_keeping=True, **options))


@pytest.fixture
def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def outcomes_of(result: Any) -> list[Outcome]:
    return [item.outcome for item in result]


async def fates(answers: list[Any]) -> set[Outcome]:
    """The outcomes that occur among the answers."""
    return {item.outcome for result in await asyncio.gather(*answers) for item in result}


def test_relayed_means_the_server_took_it(run: Any, make_mail: Any, relay: Any) -> None:
    """RELAYED carries the server's own words, and the server has the very bytes and envelope."""

    async def scenario() -> None:
        async with keeping() as sink, upstream_to(sink.port) as upstream:
            content = b".dot first\r\n..two\r\nlast line without end\r\n.\r\n.x"
            result = await relay(upstream, make_mail("a", "b", content=content))
            assert result == [(Outcome.RELAYED, Reply(250, "0.0", "taken as 1"))] * 2
            (taken,) = sink.taken
            assert taken.content == content + b"\r\n"
            assert taken.sender == b"haber@magaza.example"
            assert taken.recipients == (b"a@musteri.example", b"b@musteri.example")

    run(scenario())


@pytest.mark.parametrize("without", [frozenset[str](), frozenset({"PIPELINING"}), frozenset({"EHLO"})])
@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("tempfail-rcpt", Outcome.DEFERRED),
        ("permfail-rcpt", Outcome.REFUSED),
        ("tempfail-data", Outcome.DEFERRED),
        ("permfail-data", Outcome.REFUSED),
        ("close-at-rcpt", Outcome.DEFERRED),
        ("close-at-data", Outcome.DEFERRED),
        ("garbage-rcpt", Outcome.DEFERRED),
        ("421", Outcome.DEFERRED),
        ("421-data", Outcome.DEFERRED),
        ("close-after-dot", Outcome.UNKNOWN),
        ("close-before-reply", Outcome.UNKNOWN),
        ("garbage", Outcome.UNKNOWN),
        ("slow-50ms", Outcome.RELAYED),
        ("extra-reply", Outcome.RELAYED),
    ],
)
def test_each_fault_has_its_outcome(
    run: Any, make_mail: Any, relay: Any, without: frozenset[str], local: str, expected: Outcome
) -> None:
    """A fault with one message is told as it was, and the next message is not touched by it."""

    async def scenario() -> None:
        async with keeping(without=without) as sink, upstream_to(sink.port, max_connections=1) as upstream:
            (item,) = await relay(upstream, make_mail(local))
            assert item.outcome is expected
            assert item.reply.is_temporary == (expected in (Outcome.DEFERRED, Outcome.UNKNOWN))
            assert "@" not in item.reply.text
            before = len(sink.taken)
            (item,) = await relay(upstream, make_mail("ok"))
            assert item.outcome is Outcome.RELAYED
            assert sink.taken[before].recipients == (b"ok@musteri.example",)

    run(scenario())


@pytest.mark.parametrize("without", [frozenset[str](), frozenset({"PIPELINING"})])
def test_each_recipient_gets_its_own_fate(run: Any, make_mail: Any, relay: Any, without: frozenset[str]) -> None:
    """One refused, one deferred, two taken: four outcomes in the order of the envelope."""

    async def scenario() -> None:
        async with keeping(without=without) as sink, upstream_to(sink.port) as upstream:
            result = await relay(upstream, make_mail("a", "permfail-rcpt", "tempfail-rcpt", "b"))
            assert outcomes_of(result) == [Outcome.RELAYED, Outcome.REFUSED, Outcome.DEFERRED, Outcome.RELAYED]
            assert result[1].reply == Reply(550, "1.1", "[address] unknown")
            assert sink.taken[0].recipients == (b"a@musteri.example", b"b@musteri.example")

    run(scenario())


def test_unknown_keeps_the_refusals_already_heard(run: Any, make_mail: Any, relay: Any) -> None:
    """Cut after the dot: unknown for those accepted, refused for the one refused at RCPT."""

    async def scenario() -> None:
        async with keeping() as sink, upstream_to(sink.port) as upstream:
            result = await relay(upstream, make_mail("a", "permfail-rcpt", "close-before-reply"))
            assert outcomes_of(result) == [Outcome.UNKNOWN, Outcome.REFUSED, Outcome.UNKNOWN]
            assert result[0].reply.code == 451
            assert result[0].reply.enhanced == "4.4.2"

    run(scenario())


def test_a_recipientless_envelope_sends_no_content(run: Any, make_mail: Any, relay: Any) -> None:
    """All recipients refused: no content leaves, and the connection is used on."""

    async def scenario() -> None:
        counts = Counts()
        async with keeping() as sink, upstream_to(sink.port, observer=counts, max_connections=1) as upstream:
            for _ in range(5):
                (item,) = await relay(upstream, make_mail("permfail-rcpt"))
                assert item.outcome is Outcome.REFUSED
            (item,) = await relay(upstream, make_mail("ok"))
            assert item.outcome is Outcome.RELAYED
            assert counts.connections_made == 1
            assert len(sink.taken) == 1

    run(scenario())


def test_a_dead_idle_connection_costs_no_message(run: Any, make_mail: Any, relay: Any) -> None:
    """The server drops idle connections between uses; the message goes out once, over a fresh one."""

    async def scenario() -> None:
        counts = Counts()
        async with keeping() as sink, upstream_to(sink.port, observer=counts) as upstream:
            for number in range(10):
                for session in list(sink.sessions):
                    session.cut()
                (item,) = await relay(upstream, make_mail(f"r{number}"))
                assert item.outcome is Outcome.RELAYED
            assert [each.recipients[0] for each in sink.taken] == [b"r%d@musteri.example" % n for n in range(10)]
            assert counts.replies[TransactionResult.RELAYED] == 10

    run(scenario())


def test_after_the_dot_silence_means_unknown(run: Any, make_mail: Any, relay: Any) -> None:
    """A server that never answers the dot: unknown after the time allowed, and the connection is thrown away."""

    async def scenario() -> None:
        counts = Counts()
        async with keeping() as sink, upstream_to(sink.port, observer=counts, timeouts=IMPATIENT) as upstream:
            (item,) = await relay(upstream, make_mail("hang"))
            assert item.outcome is Outcome.UNKNOWN
            await asyncio.sleep(0.05)
            assert counts.connections == 0

    run(scenario())


def test_beyond_the_queue_is_deferred_at_once(run: Any, make_mail: Any, relay: Any) -> None:
    """One connection, two places to wait: the fourth message is deferred before `relay` returns."""

    async def scenario() -> None:
        async with keeping() as sink, upstream_to(sink.port, max_connections=1, max_waiting=2) as upstream:
            held = [relay(upstream, make_mail("slow-200ms")) for _ in range(3)]
            assert not upstream.has_room
            refused = relay(upstream, make_mail("ok"))
            assert refused.done()
            assert refused.result()[0].outcome is Outcome.DEFERRED
            assert refused.result()[0].reply.enhanced == "4.3.2"
            for answer in held:
                assert outcomes_of(await answer) == [Outcome.RELAYED]
            assert upstream.has_room

    run(scenario())


def test_waiting_bytes_are_bounded(run: Any, make_mail: Any, relay: Any) -> None:
    """Large messages fill the queue before their number does."""

    async def scenario() -> None:
        async with keeping() as sink, upstream_to(sink.port, max_connections=1, max_waiting_bytes=100_000) as upstream:
            held = [relay(upstream, make_mail("slow-100ms", content=b"x" * 60_000)) for _ in range(3)]
            refused = relay(upstream, make_mail("ok"))
            assert refused.done()
            assert upstream.status.waiting == 2
            for answer in held:
                assert outcomes_of(await answer) == [Outcome.RELAYED]

    run(scenario())


def test_waiting_too_long_is_deferred(run: Any, make_mail: Any, relay: Any) -> None:
    """A message that gets no connection in time goes back to the client."""

    async def scenario() -> None:
        patience = Timeouts(waiting_s=0.1, after_dot_s=5)
        async with keeping() as sink, upstream_to(sink.port, max_connections=1, timeouts=patience) as upstream:
            held = relay(upstream, make_mail("slow-1s"))
            assert outcomes_of(await relay(upstream, make_mail("ok"))) == [Outcome.DEFERRED]
            assert outcomes_of(await held) == [Outcome.RELAYED]

    run(scenario())


def test_the_connection_limit_holds(run: Any, make_mail: Any, relay: Any) -> None:
    """Fifty messages at once over three connections: never more than three, and all arrive."""

    async def scenario() -> None:
        counts = Counts()
        async with keeping() as sink, upstream_to(sink.port, observer=counts, max_connections=3) as upstream:
            answers = [relay(upstream, make_mail(f"r{number}")) for number in range(50)]
            assert await fates(answers) == {Outcome.RELAYED}
            assert counts.connections_made == 3
            assert len({each.recipients for each in sink.taken}) == 50

    run(scenario())


def test_connections_are_renewed(run: Any, make_mail: Any, relay: Any) -> None:
    """After its share of transactions a connection says QUIT and another takes over."""

    async def scenario() -> None:
        counts = Counts()
        async with (
            keeping() as sink,
            upstream_to(sink.port, observer=counts, max_connections=1, max_transactions=4) as upstream,
        ):
            for _ in range(12):
                assert outcomes_of(await relay(upstream, make_mail("ok"))) == [Outcome.RELAYED]
            assert counts.connections_made in (3, 4)
            assert len(sink.taken) == 12

    run(scenario())


def test_idle_connections_are_kept_warm_then_closed(run: Any, make_mail: Any, relay: Any) -> None:
    """NOOP while idle, QUIT after the idle time; the next message opens a new one."""

    async def scenario() -> None:
        counts = Counts()
        async with keeping() as sink, upstream_to(sink.port, observer=counts, noop_s=0.05, idle_s=0.3) as upstream:
            await relay(upstream, make_mail("ok"))
            await asyncio.sleep(0.15)
            assert counts.connections == 1
            assert sink.noops > 0
            await asyncio.sleep(0.5)
            assert counts.connections == 0
            assert upstream.capabilities is not None
            assert outcomes_of(await relay(upstream, make_mail("ok"))) == [Outcome.RELAYED]

    run(scenario())


def test_the_second_host_takes_over(run: Any, make_mail: Any, relay: Any, closed_port: int) -> None:
    """The first address refuses connections: mail flows through the second without a failed message."""

    async def scenario() -> None:
        async with keeping() as sink, upstream_to(closed_port, sink.port) as upstream:
            answers = [relay(upstream, make_mail(f"r{number}")) for number in range(10)]
            assert await fates(answers) == {Outcome.RELAYED}
            assert [host.state for host in upstream.status.hosts] == ["down", "up"]
            assert upstream.status.hosts[0].last_fault == "connect_failed"

    run(scenario())


def test_nobody_there_is_deferred_and_noticed_when_back(run: Any, make_mail: Any, relay: Any, closed_port: int) -> None:
    """No host: every message is deferred at once. When the host comes back, so does the traffic, unasked."""

    async def scenario() -> None:
        async with upstream_to(closed_port) as upstream:
            assert upstream.capabilities is None
            assert not upstream.is_reachable
            (item,) = await relay(upstream, make_mail("ok"))
            assert (item.outcome, item.reply.enhanced) == (Outcome.DEFERRED, "4.4.1")
            async with keeping(port=closed_port) as sink:
                while upstream.capabilities is None:
                    await asyncio.sleep(0.02)
                assert upstream.is_reachable
                assert outcomes_of(await relay(upstream, make_mail("ok"))) == [Outcome.RELAYED]
                assert sink.count == 1

    run(scenario())


def test_a_server_at_its_limit_does_not_stop_the_traffic(run: Any, make_mail: Any, relay: Any) -> None:
    """421 to the third connection: two go on carrying everything."""

    async def scenario() -> None:
        async with keeping(max_connections=2) as sink, upstream_to(sink.port, max_connections=10) as upstream:
            answers = [relay(upstream, make_mail(f"r{number}")) for number in range(40)]
            assert await fates(answers) == {Outcome.RELAYED}
            assert sink.count == 40

    run(scenario())


def test_what_the_next_hop_lacks_is_refused(run: Any, make_mail: Any, relay: Any) -> None:
    """SMTPUTF8, 8-bit content and size: a permanent refusal with the right enhanced code, nothing sent."""

    async def scenario() -> None:
        without = frozenset({"SMTPUTF8", "8BITMIME"})
        async with keeping(without=without, size_bytes=1000) as sink, upstream_to(sink.port) as upstream:
            assert upstream.capabilities == (1000, False, False, True)
            for fields, enhanced in (
                ({"is_smtputf8": True}, "5.6.7"),
                ({"is_8bit": True}, "5.6.3"),
                ({"content": b"x" * 1001}, "5.3.4"),
            ):
                (item,) = await relay(upstream, make_mail("ok", **fields))
                assert (item.outcome, item.reply.enhanced) == (Outcome.REFUSED, enhanced)
            assert sink.transactions == 0

    run(scenario())


def test_a_lesser_fallback_host_refuses_nothing_for_good(
    run: Any, make_mail: Any, relay: Any, closed_port: int
) -> None:
    """Only the fallback lacks SMTPUTF8: the message is deferred until a host that has it is back."""

    async def scenario() -> None:
        async with keeping(without=frozenset({"SMTPUTF8"})) as sink, upstream_to(closed_port, sink.port) as upstream:
            (item,) = await relay(upstream, make_mail("ok", is_smtputf8=True))
            assert item.outcome is Outcome.DEFERRED

    run(scenario())


def test_parameters_travel_only_where_announced(run: Any, make_mail: Any, relay: Any) -> None:
    """BODY, SMTPUTF8, SIZE and DSN parameters reach a server that knows them and no other."""

    async def scenario() -> None:
        mail = make_mail("ok", mail_parameters=b"BODY=8BITMIME RET=HDRS ENVID=abc", is_8bit=True, is_smtputf8=True)
        mail.recipients = [mail.recipients[0]._replace(parameters=b"NOTIFY=NEVER")]
        async with keeping() as sink, upstream_to(sink.port) as upstream:
            await relay(upstream, mail)
            size = b"SIZE=%d " % len(mail.content)
            assert sink.taken[0].mail_parameters == size + b"RET=HDRS ENVID=abc BODY=8BITMIME SMTPUTF8"
            assert sink.taken[0].rcpt_parameters == (b"NOTIFY=NEVER",)
        mail.is_smtputf8 = mail.is_8bit = False
        async with keeping(without=frozenset({"SIZE", "DSN", "8BITMIME"})) as sink, upstream_to(sink.port) as upstream:
            await relay(upstream, mail)
            assert sink.taken[0].mail_parameters == b""
            assert sink.taken[0].rcpt_parameters == (b"",)

    run(scenario())


def test_lmtp_answers_each_recipient_after_the_dot(run: Any, make_mail: Any, relay: Any) -> None:
    """LMTP: taken, refused and deferred after the same dot (RFC 2033 4.2)."""

    async def scenario() -> None:
        async with keeping(is_lmtp=True) as sink, upstream_to(sink.port, is_lmtp=True) as upstream:
            result = await relay(upstream, make_mail("a", "permfail-data", "permfail-rcpt", "tempfail-data", "b"))
            assert outcomes_of(result) == [
                Outcome.RELAYED,
                Outcome.REFUSED,
                Outcome.REFUSED,
                Outcome.DEFERRED,
                Outcome.RELAYED,
            ]
            assert sink.taken[0].recipients == (b"a@musteri.example", b"b@musteri.example")
            assert outcomes_of(await relay(upstream, make_mail("c"))) == [Outcome.RELAYED]

    run(scenario())


def test_a_large_message_arrives_whole(run: Any, make_mail: Any, relay: Any) -> None:
    """Three megabytes with dots in awkward places, written in pieces with back pressure."""

    async def scenario() -> None:
        content = b"".join(b".%d\r\n..\r\n" % number + b"x" * (number % 900) + b"\r\n" for number in range(6000))
        async with keeping() as sink, upstream_to(sink.port) as upstream:
            assert outcomes_of(await relay(upstream, make_mail("ok", content=content))) == [Outcome.RELAYED]
            assert sink.taken[0].content == content

    run(scenario())


def test_close_answers_everything(run: Any, make_mail: Any, relay: Any) -> None:
    """Closed in the middle: under way after the dot is unknown, waiting is deferred, later is deferred at once."""

    async def scenario() -> None:
        counts = Counts()
        async with keeping() as sink, upstream_to(sink.port, observer=counts, max_connections=1) as upstream:
            under_way = relay(upstream, make_mail("slow-3s"))
            waiting = relay(upstream, make_mail("ok"))
            await asyncio.sleep(0.1)
            await upstream.close(0)
            assert outcomes_of(under_way.result()) == [Outcome.UNKNOWN]
            assert outcomes_of(waiting.result()) == [Outcome.DEFERRED]
            late = relay(upstream, make_mail("ok"))
            assert outcomes_of(late.result()) == [Outcome.DEFERRED]
            assert counts.connections == 0

    run(scenario())


def test_drain_lets_messages_finish(run: Any, make_mail: Any, relay: Any) -> None:
    """With time to drain, what was taken over is relayed, waiting messages too."""

    async def scenario() -> None:
        async with keeping() as sink, upstream_to(sink.port, max_connections=1) as upstream:
            answers = [relay(upstream, make_mail("slow-50ms")) for _ in range(4)]
            await upstream.close(5)
            assert [outcomes_of(answer.result()) for answer in answers] == [[Outcome.RELAYED]] * 4

    run(scenario())


def test_a_faulty_callback_harms_nobody(run: Any, make_mail: Any, relay: Any) -> None:
    """An exception in `done` is logged by its type only, and the connection carries the next message."""

    async def scenario() -> None:
        counts = Counts()
        async with keeping() as sink, upstream_to(sink.port, observer=counts, max_connections=1) as upstream:

            def fail(_: object) -> None:
                raise ValueError("someone@musteri.example")

            with structlog.testing.capture_logs() as logs:
                upstream.relay(make_mail("ok"), fail)
                assert outcomes_of(await relay(upstream, make_mail("ok"))) == [Outcome.RELAYED]
            assert counts.connections_made == 1
        (line,) = (line for line in logs if line["event"] == "upstream.callback_failed")
        assert line["error"] == "ValueError"
        assert "someone" not in str(line)

    run(scenario())


def test_a_line_end_in_an_address_is_never_written(run: Any, make_mail: Any, relay: Any) -> None:
    """An address with CRLF inside would be a second command: deferred, nothing written."""

    async def scenario() -> None:
        async with keeping() as sink, upstream_to(sink.port) as upstream:
            for local in ("a>\r\nRCPT TO:<b", "a\nb", "a\rb"):
                (item,) = await relay(upstream, make_mail(local))
                assert item.outcome is Outcome.DEFERRED
            assert sink.transactions == 0

    run(scenario())


def test_servers_that_come_and_go(run: Any, make_mail: Any) -> None:
    """Two hosts killed and started again in turn under traffic: one answer a message, and a message that was taken
    was called relayed or unknown; most arrive."""

    async def scenario() -> None:
        sinks = [keeping(), keeping()]
        for sink in sinks:
            await sink.start()
            sink.options.port = sink.port
        answers: dict[int, list[Any]] = {}
        async with upstream_to(*[sink.port for sink in sinks], max_connections=4, backoff_s=(0.01, 0.05)) as upstream:
            for number in range(300):
                upstream.relay(
                    make_mail(f"m{number}"),
                    lambda outcomes, number=number: answers.setdefault(number, []).append(outcomes[0].outcome),
                )
                if number % 40 == 20:
                    await sinks[number // 40 % 2].stop()
                if number % 40 == 39:
                    await sinks[number // 40 % 2].start()
                await asyncio.sleep(0.001)
            assert await upstream.drain(10)
        for sink in sinks:
            await sink.stop()
        taken = Counter(message.recipients[0] for sink in sinks for message in sink.taken)
        assert sorted(answers) == list(range(300))
        assert set(taken.values()) == {1}
        for number, given_answers in answers.items():
            (outcome,) = given_answers
            was_taken = b"m%d@musteri.example" % number in taken
            assert was_taken or outcome is not Outcome.RELAYED
            assert not was_taken or outcome in (Outcome.RELAYED, Outcome.UNKNOWN)
        assert sum(given_answers == [Outcome.RELAYED] for given_answers in answers.values()) > 200

    run(scenario())


FAULTS = [
    "",
    "tempfail-data",
    "permfail-data",
    "421-data",
    "close-after-dot",
    "close-before-reply",
    "close-at-data",
    "close-at-rcpt",
    "garbage",
    "garbage-rcpt",
    "extra-reply",
    "421",
    "slow-5ms",
    "tempfail-rcpt",
    "permfail-rcpt",
]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=25),
    cuts=st.sets(st.integers(0, 24), max_size=4),
    has_pipelining=st.booleans(),
    recipients=st.integers(1, 3),
)
def test_every_message_is_answered_once_and_truthfully(
    run: Any,
    make_mail: Any,
    faults: list[str],
    cuts: set[int],
    has_pipelining: bool,
    recipients: int,
) -> None:
    """Under any schedule of faults: one answer a message, one outcome a recipient, RELAYED only what the server has,
    nothing taken that is not RELAYED or UNKNOWN, and nothing taken twice."""

    async def scenario() -> None:
        schedule = tuple(
            ScheduledFault(name, first=place + 1, last=place + 1) for place, name in enumerate(faults) if name
        )
        without = frozenset[str]() if has_pipelining else frozenset({"PIPELINING"})
        answers: dict[int, list[Any]] = {}
        async with (
            keeping(faults=schedule, without=without) as sink,
            upstream_to(sink.port, max_connections=3, backoff_s=(0.01, 0.02)) as upstream,
        ):
            for number in range(25):
                mail = make_mail(*[f"m{number}r{each}" for each in range(recipients)])
                upstream.relay(mail, lambda outcomes, number=number: answers.setdefault(number, []).append(outcomes))
                if number in cuts:
                    for session in list(sink.sessions):
                        session.cut()
                if number % 5 == 0:
                    await asyncio.sleep(0.002)
            assert await upstream.drain(10)
            taken = Counter(address for message in sink.taken for address in message.recipients)
        assert sorted(answers) == list(range(25))
        assert max(taken.values(), default=0) <= 1
        for number, given_answers in answers.items():
            assert len(given_answers) == 1
            assert len(given_answers[0]) == recipients
            for each, item in enumerate(given_answers[0]):
                was_taken = taken[b"m%dr%d@musteri.example" % (number, each)] == 1
                assert was_taken or item.outcome is not Outcome.RELAYED
                assert not was_taken or item.outcome in (Outcome.RELAYED, Outcome.UNKNOWN)

    run(scenario())

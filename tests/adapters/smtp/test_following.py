"""An envelope that leaves right behind the final dot before it: no message is ever told what was said of another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.smtp import Timeouts, TransactionResult
from adapters.smtp.connection import Job, UpstreamConnection
from adapters.smtp.dialogue import Broken, ContentWanted, Dialogue, Finished, Phase
from adapters.smtp.outcomes import Fault
from adapters.smtp.settings import UpstreamSettings
from filters.address import EmailAddress
from filters.envelope import EnvelopeRecipient
from filters.exchange import EXPIRED, OutgoingMail
from filters.vocabulary import Outcome
from tests.adapters.smtp.test_pool import Counts, keeping, outcomes_of, upstream_to

FATES = {250: Outcome.RELAYED, 451: Outcome.DEFERRED, 554: Outcome.REFUSED}


class Server:
    """Reads commands and content as they were written, answers each in order, and names in every reply whose it is.

    ``plans``: for each message the codes for MAIL, for each RCPT, and for the final dot.
    """

    def __init__(self, plans: list[tuple[int, list[int], int]]) -> None:
        self.plans = plans
        self.taken: list[int] = []
        self.replies: list[bytes] = []
        self._unread = b""
        self._number = 0
        self._is_mail_open = False
        self._accepted = 0
        self._is_in_content = False
        self._asked = 0

    def hear(self, written: bytes) -> None:
        *lines, self._unread = (self._unread + written).split(b"\r\n")
        for line in lines:
            if self._is_in_content:
                self._read_content(line)
            else:
                self._answer(line)

    def _read_content(self, line: bytes) -> None:
        if line != b".":
            return
        self._is_in_content = False
        code = self.plans[self._number][2]
        if code == 250:
            self.taken.append(self._number)
        self._say(code, b"dot")
        self._is_mail_open = False

    def _answer(self, line: bytes) -> None:
        if line.startswith(b"MAIL FROM:<s"):
            assert not self._is_mail_open
            self._number = int(line[len(b"MAIL FROM:<s") : line.index(b"@")])
            self._accepted = self._asked = 0
            code = self.plans[self._number][0]
            self._is_mail_open = code == 250
            self._say(code, b"mail")
        elif line.startswith(b"RCPT"):
            code = self.plans[self._number][1][self._asked] if self._is_mail_open else 503
            self._asked += 1
            self._accepted += code == 250
            self._say(code, b"rcpt")
        elif line == b"DATA":
            self._is_in_content = self._accepted > 0
            self._say(354 if self._is_in_content else 503, b"data")
        else:
            assert line == b"RSET"
            self._is_mail_open = False
            self._say(250, b"rset")

    def _say(self, code: int, word: bytes) -> None:
        self.replies.append(b"%d %s of %d\r\n" % (code, word, self._number))


class Client:
    """Drives a dialogue as a connection does: begins what waits, lets the next follow, notes what became of each."""

    def __init__(self, plans: list[tuple[int, list[int], int]], follows: bool = True) -> None:
        self.dialogue = Dialogue(UpstreamSettings("relay", (("127.0.0.1", 25),)))
        self.dialogue.receive(b"220 hi\r\n")
        self.dialogue.receive(b"250-hi\r\n250 PIPELINING\r\n")
        self.dialogue.output.clear()
        self.server = Server(plans)
        self.ended: list[tuple[int, Finished]] = []
        self.followers: set[int] = set()
        self.has_content: set[int] = set()
        self.broken: Fault | None = None
        self._waiting = list(range(len(plans)))
        self._current: list[int] = []
        self._follows = follows
        self.go_on()

    def go_on(self) -> None:
        if self.dialogue.phase is Phase.READY and self._waiting:
            number = self._waiting.pop(0)
            self._current = [number]
            assert self.dialogue.begin(make_mail(number, len(self.server.plans[number][1]))) is None
        written = b"".join(self.dialogue.output)
        self.dialogue.output.clear()
        self.server.hear(written)

    def receive(self, data: bytes) -> None:
        for event in self.dialogue.receive(data):
            if isinstance(event, Finished):
                self.end(event)
            elif isinstance(event, Broken):
                self.broken = event.fault
            elif isinstance(event, ContentWanted):
                self.write_content()
        self.go_on()

    def write_content(self) -> None:
        written = b"x\r\n.\r\n"
        self.has_content.add(self._current[0])
        if self._waiting and self._follows and self._waiting[0] not in self.followers:
            number = self._waiting[0]
            commands = self.dialogue.follow(make_mail(number, len(self.server.plans[number][1])))
            assert commands is not None
            written += commands
            self._current.append(self._waiting.pop(0))
            self.followers.add(number)
        self.dialogue.content_written()
        self.server.hear(written)

    def end(self, finished: Finished) -> None:
        number = self._current.pop(0)
        if finished.is_retryable and self.broken is None and self.dialogue.phase is not Phase.CLOSED:
            self._waiting.insert(0, number)
        else:
            self.ended.append((number, finished))

    def lose(self) -> None:
        for finished in (self.dialogue.abandon(Fault.LOST), self.dialogue.abandon_following(Fault.LOST)):
            if finished is not None:
                self.end(finished)


def make_mail(number: int, recipients: int) -> OutgoingMail:
    addresses = [b"r%d@b.example" % each for each in range(recipients)]
    to = [EnvelopeRecipient(EmailAddress(address, address, False), b"") for address in addresses]
    return OutgoingMail(b"s%d@a.example" % number, b"", to, b"x\r\n")


PLANS = st.lists(
    st.tuples(
        st.sampled_from([250, 250, 250, 451, 554]),
        st.lists(st.sampled_from([250, 250, 451, 554]), min_size=1, max_size=3),
        st.sampled_from([250, 250, 451, 554]),
    ),
    min_size=2,
    max_size=5,
)


@given(PLANS, st.data())
def test_each_message_hears_its_own_replies_wherever_they_are_cut(
    plans: list[tuple[int, list[int], int]], data: st.DataObject
) -> None:
    """Any refusals, any cuts: every message ends once, with the very replies that the server gave for it."""
    client = Client(plans)
    sent = b""
    while client.server.replies or sent:
        sent += b"".join(client.server.replies)
        client.server.replies.clear()
        size = data.draw(st.integers(1, len(sent)))
        client.receive(sent[:size])
        sent = sent[size:]
    assert client.dialogue.phase is Phase.READY
    assert sorted(number for number, _ in client.ended) == list(range(len(plans)))
    for number, finished in client.ended:
        assert not finished.is_retryable
        mail_code, rcpt_codes, dot_code = plans[number]
        for code, outcome in zip(rcpt_codes, finished.outcomes, strict=True):
            expected = mail_code if mail_code != 250 else code if code != 250 else dot_code
            assert outcome.outcome is FATES[expected]
            assert outcome.reply.text.endswith(f" of {number}")
    relayed = [number for number, finished in client.ended if Outcome.RELAYED in outcomes_of(finished.outcomes)]
    assert sorted(relayed) == sorted(client.server.taken)


@given(PLANS, st.data())
def test_a_lost_connection_leaves_no_message_in_doubt_but_the_one_whose_dot_had_left(
    plans: list[tuple[int, list[int], int]], data: st.DataObject
) -> None:
    """Cut anywhere: relayed is what the server took and said so; unknown is at most the one that waits for the dot's
    reply; what may be tried again has no content at the server."""
    client = Client(plans)
    budget = data.draw(st.integers(0, 400))
    while client.server.replies and budget:
        sent = b"".join(client.server.replies)[:budget]
        client.server.replies.clear()
        budget -= len(sent)
        cut = data.draw(st.integers(0, len(sent)))
        for chunk in (sent[:cut], sent[cut:]):
            client.receive(chunk)
    client.lose()
    fates = dict(client.ended)
    assert len(fates) == len(client.ended)
    unknown = [number for number, finished in fates.items() if Outcome.UNKNOWN in outcomes_of(finished.outcomes)]
    assert len(unknown) <= 1
    for number, finished in fates.items():
        kinds = outcomes_of(finished.outcomes)
        if Outcome.RELAYED in kinds:
            assert number in client.server.taken
        elif number in client.server.taken:
            assert Outcome.UNKNOWN in kinds
        if finished.is_retryable:
            assert number not in client.has_content


@pytest.mark.parametrize("stray", [b"250 stray\r\n", b"354 stray\r\n", b"451 no\r\n", b"550 no\r\n", b"421 bye\r\n"])
@pytest.mark.parametrize("rcpt_codes", [[250], [554], [250, 554], [554, 250]])
def test_a_dot_answered_twice_says_nothing_of_the_message_behind_it(stray: bytes, rcpt_codes: list[int]) -> None:
    """Replies one too many: the connection ends, and the follower, of which nothing was taken, goes elsewhere."""
    client = Client([(250, [250], 250), (250, rcpt_codes, 250)])
    client.receive(b"".join(client.server.replies))
    client.server.replies.clear()
    client.receive(b"250 dot of 0\r\n" + stray + b"250 mail of 1\r\n" + b"".join(
        b"%d rcpt of 1\r\n" % code for code in rcpt_codes
    ) + b"354 data of 1\r\n")  # fmt: skip
    client.lose()
    assert client.broken is not None
    assert [number for number, _ in client.ended] == [0, 1]
    assert outcomes_of(client.ended[0][1].outcomes) == [Outcome.RELAYED]
    assert client.ended[1][1].is_retryable
    assert client.has_content == {0}


def test_a_reply_before_the_follower_s_content_breaks_the_connection() -> None:
    """What stands behind the follower's 354 answers nothing that was asked: no content is sent to such a server."""
    client = Client([(250, [250], 250), (250, [250], 250)])
    client.receive(b"".join(client.server.replies))
    client.receive(b"250 dot of 0\r\n250 mail of 1\r\n250 rcpt of 1\r\n354 data of 1\r\n250 dot of 1\r\n")
    assert client.broken is Fault.GARBAGE
    assert client.has_content == {0}
    assert client.ended[1][1].is_retryable


@pytest.mark.parametrize(("is_lmtp", "extensions"), [(True, b"PIPELINING"), (False, b"DSN")])
def test_nothing_follows_where_commands_go_one_by_one(is_lmtp: bool, extensions: bytes) -> None:
    """LMTP answers a dot once for each recipient, and without PIPELINING a command waits for the last one's reply."""
    dialogue = Dialogue(UpstreamSettings("relay", (("127.0.0.1", 25),), is_lmtp=is_lmtp))
    dialogue.receive(b"220 hi\r\n")
    dialogue.receive(b"250-hi\r\n250 " + extensions + b"\r\n")
    dialogue.begin(make_mail(0, 1))
    for reply in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
        dialogue.receive(reply)
    assert dialogue.phase is Phase.CONTENT
    assert dialogue.follow(make_mail(1, 1)) is None
    dialogue.content_written()
    dialogue.receive(b"250 taken\r\n")
    assert dialogue.phase is Phase.READY


def test_an_unsafe_envelope_does_not_follow() -> None:
    """A line end in an address would be read as a command; the message under way goes on without it."""
    client = Client([(250, [250], 250)])
    client._follows = False
    dialogue = client.dialogue
    assert [type(event) for event in dialogue.receive(b"250 a\r\n250 b\r\n354 c\r\n")] == [ContentWanted]
    assert dialogue.follow(OutgoingMail(b"s\r\nRSET@a.example", b"", make_mail(1, 1).recipients, b"x\r\n")) is None
    dialogue.content_written()
    dialogue.receive(b"250 taken\r\n")
    assert dialogue.phase is Phase.READY


@pytest.fixture
def count_followers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of recipients of the messages whose envelopes followed a dot."""
    followed: list[int] = []
    follow = Dialogue.follow

    def note(dialogue: Dialogue, mail: OutgoingMail) -> bytes | None:
        commands = follow(dialogue, mail)
        if commands is not None:
            followed.append(len(mail.recipients))
        return commands

    monkeypatch.setattr(Dialogue, "follow", note)
    return followed


def test_what_waits_follows_and_arrives_once_each(
    run: Any, make_mail: Any, relay: Any, count_followers: list[int]
) -> None:
    """Two connections for a hundred messages: most envelopes follow a dot, and each message is taken once."""

    async def scenario() -> None:
        async with keeping() as sink, upstream_to(sink.port, max_connections=2) as upstream:
            answers = [relay(upstream, make_mail(f"r{number}")) for number in range(100)]
            for result in await asyncio.gather(*answers):
                assert outcomes_of(result) == [Outcome.RELAYED]
            assert sorted(taken.recipients[0] for taken in sink.taken) == sorted(
                b"r%d@musteri.example" % number for number in range(100)
            )
            assert len(count_followers) > 50

    run(scenario())


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("tempfail-rcpt", Outcome.DEFERRED),
        ("permfail-rcpt", Outcome.REFUSED),
        ("tempfail-data", Outcome.DEFERRED),
        ("permfail-data", Outcome.REFUSED),
        ("close-after-dot", Outcome.UNKNOWN),
        ("close-before-reply", Outcome.UNKNOWN),
        ("garbage", Outcome.UNKNOWN),
    ],
)
def test_what_befalls_one_message_does_not_befall_those_around_it(
    run: Any, make_mail: Any, relay: Any, local: str, expected: Outcome, count_followers: list[int]
) -> None:
    """One connection, a bad message among good ones: the bad has its own fate, each good one is taken exactly once."""

    async def scenario() -> None:
        async with keeping() as sink, upstream_to(sink.port, max_connections=1) as upstream:
            names = [f"r{number}" for number in range(20)]
            names[7] = names[13] = local
            results = await asyncio.gather(*(relay(upstream, make_mail(name)) for name in names))
            for name, result in zip(names, results, strict=True):
                assert outcomes_of(result) == [expected if name == local else Outcome.RELAYED]
            taken = sorted(each.recipients[0] for each in sink.taken if each.recipients[0].startswith(b"r"))
            assert taken == sorted(f"{name}@musteri.example".encode() for name in names if name != local)
            assert len(count_followers) > 5

    run(scenario())


def test_a_follower_that_waited_too_long_for_the_dot_before_it_is_decided_again(
    run: Any, make_mail: Any, relay: Any, count_followers: list[int]
) -> None:
    """Its envelope had left while the decision held; when its turn comes it no longer does, and no content leaves."""

    async def scenario() -> None:
        counts = Counts()
        async with keeping() as sink, upstream_to(sink.port, max_connections=1, observer=counts) as upstream:
            names = ["quick", "slow-900ms", "late", "patient"]
            answers = [relay(upstream, make_mail(name, valid_s=0.7 if name == "late" else 9.0)) for name in names]
            quick, slow, late, patient = await asyncio.gather(*answers)
            assert outcomes_of([*quick, *slow, *patient]) == [Outcome.RELAYED] * 3
            assert late[0] is EXPIRED
            assert count_followers == [1]
            assert b"late@musteri.example" not in [taken.recipients[0] for taken in sink.taken]
            assert counts.replies[TransactionResult.RETRIED] == 1

    run(scenario())


def test_nothing_follows_behind_a_server_that_was_slow(
    run: Any, make_mail: Any, relay: Any, count_followers: list[int]
) -> None:
    """A message that follows can go to no other connection, so it does so only where the last answer came at once."""

    async def scenario() -> None:
        async with keeping() as sink, upstream_to(sink.port, max_connections=1) as upstream:
            names = ["slow-200ms", "slow-201ms", "slow-202ms"]
            results = await asyncio.gather(*(relay(upstream, make_mail(name)) for name in names))
            assert [outcomes_of(result) for result in results] == [[Outcome.RELAYED]] * 3
            assert count_followers == []
            assert len(sink.taken) == 3

    run(scenario())


class FullTransport:
    """A transport that keeps back the last ``unsent`` bytes of what it was last given."""

    def __init__(self) -> None:
        self.connection: UpstreamConnection | None = None
        self.unsent = 0
        self.keeps: int | None = None

    def get_extra_info(self, name: str) -> None:
        return None

    def set_write_buffer_limits(self, high: int) -> None:
        assert high == 0

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def writelines(self, pieces: Sequence[bytes]) -> None:
        if self.keeps is not None and len(pieces) > 1:
            self.unsent = len(pieces[-1]) + self.keeps
            assert self.connection is not None
            self.connection.pause_writing()

    def abort(self) -> None:
        pass


class Owner:
    """Hands out jobs, and notes how they ended."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs
        self.ended: list[Outcome] = []

    def find_follower(self, connection: UpstreamConnection, now: float) -> Job | None:
        return self.jobs[0] if self.jobs else None

    def take_follower(self, job: Job) -> None:
        self.jobs.remove(job)

    def connection_ready(self, connection: UpstreamConnection) -> None:
        connection.start(self.jobs.pop(0))

    def job_finished(self, connection: UpstreamConnection, job: Job, finished: Finished) -> None:
        self.ended.append(finished.outcomes[0].outcome)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


@pytest.mark.parametrize(
    ("keeps", "reply", "expected"),
    [
        (-1, b"250 taken\r\n", Outcome.RELAYED),  # all but a byte of the follower has left, so the dot has
        (0, b"250 taken\r\n", Outcome.RELAYED),
        (1, b"250 taken\r\n", Outcome.UNKNOWN),  # the LF behind the dot has not: taken before it was complete?
        (0, b"", Outcome.UNKNOWN),
        (1, b"", Outcome.DEFERRED),
    ],
)
async def test_the_dot_has_left_when_no_more_than_the_follower_is_in_the_buffer(
    keeps: int, reply: bytes, expected: Outcome
) -> None:
    """A full socket buffer between dot and follower: a reply to the dot, or a loss, means what it means without one."""
    owner = Owner([Job(make_mail(number, 1), lambda _: None) for number in range(3)])
    transport: Any = FullTransport()
    settings = UpstreamSettings("relay", (("127.0.0.1", 25),))
    host: Any = None
    connection = UpstreamConnection(owner, host, settings, None, asyncio.get_running_loop())
    transport.connection = connection
    connection.connection_made(transport)
    for data in (b"220 hi\r\n", b"250-hi\r\n250 PIPELINING\r\n", b"250 a\r\n250 b\r\n354 c\r\n", b"250 taken\r\n"):
        connection.data_received(data)
    transport.keeps = keeps
    connection.data_received(b"250 a\r\n250 b\r\n354 c\r\n")
    assert owner.jobs == []
    if reply:
        connection.data_received(reply)
    else:
        connection.eof_received()
    assert owner.ended[:2] == [Outcome.RELAYED, expected]


async def forgetful(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that announces PIPELINING, and throws away what has come behind a final dot."""
    writer.write(b"220 hi\r\n")
    unread = b""
    is_content = False
    while data := await reader.read(65536):
        unread += data
        if is_content and b"\r\n.\r\n" in unread:
            is_content, unread = False, b""
            writer.write(b"250 taken\r\n")
        while not is_content and b"\r\n" in unread:
            line, _, unread = unread.partition(b"\r\n")
            is_content = line == b"DATA"
            writer.write(
                b"250-hi\r\n250 PIPELINING\r\n"
                if line[:4] == b"EHLO"
                else b"354 go\r\n"
                if is_content
                else b"250 ok\r\n"
            )
    writer.close()


def test_a_server_that_forgets_followers_gets_no_more_of_them(
    run: Any, make_mail: Any, relay: Any, count_followers: list[int]
) -> None:
    """One message is deferred, as its envelope was never answered; all others go one by one from then on."""

    async def scenario() -> None:
        server = await asyncio.start_server(forgetful, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        timeouts = Timeouts(command_s=0.3, quit_s=0.3)
        async with upstream_to(port, max_connections=1, timeouts=timeouts) as upstream:
            answers = [relay(upstream, make_mail(f"r{number}")) for number in range(8)]
            results = [outcomes_of(result)[0] for result in await asyncio.gather(*answers)]
        server.close()
        await server.wait_closed()
        assert sorted(results) == [Outcome.DEFERRED] + [Outcome.RELAYED] * 7
        assert count_followers == [1]

    run(scenario())

"""Mail that waited too long for a connection goes back to be decided again, and then before those behind it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Self

import pytest

from adapters.smtp import TransactionResult
from filters.envelope import RecipientOutcome
from filters.exchange import EXPIRED
from filters.vocabulary import Outcome
from tests.adapters.smtp.test_pool import Counts, keeping, upstream_to


def test_what_waited_too_long_is_not_begun(run: Any, make_mail: Any, relay: Any) -> None:
    """The one connection is busy longer than the decision holds: the mail comes back, and nothing of it was sent."""

    async def scenario() -> None:
        counts = Counts()
        async with keeping() as sink, upstream_to(sink.port, max_connections=1, observer=counts) as upstream:
            busy = relay(upstream, make_mail("slow-300ms"))
            waiting = relay(upstream, make_mail("a", "b", valid_s=0.1))
            patient = relay(upstream, make_mail("c", valid_s=5.0))
            assert [fate.outcome for fate in await busy] == [Outcome.RELAYED]
            expired = await waiting
            assert len(expired) == 2
            assert all(fate is EXPIRED for fate in expired)
            assert [fate.outcome for fate in await patient] == [Outcome.RELAYED]
            assert [taken.recipients for taken in sink.taken] == [
                (b"slow-300ms@musteri.example",), (b"c@musteri.example",),
            ]  # fmt: skip
            assert counts.replies[TransactionResult.RETRIED] == 1

    run(scenario())


def test_what_need_not_wait_cannot_expire(run: Any, make_mail: Any, relay: Any) -> None:
    """An idle connection takes it, however short its decision holds."""

    async def scenario() -> None:
        async with keeping() as sink, upstream_to(sink.port) as upstream:
            assert [fate.outcome for fate in await relay(upstream, make_mail("a", valid_s=0.0))] == [Outcome.RELAYED]

    run(scenario())


def test_what_comes_again_goes_first_even_where_there_is_no_room(run: Any, make_mail: Any) -> None:
    """It had its place in the queue; at its back it could expire for ever, and with the queue full be turned away."""

    async def scenario() -> None:
        async with keeping() as sink, upstream_to(sink.port, max_connections=1, max_waiting=2) as upstream:
            answers: list[asyncio.Future[None]] = []

            def send(*names: str, **fields: Any) -> None:
                answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                answers.append(answered)

                def hear(fates: Sequence[RecipientOutcome]) -> None:
                    if fates[0] is EXPIRED:
                        send(*names, is_again=True)
                    answered.set_result(None)

                upstream.relay(make_mail(*names, **fields), hear)

            send("slow-200ms")
            send("a", valid_s=0.05)
            send("b")
            while not all(each.done() for each in answers):
                await asyncio.sleep(0.01)
            assert [taken.recipients[0][:1] for taken in sink.taken] == [b"s", b"a", b"b"]

    run(scenario())


def test_under_steady_overload_everything_is_sent_all_the_same(run: Any, make_mail: Any) -> None:
    """Decisions that expire again and again cost look-ups, not progress."""

    async def scenario() -> None:
        async with keeping() as sink, upstream_to(sink.port, max_connections=1) as upstream:
            expired = relayed = 0
            over = asyncio.get_running_loop().create_future()

            def send(name: str, *, is_again: bool = False) -> None:
                def hear(fates: Sequence[RecipientOutcome]) -> None:
                    nonlocal expired, relayed
                    if fates[0] is EXPIRED:
                        expired += 1
                        asyncio.get_running_loop().call_soon(lambda: send(name, is_again=True))
                        return
                    relayed += fates[0].outcome is Outcome.RELAYED
                    if relayed == 60:
                        over.set_result(None)

                upstream.relay(make_mail(name, valid_s=0.05, is_again=is_again), hear)

            for number in range(60):
                send(f"slow-5ms+{number}")
            await over
            assert expired
            assert len(sink.taken) == 60

    run(scenario())


class SlowToAsk:
    """A next hop that waits ``delay_s`` between DATA and its 354, and keeps what content it gets."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self.contents: list[bytes] = []
        self.is_hanging_up = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 slow.example\r\n")
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                if line.startswith(b"DATA"):
                    await asyncio.sleep(self.delay_s)
                    writer.write(b"354 Now\r\n")
                    if self.is_hanging_up:
                        break
                    self.contents.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 Ok\r\n")
        writer.close()


@pytest.mark.parametrize("stands", [True, False])
def test_content_wanted_too_late_leaves_only_if_the_decision_still_stands(
    run: Any, make_mail: Any, relay: Any, stands: bool
) -> None:
    """The next hop took longer over DATA than the decision holds: it is asked about; a no sends nothing."""

    async def scenario() -> None:
        async with SlowToAsk(0.2) as slow, upstream_to(slow.port) as upstream:
            asked: list[Any] = []
            mail = make_mail("a", valid_s=0.05, still_stands=asked.append)
            answer = relay(upstream, mail)
            await asyncio.sleep(0.4)
            assert len(asked) == 1
            assert slow.contents == []
            asked[0](stands)
            asked[0](True)  # a second answer changes nothing
            fates = await answer
            assert (fates[0].outcome is Outcome.RELAYED) is stands
            assert (fates[0] is EXPIRED) is not stands
            assert len(slow.contents) == stands

    run(scenario())


def test_nobody_is_asked_while_the_decision_holds(run: Any, make_mail: Any, relay: Any) -> None:
    """An ordinary next hop costs no second look-up."""

    async def scenario() -> None:
        async with SlowToAsk(0.0) as quick, upstream_to(quick.port) as upstream:
            asked: list[Any] = []
            fates = await relay(upstream, make_mail("a", valid_s=5.0, still_stands=asked.append))
            assert [fate.outcome for fate in fates] == [Outcome.RELAYED]
            assert asked == []

    run(scenario())


def test_a_connection_lost_while_being_asked_is_answered_once_and_the_late_word_is_nothing(
    run: Any, make_mail: Any, relay: Any
) -> None:
    """The content had not left, so nothing can have been delivered; the permission that comes then sends nothing."""

    async def scenario() -> None:
        async with SlowToAsk(0.2) as slow, upstream_to(slow.port) as upstream:
            slow.is_hanging_up = True
            asked: list[Any] = []
            fates = await relay(upstream, make_mail("a", valid_s=0.05, still_stands=asked.append))
            assert [fate.outcome for fate in fates] == [Outcome.DEFERRED]
            asked[0](True)
            await asyncio.sleep(0.05)
            assert slow.contents == []

    run(scenario())

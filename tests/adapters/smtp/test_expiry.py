"""Mail that waited too long for a connection goes back to be decided again, and then before those behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

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

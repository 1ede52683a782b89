"""A report reaches the receiver, is tried again while that can help, and is counted when it is lost."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from adapters.webhook import SENDERS, Posting, Webhook, WebhookLimits

QUICK = WebhookLimits(keep_s=3.0, first_pause_s=0.01, longest_pause_s=0.05, timeout_s=1.0)
QUICK_AND_SHORT = WebhookLimits(keep_s=0.2, first_pause_s=0.01, longest_pause_s=0.05, timeout_s=1.0)


@dataclass
class Receiver:
    """A client's web server. ``answers`` are given in turn, then 200; ``hold`` makes it wait before it answers."""

    answers: list[int] = field(default_factory=list)
    taken: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)
    hold: asyncio.Event | None = None
    at_once: int = 0
    most_at_once: int = 0
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        body = await request.read()
        if self.hold is not None:
            await self.hold.wait()
        self.at_once -= 1
        status = self.answers.pop(0) if self.answers else 200
        if status < 300:
            self.taken.append((body, dict(request.headers)))
        return web.Response(status=status, headers={"Location": f"{self.url}/elsewhere"} if status == 302 else {})


@dataclass
class Counts:
    """What became of the reports."""

    delivered: int = 0
    lost: list[tuple[str, int]] = field(default_factory=list)

    def report_delivered(self, client: str) -> None:
        assert client == "shop"
        self.delivered += 1

    def report_lost(self, client: str, cause: str, status: int) -> None:
        assert client == "shop"
        self.lost.append((cause, status))

    async def reach(self, number: int) -> None:
        async with asyncio.timeout(10):
            while self.delivered + len(self.lost) < number:
                await asyncio.sleep(0.01)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A real server on a free port."""
    made = Receiver()
    app = web.Application()
    app.router.add_post("/izin", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/izin"
    yield made
    if made.hold is not None:
        made.hold.set()
    await runner.cleanup()


@pytest.fixture
async def open_webhook() -> AsyncIterator[Callable[..., tuple[Webhook, Counts]]]:
    """Makes webhooks, and closes them at the end."""
    made: list[Webhook] = []

    def make(url: str, limits: WebhookLimits = QUICK) -> tuple[Webhook, Counts]:
        counts = Counts()
        made.append(Webhook("shop", url, counts, limits))
        return made[-1], counts

    yield make
    for webhook in made:
        await webhook.close(0.1)


async def test_body_and_fields_arrive_as_given(receiver: Receiver, open_webhook: Callable[..., tuple[Webhook, Counts]]):
    """Nothing is encoded anew: the signature is over these very bytes."""
    webhook, counts = open_webhook(receiver.url)
    webhook.send(Posting(b'{"v":1}', {"Content-Type": "application/json", "X-Izin-Signature": "sha256=00"}))
    await counts.reach(1)
    ((body, fields),) = receiver.taken
    assert body == b'{"v":1}'
    assert (fields["Content-Type"], fields["X-Izin-Signature"]) == ("application/json", "sha256=00")
    assert counts.delivered == 1


async def test_what_may_pass_is_tried_again_until_it_does(
    receiver: Receiver, open_webhook: Callable[..., tuple[Webhook, Counts]]
):
    """5xx and 429 say nothing about the report."""
    receiver.answers = [503, 429, 500]
    webhook, counts = open_webhook(receiver.url)
    webhook.send(Posting(b"x", {}))
    await counts.reach(1)
    assert (counts.delivered, counts.lost) == (1, [])
    assert len(receiver.taken) == 1


@pytest.mark.parametrize("status", [302, 400, 401, 404, 410])
async def test_a_refusal_for_good_is_not_repeated(
    receiver: Receiver, open_webhook: Callable[..., tuple[Webhook, Counts]], status: int
):
    """Nor is a redirect followed: addresses of people would go where nobody configured."""
    receiver.answers = [status]
    webhook, counts = open_webhook(receiver.url)
    webhook.send(Posting(b"x", {}))
    await counts.reach(1)
    assert counts.lost == [("refused", status)]
    assert receiver.taken == []


async def test_a_receiver_that_stays_away_costs_the_report_after_its_time(
    unused_port: int, open_webhook: Callable[..., tuple[Webhook, Counts]]
):
    """It is counted, and the next report is tried for its own time."""
    webhook, counts = open_webhook(f"http://127.0.0.1:{unused_port}/izin", QUICK_AND_SHORT)
    for _ in range(3):
        webhook.send(Posting(b"x", {}))
    await counts.reach(3)
    assert counts.lost == [("given_up", 0)] * 3


@pytest.fixture
def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    "limits", [WebhookLimits(max_waiting=5), WebhookLimits(max_waiting_bytes=50)], ids=["number", "bytes"]
)
async def test_memory_is_bounded_however_slow_the_receiver(
    receiver: Receiver, open_webhook: Callable[..., tuple[Webhook, Counts]], limits: WebhookLimits
):
    """What does not fit is lost and counted at once; what waits is delivered in the end."""
    receiver.hold = asyncio.Event()
    webhook, counts = open_webhook(receiver.url, limits)
    for _ in range(100):
        webhook.send(Posting(b"ten bytes.", {}))
        await asyncio.sleep(0)
    assert len(counts.lost) >= 100 - SENDERS - 5
    assert {cause for cause, _ in counts.lost} == {"overflow"}
    lost = len(counts.lost)
    receiver.hold.set()
    await counts.reach(100)
    assert counts.delivered == 100 - lost
    assert receiver.most_at_once <= SENDERS


async def test_the_end_waits_a_little_and_counts_the_rest(
    receiver: Receiver, open_webhook: Callable[..., tuple[Webhook, Counts]]
):
    """A report that could not be delivered before the process ends does not vanish silently."""
    receiver.hold = asyncio.Event()
    webhook, counts = open_webhook(receiver.url)
    for _ in range(SENDERS + 2):
        webhook.send(Posting(b"x", {}))
    await asyncio.sleep(0.05)
    await webhook.close(0.1)
    webhook.send(Posting(b"x", {}))
    assert counts.delivered == 0
    assert counts.lost == [("closing", 0)] * (SENDERS + 3)

"""A whole gateway between clients that try again and a relay with a journal, for tests that break one of its parts.

Clients send for a few seconds while the test does its harm; then the journals are compared::

    async with world.traffic(seconds=4) as traffic:
        world.redis.kill()
        await until(lambda: world.gateway.status()["store"]["state"] != "answering")
        world.redis.start()
    traffic.assert_kept()

Three kinds of clients: ``one`` and ``five`` send commercial mail to one and to five recipients, ``exempt`` sends
informational mail to one. People are those of ``loadtest.numbered_recipients``: of ten, seven have consented, two
refused, one is unknown.
"""

from __future__ import annotations

import asyncio
import smtplib
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from gateway import app
from loadtest.audit import Findings, compare, read_lines
from loadtest.mail_generator import GeneratorOptions, GeneratorReport, generate
from loadtest.marketing_mail import MailTemplate
from loadtest.numbered_recipients import address_of, consented_numbers
from loadtest.whole_gateway import Gateway, Redis, Relay, free_ports, seed

PEOPLE = 400
FIRST = 31
"""The lowest number that clients send to; those below are for tests that let somebody refuse."""
SENDER = "haber@magaza.example"
_KINDS = {
    "one": (1, "X-Izin-Class: commercial"),
    "five": (5, "X-Izin-Class: commercial"),
    "exempt": (1, "X-Izin-Class: informational"),
}


@dataclass
class Traffic:
    """What clients sent and were told from ``began_at`` (seconds since 1970) on."""

    world: FaultWorld
    journals: dict[str, Path]
    began_at: float
    reports: dict[str, GeneratorReport] = field(default_factory=dict)

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """The journal so far; clients write it in pieces."""
        journal = self.journals[kind]
        return list(read_lines(journal)) if journal.exists() else []

    def answers(self, *kinds: str, since: float = 0.0, until: float = float("inf")) -> Counter[str]:
        """Final codes of attempts answered between two moments, and how many connections were lost under one."""
        found: Counter[str] = Counter()
        for kind in kinds:
            for line in self.lines(kind):
                if line["event"] in ("answered", "lost") and since <= line["at"] < until:
                    found[str(line.get("code", "lost"))] += 1
        return found

    def compare(self) -> dict[str, Findings]:
        """The audit's findings by kind: commercial and exempt."""
        taken = [line for line in read_lines(self.world.relay.journal) if line["at"] >= self.began_at]
        exempt = self.lines("exempt")
        own = {line["id"] for line in exempt}
        commercial = chain(self.lines("one"), self.lines("five"))
        return {
            "commercial": compare(commercial, (line for line in taken if line["id"] not in own), CONSENTED),
            "exempt": compare(exempt, (line for line in taken if line["id"] in own), EVERYBODY),
        }

    def assert_kept(self, *, settles: bool = True) -> dict[str, Findings]:
        """Nothing unconsented out, nothing acknowledged lost, nobody consented refused for good, and all settled."""
        found = self.compare()
        for findings in found.values():
            assert findings.is_clean, findings
            assert findings.refused == 0, findings
            assert findings.unsettled == 0 or not settles, findings
        assert found["commercial"].taken > 0 or not settles
        assert found["exempt"].taken > 0
        return found

    def assert_exempt_flowed(self, since: float = 0.0, until: float = float("inf")) -> None:
        """Informational mail was taken at the first attempt, whatever happened to commercial mail meanwhile."""
        answers = self.answers("exempt", since=since, until=until)
        assert set(answers) == {"250"}, answers


class FaultWorld:
    """Relay, Redis if asked for, and gateway, all running and ready; ``close`` ends them."""

    def __init__(
        self,
        directory: Path,
        *,
        store: str = "lmdb",
        redis_options: Sequence[str] = (),
        workers: int = 2,
        store_settings: str = "",
        further: str = "",
        watermark_at: int | None = None,
        starts: bool = True,
    ) -> None:
        relay_port, redis_port = free_ports(2)
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.relay = Relay(directory, relay_port)
        self._redis = Redis(directory / "redis", redis_port, redis_options) if store == "redis" else None
        url = self._redis.url if self._redis else "lmdb:var/store"
        self.gateway = Gateway(
            directory, relay_port, url, workers=workers, store_settings=store_settings, further=further
        )
        self._runs = 0
        try:
            self.relay.start()
            if self._redis is not None:
                self._redis.start()
            self.seed(watermark_at=watermark_at)
            if starts:
                self.gateway.start()
                self.gateway.wait_until_ready()
        except BaseException:  # an interrupt too: no process may be left
            self.close()
            raise

    @property
    def redis(self) -> Redis:
        assert self._redis is not None
        return self._redis

    def close(self) -> None:
        if self.gateway.is_running:
            self.gateway.stop()
        self.relay.end()
        if self._redis is not None:
            self._redis.end()

    # -- the index ------------------------------------------------------------------------------------------------

    def seed(self, *, watermark_at: int | None = None) -> None:
        """Load the numbered people."""
        _run_apart(seed(self.gateway.config, PEOPLE, watermark_at=watermark_at))

    def accept_store(self) -> None:
        """What ``izinkapi consents accept-store --yes`` does."""

        async def accept() -> None:
            store = app.open_store(app.load(self.gateway.config))
            try:
                await store.start()
                await store.accept()
            finally:
                await store.close()

        _run_apart(accept())

    # -- clients --------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def traffic(self, seconds: float = 4.0, rate: float = 40.0, **options: Any) -> AsyncIterator[Traffic]:
        """Clients of all three kinds send for ``seconds``, ``rate`` messages a second each; then what is open is tried
        again until it is settled."""
        self._runs += 1
        journals = {kind: self.directory / f"sent-{kind}-{self._runs}.jsonl" for kind in _KINDS}
        traffic = Traffic(self, journals, time.time())
        sending: dict[str, asyncio.Task[GeneratorReport]] = {}
        for kind, (recipients, header) in _KINDS.items():
            given: dict[str, Any] = {
                "seconds": seconds,
                "rate": rate / recipients,
                "sessions": 4,
                "recipients": recipients,
                "first": FIRST,
                "people": PEOPLE - FIRST + 1,
                "headers": [header],
                "sender": SENDER,
                "journal": journals[kind],
                "retry_s": 0.3,
                "attempts": 200,
                "patience_s": 20.0,
            }
            sending[kind] = asyncio.create_task(
                generate(GeneratorOptions("127.0.0.1", self.gateway.port, **(given | options)))
            )
        try:
            yield traffic
            for kind, task in sending.items():
                traffic.reports[kind] = await task
        finally:
            for task in sending.values():
                task.cancel()
            await asyncio.gather(*sending.values(), return_exceptions=True)

    def send(self, *recipients: str, is_commercial: bool = True, content: bytes | None = None) -> int:
        """One message as Python's mail library sends it; the final code."""
        header = "X-Izin-Class: commercial" if is_commercial else "X-Izin-Class: informational"
        if content is None:
            template = MailTemplate(4096, sender=SENDER, headers=[header])
            content = b"".join(template.render(f"{time.time_ns():016x}"[-16:].encode(), recipients[0].encode()))
        with smtplib.SMTP("127.0.0.1", self.gateway.port, local_hostname="shop.example", timeout=30) as client:
            client.ehlo()
            client.mail(SENDER)
            codes = [client.rcpt(recipient)[0] for recipient in recipients]
            if 250 not in codes:
                return max(codes)
            client.docmd("DATA")
            # Not ``client.data``: on large content it keeps the other threads of a test waiting.
            client.send(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            return client.getreply()[0]

    def link_of(self, recipient: str) -> str:
        """The address behind the unsubscribe button of the newest mail that ``recipient`` got."""
        links = [line["link"] for line in read_lines(self.relay.journal) if recipient in line["recipients"]]
        return str(links[-1])

    def press(self, link: str) -> int:
        """One click; the status."""
        request = urllib.request.Request(link, data=b"List-Unsubscribe=One-Click", method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def taken_from(self, sender: str) -> list[str]:
        """The recipients of all that the relay took from ``sender``, in order."""
        return [
            recipient
            for line in read_lines(self.relay.journal)
            if line["sender"] == sender
            for recipient in line["recipients"]
        ]


def _run_apart(work: Coroutine[Any, Any, None]) -> None:
    """In a loop and a thread of its own: the caller may be inside a loop already."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


EVERYBODY = {address_of(number) for number in range(1, PEOPLE + 1)}
CONSENTED = {address_of(number) for number in consented_numbers(1, PEOPLE)}


async def until(is_so: Callable[[], object], within_s: float = 15.0) -> None:
    """Wait without stopping the loop; fails after ``within_s``."""
    give_up_at = time.monotonic() + within_s
    while not await asyncio.to_thread(is_so):
        assert time.monotonic() < give_up_at, f"not so within {within_s} s"
        await asyncio.sleep(0.05)

"""Kills parts of the running gateway at random moments under load and counts what that cost.

``python -m loadtest.chaos --seconds 60 --store lmdb|redis --seed N [--rate N] [--directory DIR] [--json]`` starts relay
(sink), Redis if asked for, and the gateway with two workers, and sends through them with clients that try again:
commercial mail to one recipient, commercial mail to five, and informational mail. Of ten recipients seven have
consented, two have refused and one is unknown. Meanwhile

    at random      one of these is killed with SIGKILL and started again: a worker, the supervisor alone, supervisor
                   and workers together, the relay, Redis (which comes back with its append-only file)
    all the time   people press the unsubscribe button of mail they got, again and again until it is confirmed

At the end the journals of clients and relay, the refusals and the evidence are compared (``loadtest.audit``,
``loadtest.audit_evidence``, ``izinkapi evidence verify``). Exit status 1 if a promise was broken:

    nothing unconsented left the gateway, and nothing after a confirmed refusal; nothing acknowledged was lost, and of
    all of it there is a record; no fault of ours was answered for good (5xx); the evidence is intact

Everything listens on loopback and ends with the run. The same seed gives the same faults at the same moments.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import aiohttp

from gateway import app
from loadtest.audit import Findings, PressedRefusal, compare, read_lines
from loadtest.audit_evidence import ContentHashes, EvidenceFindings, compare_evidence, read_decisions
from loadtest.marketing_mail import MailTemplate
from loadtest.numbered_recipients import address_of, consented_numbers
from loadtest.whole_gateway import BRAND, Gateway, Program, Redis, Relay, free_ports, run_until_told, seed, wait_for_end

FAULTS = ("worker", "gateway", "supervisor", "relay", "redis")
_SENDER = "haber@magaza.example"
_COMMERCIAL = "X-Izin-Class: commercial"
_INFORMATIONAL = "X-Izin-Class: informational"
_RETRY_S = 0.5
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class ChaosOptions:
    """``rate``: messages a second of all clients together. ``pause_s``: shortest and longest time between faults."""

    seconds: float = 60.0
    store: str = "lmdb"
    seed: int = 1
    rate: float = 200.0
    people: int = 4000
    workers: int = 2
    pause_s: tuple[float, float] = (1.0, 4.0)
    presses_per_second: float = 5.0
    faults: tuple[str, ...] = FAULTS


@dataclass
class ChaosReport:
    """What was done, and what it cost. ``commercial`` and ``informational`` are the audit's findings."""

    seconds: float = 0.0
    messages: int = 0
    attempts: int = 0
    messages_per_second: float = 0.0
    given_up: int = 0
    killed: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    refusals_confirmed: int = 0
    refusals_unconfirmed: int = 0
    presses: dict[str, int] = field(default_factory=dict)
    commercial: Findings = field(default_factory=Findings)
    informational: Findings = field(default_factory=Findings)
    evidence: EvidenceFindings = field(default_factory=EvidenceFindings)
    evidence_problems: dict[str, int] = field(default_factory=dict)
    is_evidence_intact: bool = False

    @property
    def broken(self) -> list[str]:
        """The promises that were not kept."""
        checks = {
            "commercial mail": self.commercial.is_clean,
            "informational mail": self.informational.is_clean,
            "nothing refused for good by a fault": not (self.commercial.refused or self.informational.refused),
            "all settled in the end": not (self.commercial.unsettled or self.informational.unsettled),
            "a record of everything acknowledged": self.evidence.is_clean,
            "evidence intact": self.is_evidence_intact,
        }
        return [name for name, is_kept in checks.items() if not is_kept]


class Presser:
    """People who press the unsubscribe button of mail that reached them, until they are told that it worked."""

    def __init__(self, relay: Relay, journal: Path, source: random.Random, per_second: float) -> None:
        self._relay = relay
        self._journal = journal
        self._source = source
        self._pause_s = 1 / per_second
        self._links: dict[str, str] = {}
        self._read_to = 0
        self._under_way: set[asyncio.Task[None]] = set()
        self.refusals: dict[str, PressedRefusal] = {}
        self.statuses: Counter[str] = Counter()

    async def run(self) -> None:
        """Until cancelled; then the presses under way are given up."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as browser:
            try:
                while True:
                    await asyncio.sleep(self._pause_s)
                    self._read_links()
                    open_links = [recipient for recipient in self._links if recipient not in self.refusals]
                    if open_links:
                        recipient = self._source.choice(open_links)
                        self.refusals[recipient] = PressedRefusal(time.time(), float("inf"))
                        task = asyncio.create_task(self._press(browser, recipient), name="press")
                        self._under_way.add(task)
                        task.add_done_callback(self._under_way.discard)
            finally:
                for task in self._under_way:
                    task.cancel()
                await asyncio.gather(*self._under_way, return_exceptions=True)
                self._write_journal()

    async def _press(self, browser: aiohttp.ClientSession, recipient: str) -> None:
        while True:
            try:
                async with browser.post(self._links[recipient], data=b"List-Unsubscribe=One-Click") as answer:
                    self.statuses[str(answer.status)] += 1
                    if answer.status == 200:
                        pressed_at = self.refusals[recipient].pressed_at
                        self.refusals[recipient] = PressedRefusal(pressed_at, time.time())
                        return
            except (OSError, TimeoutError, aiohttp.ClientError):
                self.statuses["no answer"] += 1
            await asyncio.sleep(_RETRY_S)

    def _read_links(self) -> None:
        with contextlib.suppress(FileNotFoundError), self._relay.journal.open("rb") as journal:
            journal.seek(self._read_to)
            for line in journal:
                if not line.endswith(b"\n"):
                    break
                self._read_to += len(line)
                taken = json.loads(line)
                if taken["link"]:
                    self._links[taken["recipients"][0]] = taken["link"]

    def _write_journal(self) -> None:
        with self._journal.open("w", encoding="utf-8") as journal:
            for recipient, refusal in self.refusals.items():
                confirmed_at = refusal.confirmed_at if refusal.confirmed_at != float("inf") else None
                line = {"recipient": recipient, "pressed_at": refusal.pressed_at, "confirmed_at": confirmed_at}
                journal.write(json.dumps(line) + "\n")


class Chaos:
    """One run in ``directory``. ``say`` is told what happens."""

    def __init__(self, options: ChaosOptions, directory: Path, say: Callable[[str], None]) -> None:
        self._options = options
        self._directory = directory
        self._say = say
        self._random = random.Random(options.seed)
        relay_port, redis_port = free_ports(2)
        self._relay = Relay(directory, relay_port)
        self._redis = Redis(directory / "redis", redis_port) if options.store == "redis" else None
        url = self._redis.url if self._redis else "lmdb:var/store"
        self._gateway = Gateway(directory, relay_port, url, workers=options.workers)
        self._killed: Counter[str] = Counter()
        self._orphans: list[int] = []
        self._senders: list[subprocess.Popen[bytes]] = []

    async def run(self) -> ChaosReport:
        """Start everything, kill for as long as asked for, let all of it settle, end everything, compare."""
        options = self._options
        try:
            self._relay.start()
            if self._redis is not None:
                self._redis.start()
            await seed(self._gateway.config, options.people)
            self._gateway.start()
            await asyncio.to_thread(self._gateway.wait_until_ready)
            presser = Presser(self._relay, self._directory / "refusals.jsonl", self._random, options.presses_per_second)
            pressing = asyncio.create_task(presser.run(), name="presser")
            self._start_senders()
            await self._kill_for(options.seconds)
            self._say("no more faults; waiting until every message is settled")
            reports = await asyncio.gather(*(asyncio.to_thread(_read_report, sender) for sender in self._senders))
            pressing.cancel()
            await asyncio.gather(pressing, return_exceptions=True)
            self._gateway.stop()
        finally:
            for sender in self._senders:
                sender.kill()  # of no effect on one that has ended
                sender.wait()
            self._gateway.kill_all()
            self._relay.end()
            if self._redis is not None:
                self._redis.end()
            wait_for_end(self._orphans)
        return self._compare(reports, presser)

    # -- load ---------------------------------------------------------------------------------------------------

    def _start_senders(self) -> None:
        rate = self._options.rate
        self._start_sender("one", rate * 0.6, 1, _COMMERCIAL)
        self._start_sender("five", rate * 0.15, 5, _COMMERCIAL)
        self._start_sender("informational", rate * 0.25, 1, _INFORMATIONAL)

    def _start_sender(self, name: str, rate: float, recipients: int, header: str) -> None:
        options = self._options
        words: dict[str, object] = {
            "--target": f"127.0.0.1:{self._gateway.port}",
            "--seconds": options.seconds,
            "--rate": rate,
            "--sessions": 8,
            "--recipients": recipients,
            "--people": options.people,
            "--header": header,
            "--sender": _SENDER,
            "--journal": self._journal(name),
            "--retry-s": _RETRY_S,
            "--attempts": 1000,
            "--patience": _PATIENCE_S,
        }
        command = [sys.executable, "-m", "loadtest.mail_generator", "--json"]
        command += [str(word) for pair in words.items() for word in pair]
        self._senders.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE))

    def _journal(self, name: str) -> Path:
        return self._directory / f"sent-{name}.jsonl"

    # -- faults -------------------------------------------------------------------------------------------------

    async def _kill_for(self, seconds: float) -> None:
        faults = [name for name in self._options.faults if name != "redis" or self._redis is not None]
        end_at = time.monotonic() + seconds
        bag: list[str] = []
        while True:
            pause_s = self._random.uniform(*self._options.pause_s)
            if time.monotonic() + pause_s >= end_at:
                break
            await asyncio.sleep(pause_s)
            if not bag:  # each of them before any comes again
                bag = self._random.sample(faults, len(faults))
            await asyncio.to_thread(self._kill, bag.pop())
        await asyncio.sleep(max(0.0, end_at - time.monotonic()))

    def _kill(self, name: str) -> None:
        self._say(f"kill -9 {name}")
        self._killed[name] += 1
        if name == "worker":
            self._gateway.kill_worker(self._random.randrange(self._options.workers))
        elif name == "gateway":
            self._gateway.kill_all()
            self._start_gateway()
        elif name == "supervisor":
            self._orphans += self._gateway.kill_supervisor()
            self._start_gateway()
        else:
            program: Program = self._relay if name == "relay" or self._redis is None else self._redis
            program.kill()
            program.start()

    def _start_gateway(self) -> None:
        """Once more where the workers of a killed supervisor still hold the ports, as a service manager would."""
        give_up_at = time.monotonic() + 20
        while True:
            self._gateway.start()
            while self._gateway.is_running and not self._gateway.status():
                time.sleep(0.05)
            if self._gateway.is_running or time.monotonic() > give_up_at:
                return
            self._killed["start refused"] += 1
            time.sleep(0.2)

    # -- comparison ---------------------------------------------------------------------------------------------

    def _compare(self, reports: list[dict[str, Any]], presser: Presser) -> ChaosReport:
        options = self._options
        everybody = {address_of(number) for number in range(1, options.people + 1)}
        consented = {address_of(number) for number in consented_numbers(1, options.people)}
        commercial = [self._journal("one"), self._journal("five")]
        informational = [self._journal("informational")]
        own = {line["id"] for line in read_lines(informational[0])}
        taken = list(read_lines(self._relay.journal))
        seconds = max(report["seconds"] for report in reports)
        messages = sum(report["messages"] for report in reports)
        answers: Counter[str] = Counter()
        for report in reports:
            answers.update(report["codes"])
            answers["connection lost"] += report["lost"]
        confirmed = sum(refusal.confirmed_at != float("inf") for refusal in presser.refusals.values())
        configuration = app.load(self._gateway.config)
        keys = app.consent_keys(configuration)
        template = MailTemplate(4096, sender=_SENDER, headers=[_COMMERCIAL])
        is_intact, problems = self._verify()
        return ChaosReport(
            seconds=round(seconds, 1),
            messages=messages,
            attempts=sum(report["attempts"] for report in reports),
            messages_per_second=round(messages / seconds, 1),
            given_up=sum(report["given_up"] for report in reports),
            killed=dict(sorted(self._killed.items())),
            answers=dict(sorted(answers.items())),
            refusals_confirmed=confirmed,
            refusals_unconfirmed=len(presser.refusals) - confirmed,
            presses=dict(sorted(presser.statuses.items())),
            commercial=compare(
                _lines_of(commercial), [line for line in taken if line["id"] not in own], consented, presser.refusals
            ),
            informational=compare(_lines_of(informational), [line for line in taken if line["id"] in own], everybody),
            evidence=compare_evidence(
                read_decisions(configuration.evidence.directory),
                _lines_of(commercial),
                taken,
                ContentHashes(template),
                {address: keys.derive(BRAND, address.encode()).hex() for address in everybody},
                consented,
                presser.refusals,
            ),
            evidence_problems=problems,
            is_evidence_intact=is_intact,
        )

    def _verify(self) -> tuple[bool, dict[str, int]]:
        command = [sys.executable, "-m", "gateway.cli", "evidence", "verify", "--json", "-c", str(self._gateway.config)]
        answer = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout)
        problems = Counter(problem["kind"] for writer in answer["writers"] for problem in writer["problems"])
        return bool(answer["intact"]), dict(problems)


def _lines_of(journals: list[Path]) -> Iterator[dict[str, Any]]:
    return chain.from_iterable(read_lines(journal) for journal in journals)


def _read_report(sender: subprocess.Popen[bytes]) -> dict[str, Any]:
    output, _ = sender.communicate()
    return dict(json.loads(output))


async def run_chaos(options: ChaosOptions, directory: Path, say: Callable[[str], None] = lambda _: None) -> ChaosReport:
    """One run with all its files in ``directory``, which must be empty."""
    directory.mkdir(parents=True, exist_ok=True)
    return await Chaos(options, directory, say).run()


def print_report(report: ChaosReport) -> None:
    """One line for each figure, and the verdict."""
    for name, value in asdict(report).items():
        if isinstance(value, dict) and name in ("commercial", "informational", "evidence"):
            for inner, number in value.items():
                print(f"{name + '.' + inner:36} {number}")
        else:
            print(f"{name:36} {value}")
    print("clean" if not report.broken else f"BROKEN PROMISES: {', '.join(report.broken)}")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, run, print; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--store", choices=["lmdb", "redis"], default="lmdb")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--faults", default=",".join(FAULTS), help="which, separated by commas")
    parser.add_argument("--directory", type=Path, help="keep all files here; left out, a temporary folder")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    options = ChaosOptions(given.seconds, given.store, given.seed, given.rate, faults=tuple(given.faults.split(",")))
    begun_at = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - begun_at:7.1f} s  {what}", file=sys.stderr)

    with contextlib.ExitStack() as cleanup:
        directory = given.directory or Path(
            cleanup.enter_context(tempfile.TemporaryDirectory(prefix="izinkapi-chaos-"))
        )
        report = run_until_told(run_chaos(options, directory, say))
    if given.json:
        json.dump({**asdict(report), "broken": report.broken}, sys.stdout)
        print()
    else:
        print_report(report)
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())

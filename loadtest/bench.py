"""The gateway beside what one would use without it, in one run: ``make bench`` or ``python -m loadtest.bench``.

Postfix's smtp-source sends commercial mail (multipart/alternative, quoted-printable, Turkish) over loopback, its
smtp-sink takes it and counts every message. smtp-source sends one and the same message, as newsletters go out, and
İzinKapı analyses a body it has met only once; so in one scenario our own generator sends bodies of which no two are
alike. Between generator and sink, in turn:

``direct``          nothing
``bare``            a proxy that only hands on (``loadtest.bare_proxy``): what sockets and event loop cost
``postfix``         Postfix's before-queue proxy without a filter behind it
``informational``   İzinKapı with mail that needs no consent: no look-up, no opt-out
``lmdb``, ``redis`` İzinKapı with commercial mail, everything on: look-up, decision, footer and one-click link for each
                    recipient, evidence on the disk before the answer, metrics, log

Each round runs every scenario through every route, one after the other, so that a slow minute of the machine meets
them all; shown are the medians. CPU time is that of everything between sender and sink (Redis included). Then, at a
fixed rate, how much later an answer comes through the gateway than without it.

    python -m loadtest.bench --quick                      a minute, to see that it works
    python -m loadtest.bench --scenario 4k-1r-keep        one of them; may be given several times
    python -m loadtest.bench --write-page                 also write docs/benchmarks.md
    python -m loadtest.bench --json bench.json            every single run

Everything lives in a temporary folder and on free ports of the loopback interface, and ends with the command.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from loadtest import postfix_proxy
from loadtest.bench_machine import describe_machine
from loadtest.bench_page import render_page, render_tables
from loadtest.bench_results import LatencyRun, Results, Run, Scenario
from loadtest.bench_servers import (
    RECIPIENT,
    SENDER,
    Server,
    Sink,
    find_program,
    free_port,
    running_bare_proxy,
    running_gateway,
    running_redis,
    running_sink,
    write_consents,
)
from loadtest.mail_generator import GeneratorReport
from loadtest.marketing_mail import MailTemplate
from loadtest.process_time import cpu_time

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"

SCENARIOS = (
    Scenario("4k-1r-keep", 4096, 1, True, 20_000, "4 kB, one recipient, sessions kept open"),
    Scenario("4k-10r-keep", 4096, 10, True, 3_000, "4 kB, ten recipients, sessions kept open"),
    Scenario("50k-1r-keep", 50_000, 1, True, 6_000, "50 kB, one recipient, sessions kept open"),
    Scenario("4k-1r-conn", 4096, 1, False, 10_000, "4 kB, one recipient, a connection for each message"),
    Scenario("4k-1r-personal", 4096, 1, True, 15_000, "4 kB, one recipient, no two bodies alike, pipelined", True),
)
ROUTES = ("direct", "bare", "postfix", "informational", "lmdb", "redis")
OURS = ("lmdb", "redis")
_WARM_UP = 10  # of so many messages one is sent before the clock runs
_QUICK = 10
LATENCY_ROUTES = ("direct", "lmdb", "redis")


class Bench:
    """The routes that stand, and how mail is sent through them."""

    def __init__(self, directory: Path, sink: Sink, servers: dict[str, Server], sessions: int) -> None:
        self._directory = directory
        self._sink = sink
        self.servers = servers
        self._sessions = sessions
        self._source = find_program("smtp-source")

    def run(self, scenario: Scenario, route: str, messages: int) -> Run:
        """Send ``messages`` and count what arrived. Raises ``RuntimeError`` where that is not what was sent."""
        self._send(scenario, route, max(200, messages // _WARM_UP))
        server = self.servers[route]
        copies = messages * scenario.recipients if route in OURS else messages
        time.sleep(0.2)
        before, at_sink = cpu_time(server.pids), self._sink.messages
        seconds = self._send(scenario, route, messages)
        arrived = self._sink.wait_for(at_sink + copies) - at_sink
        used = cpu_time(server.pids).since(before)
        if arrived != copies:
            raise RuntimeError(f"{scenario.name} through {route}: {copies} messages due at the sink, {arrived} came")
        return Run(
            scenario.name,
            route,
            messages,
            messages / seconds,
            messages * scenario.recipients / seconds,
            used.user_s / messages * 1e6,
            used.system_s / messages * 1e6,
        )

    def _send(self, scenario: Scenario, route: str, messages: int) -> float:
        """Seconds that the sending took."""
        if scenario.is_personal:
            return self._generate(route, "--messages", str(messages), "--size", str(scenario.size_bytes)).seconds
        mail = self._mail(scenario, "informational" if route == "informational" else "commercial")
        counts = ("-s", str(self._sessions), "-m", str(messages), "-r", str(scenario.recipients))
        addresses = ("-f", SENDER, "-t", RECIPIENT, "-M", "shop.example")
        started = time.perf_counter()
        subprocess.run(
            [
                *(self._source, *(("-d",) if scenario.keeps_open else ()), "-C", "10", *counts, *addresses),
                *("-F", str(mail), f"inet:127.0.0.1:{self.servers[route].port}"),
            ],
            check=True,
        )
        return time.perf_counter() - started

    def _generate(self, route: str, *arguments: str) -> GeneratorReport:
        """Our own generator, which gives every message a body of its own. Raises ``RuntimeError`` unless all went."""
        message_class = "informational" if route == "informational" else "commercial"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "loadtest.mail_generator", "--json", "--sessions", str(self._sessions)),
                *("--target", f"127.0.0.1:{self.servers[route].port}", "--header", f"X-Izin-Class: {message_class}"),
                *arguments,
            ],
            check=True,
            capture_output=True,
        )
        report = GeneratorReport(**json.loads(done.stdout))
        if report.lost or report.given_up or set(report.codes) != {"250"}:
            raise RuntimeError(f"through {route} not all were taken: {report.codes}")
        return report

    def _mail(self, scenario: Scenario, message_class: str) -> Path:
        path = self._directory / f"{message_class}-{scenario.size_bytes}.eml"
        if not path.exists():
            template = MailTemplate(scenario.size_bytes, sender=SENDER, headers=[f"X-Izin-Class: {message_class}"])
            content = b"".join(template.render(b"0" * 16, RECIPIENT.encode()))
            path.write_bytes(content.replace(b"\r\n", b"\n"))  # smtp-source makes the line ends
        return path

    def measure_latency(self, route: str, rate: int, seconds: float) -> LatencyRun:
        """Answers at ``rate`` messages a second, whatever the server does."""
        report = self._generate(route, "--rate", str(rate), "--seconds", str(seconds))
        found = report.latency_ms
        return LatencyRun(route, rate, report.settled, found["p50"], found["p99"], found["p99.9"], found["max"])


@contextmanager
def standing_bench(directory: Path, routes: Sequence[str], records: int, sessions: int) -> Iterator[Bench]:
    """Everything that ``routes`` need, until the block ends."""
    with ExitStack() as stack:
        sink = stack.enter_context(running_sink(directory))
        servers = {"direct": Server(sink.port, ())}
        if "bare" in routes:
            servers["bare"] = stack.enter_context(running_bare_proxy(directory, sink.port))
        if "postfix" in routes:
            port = free_port()
            master = stack.enter_context(postfix_proxy.running_postfix(directory / "postfix", port, sink.port))
            servers["postfix"] = Server(port, (master,))
        consents = directory / "consents.csv"
        write_consents(consents, records)
        if {"lmdb", "informational"} & set(routes):
            folder = directory / "lmdb"
            servers["lmdb"] = stack.enter_context(running_gateway(folder, "lmdb:store", sink.port, consents))
            servers["informational"] = servers["lmdb"]
        if "redis" in routes:
            redis = stack.enter_context(running_redis(directory / "redis"))
            store = f"redis://127.0.0.1:{redis.port}/0"
            gateway = stack.enter_context(running_gateway(directory / "gateway", store, sink.port, consents))
            servers["redis"] = Server(gateway.port, gateway.pids + redis.pids)
        yield Bench(directory, sink, servers, sessions)


def measure(options: argparse.Namespace, console: Console) -> Results:
    """The whole run."""
    routes = [route for route in ROUTES if not options.route or route in options.route]
    missing = postfix_proxy.why_not()
    if missing and "postfix" in routes:
        console.print(f"[yellow]without Postfix's before-queue proxy:[/yellow] {missing}")
        routes.remove("postfix")
    scenarios = [each for each in SCENARIOS if not options.scenario or each.name in options.scenario]
    results = Results(
        describe_machine(_versions(routes)), datetime.now(UTC).strftime("%Y-%m-%d"), scenarios, options.rounds
    )
    directory = Path(tempfile.mkdtemp(prefix="izinkapi-bench-", dir=options.directory))
    directory.chmod(0o755)  # Postfix's processes are another user's
    try:
        console.print("starting sink, proxies and gateways …")
        with standing_bench(directory, routes, options.records, options.sessions) as bench:
            for number in range(1, options.rounds + 1):
                for scenario in scenarios:
                    messages = scenario.messages // _QUICK if options.quick else scenario.messages
                    for route in routes:
                        run = bench.run(scenario, route, messages)
                        results.runs.append(run)
                        console.print(
                            f"  {number}/{options.rounds} {scenario.name:12} {route:14}"
                            f"{run.messages_per_second:9,.0f} messages/s {run.cpu_us:9.1f} µs CPU a message"
                        )
            if not options.no_latency:
                for number in range(1, options.rounds + 1):
                    for route in [each for each in LATENCY_ROUTES if each in bench.servers]:
                        timing = bench.measure_latency(route, options.rate, options.seconds)
                        results.latencies.append(timing)
                        console.print(
                            f"  {number}/{options.rounds} at {options.rate}/s    {route:14}"
                            f"p50 {timing.p50_ms:7.3f} ms   p99 {timing.p99_ms:7.3f} ms"
                        )
    finally:
        if options.keep:
            console.print(f"left in {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    return results


def _versions(routes: Sequence[str]) -> dict[str, str]:
    """Of the servers that stand between sender and sink."""
    redis = subprocess.run([find_program("redis-server"), "--version"], check=True, capture_output=True, text=True)
    versions = {"Redis": next((word[2:] for word in redis.stdout.split() if word.startswith("v=")), "?")}
    if "postfix" in routes:
        versions["Postfix"] = postfix_proxy.version()
    return versions


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages, one round")
    parser.add_argument("--scenario", action="append", choices=[each.name for each in SCENARIOS])
    parser.add_argument("--route", action="append", choices=ROUTES, help="only these; direct is always among them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--records", type=int, default=100_000, help="people in the index")
    parser.add_argument("--rate", type=int, default=1000, help="messages a second, for the latency")
    parser.add_argument("--seconds", type=float, default=20.0, help="so long at that rate")
    parser.add_argument("--no-latency", action="store_true")
    parser.add_argument("--directory", help="where the temporary folder goes; the evidence's disk counts")
    parser.add_argument("--keep", action="store_true", help="leave the folder with logs and evidence")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single run")
    parser.add_argument("--write-page", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.records = 1, 3.0, min(options.records, 10_000)
    if options.route:
        options.route.append("direct")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    load = os.getloadavg()[0]
    if load > 0.3:
        console.print(f"[yellow]the machine is busy[/yellow] (load {load:.1f}): ratios hold better than figures")
    results = measure(options, console)
    for table in render_tables(results):
        console.print(table)
    if options.json:
        options.json.write_text(json.dumps(asdict(results), indent=1) + "\n", encoding="utf-8")
    if options.write_page:
        PAGE.write_text(render_page(results), encoding="utf-8")
        console.print(f"written: {PAGE.relative_to(PAGE.parent.parent)}")


if __name__ == "__main__":
    main()

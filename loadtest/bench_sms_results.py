"""What ``loadtest.bench_sms`` finds and aims at; both for people, as lines and as the page docs/benchmarks-sms.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from loadtest import bench_smpp
from loadtest.bench_results import Machine

Found = dict[str, list[NamedTuple]]
"""By part (single, bulk, smpp): its ``Single``, ``Bulk`` or ``bench_smpp.Run``."""

_TARGET_PER_S = 2000.0
_TARGET_SHARE = 0.7
_TARGET_BULK_MS = 500.0
_TARGET_SMPP_PER_S = 3000.0


class Single(NamedTuple):
    """One dialect, one way: the best round. ``share`` of the bare proxy's requests per second (of CPU: inverted)."""

    dialect: str
    way: str
    per_second: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    share: float = 1.0
    cpu_share: float = 1.0


class Bulk(NamedTuple):
    """One large request: the best round."""

    dialect: str
    texts: str
    recipients: int
    to_upstream_ms: float
    after_ms: float
    all_ms: float
    cpu_ms: float
    us_per_recipient: float
    longest_wait_ms: float


def targets_of(found: Found) -> Iterator[tuple[str, float, float]]:
    """What is aimed at, what was found, and the least that will do."""
    for single in found.get("single", []):
        assert isinstance(single, Single)
        if single.way == "gateway":
            yield f"{single.dialect} requests/s", single.per_second, _TARGET_PER_S
            yield f"{single.dialect} share of the bare proxy", single.share, _TARGET_SHARE
    for bulk in found.get("bulk", []):
        assert isinstance(bulk, Bulk)
        per_500_ms = bulk.recipients * _TARGET_BULK_MS / bulk.all_ms
        yield f"recipients within {_TARGET_BULK_MS:.0f} ms, text {bulk.texts}", per_500_ms, 50_000
    for run in found.get("smpp", []):
        assert isinstance(run, bench_smpp.Run)
        if run.way == "whole":
            yield "submit_sm/s", run.per_second, _TARGET_SMPP_PER_S


def render_lines(found: Found) -> Iterator[str]:
    """For the terminal: a line each."""
    for single in found.get("single", []):
        assert isinstance(single, Single)
        yield (
            f"single {single.dialect:8} {single.way:8} {single.per_second:7.0f} requests/s, {single.cpu_us:4.0f} µs CPU"
            f" each, p50 {single.p50_ms:.1f} ms, p99 {single.p99_ms:.1f} ms; {single.share:.2f} of bare"
            f" (by CPU {single.cpu_share:.2f})"
        )
    for bulk in found.get("bulk", []):
        assert isinstance(bulk, Bulk)
        yield (
            f"bulk   {bulk.dialect:8} text {bulk.texts:4} {bulk.recipients} recipients: {bulk.to_upstream_ms:.0f} ms to"
            f" the provider + {bulk.after_ms:.0f} ms after its answer = {bulk.all_ms:.0f} ms; {bulk.cpu_ms:.0f} ms CPU,"
            f" {bulk.us_per_recipient:.1f} µs a recipient; a neighbour's longest wait {bulk.longest_wait_ms:.0f} ms"
        )
    for run in found.get("smpp", []):
        assert isinstance(run, bench_smpp.Run)
        yield (
            f"smpp   {run.way:8} {run.per_second:7.0f} submit_sm/s at window {run.window}, {run.cpu_us:.0f} µs CPU"
            f" each, p50 {run.p50_ms:.1f} ms, p99 {run.p99_ms:.1f} ms"
        )
    for words, value, target in targets_of(found):
        yield f"{'ok  ' if value >= target else 'MISS'} {words}: {value:.2f} (at least {target:g})"


_PAGE = """\
# Benchmarks of SMS

Written by `python -m loadtest.bench_sms --write-page` on {date}; without the option it only prints.

**Machine.** {cores} cores ({model}), {memory} GiB of memory, which also carry client and provider;
{versions}. Load average before the run: {load}.

**What is measured.** One worker with everything on: consents in LMDB, the opt-out put into each text, evidence on the
disk before each answer, a line of log, metrics. Client and provider share one process and speak only as much HTTP as
they must. *Single* requests have one recipient and come over {connections} kept connections, in turn through the
gateway and through a bare reverse proxy made of aiohttp's server and client ("bare"), before the same provider; the
best of {rounds} rounds counts. *Bulk* is one Netgsm request with many recipients, one text for all or each with its
own: from its last byte written by the client to its first byte at the provider, and from the provider's answer to the
answer at the client, before which comes the evidence. The neighbour is somebody else's single request meanwhile.
*SMPP* is submit_sm at a window of 50 over one connection: generator and SMSC alone, through the gateway's two sides
without a pipeline, and through a whole gateway. CPU time is what the serving process used.

Figures compare within this page only; another machine has others.

## Targets

{targets}
## Single requests

{single}
## Bulk

{bulk}
## SMPP

{smpp}"""


def render_page(found: Found, machine: Machine, date: str, rounds: int, connections: int) -> str:
    """docs/benchmarks-sms.md, of the parts that were measured. Nothing in it names the machine or a path."""
    return _PAGE.format(
        date=date,
        cores=machine.cores,
        model=machine.model,
        memory=machine.memory_gib,
        versions=", ".join(f"{name} {number}" for name, number in machine.versions.items()),
        load=machine.load,
        rounds=rounds,
        connections=connections,
        targets=_table(
            ("", "at least", "found", ""),
            [
                (words, f"{target:,g}", f"{value:,.2f}" if target < 10 else f"{value:,.0f}", _verdict(value, target))
                for words, value, target in targets_of(found)
            ],
        ),
        single=_table(
            ("dialect", "through", "requests/s", "of bare", "CPU µs each", "p50 ms", "p99 ms"),
            [_single_row(run) for run in found.get("single", []) if isinstance(run, Single)],
        ),
        bulk=_table(
            ("texts", "recipients", "to provider ms", "after ms", "CPU ms", "µs a recipient", "neighbour waits ms"),
            [_bulk_row(run) for run in found.get("bulk", []) if isinstance(run, Bulk)],
        ),
        smpp=_table(
            ("through", "submit_sm/s", "CPU µs each", "p50 ms", "p99 ms"),
            [_smpp_row(run) for run in found.get("smpp", []) if isinstance(run, bench_smpp.Run)],
        ),
    )


def _verdict(value: float, target: float) -> str:
    return "met" if value >= target else "missed"


def _single_row(run: Single) -> Sequence[str]:
    figures = (
        f"{run.per_second:,.0f}",
        f"{run.share:.2f}",
        f"{run.cpu_us:.0f}",
        f"{run.p50_ms:.1f}",
        f"{run.p99_ms:.1f}",
    )
    return run.dialect, run.way, *figures


def _bulk_row(run: Bulk) -> Sequence[str]:
    times = (run.to_upstream_ms, run.after_ms, run.cpu_ms)
    return (
        run.texts,
        f"{run.recipients:,}",
        *(f"{each:.0f}" for each in times),
        f"{run.us_per_recipient:.1f}",
        f"{run.longest_wait_ms:.0f}",
    )


def _smpp_row(run: bench_smpp.Run) -> Sequence[str]:
    cpu = f"{run.cpu_us:.0f}" if run.cpu_us else ""
    return run.way, f"{run.per_second:,.0f}", cpu, f"{run.p50_ms:.1f}", f"{run.p99_ms:.1f}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

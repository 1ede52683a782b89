"""Evidence is sealed by itself: in a child process of low priority, whose failure is told and stops nothing."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from gateway.app import load
from gateway.processes.housekeeping import Housekeeping, default_housekeeping_command
from gateway.secrets import load_or_create_secrets

CONFIGURATION = """
[store]
url = "lmdb:var/store"
[[brands]]
code = 600123
iys_code = 600123
name = "Marka"
title = "Marka A.Ş."
mersis = "0123456789012345"
opt_out_url = "https://izin.example"
[[clients]]
name = "shop"
brands = [600123]
networks = ["127.0.0.1/32"]
[[upstreams.smtp]]
name = "relay"
address = "127.0.0.1:2526"
tls = "none"
[[listeners.smtp]]
address = "127.0.0.1:2525"
upstream = "relay"
[[listeners.http]]
address = "127.0.0.1:8025"
[admin]
address = "127.0.0.1:9025"
"""


@asynccontextmanager
async def keeping_house(
    program: str | list[str], order: Callable[[], bytes] = lambda: b"", *, every_s: float = 30.0
) -> AsyncIterator[Housekeeping]:
    command = [sys.executable, "-c", program] if isinstance(program, str) else program
    housekeeping = Housekeeping(command, order, first_after_s=0.0, every_s=every_s)
    running = asyncio.create_task(housekeeping.run())
    try:
        yield housekeeping
    finally:
        running.cancel()
        await asyncio.wait([running])


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not is_so():
            await asyncio.sleep(0.01)


async def test_each_run_gets_the_order_of_its_time(tmp_path: Path) -> None:
    """After a reload the next run reads the new configuration; runs come one after the other."""
    numbers = iter(range(100))
    program = f"import sys; open({str(tmp_path / 'seen')!r}, 'ab').write(sys.stdin.buffer.read())"
    async with keeping_house(program, lambda: b"%d;" % next(numbers), every_s=0.01) as housekeeping:
        await until(lambda: housekeeping.describe()["runs"] == 3)
    assert (tmp_path / "seen").read_bytes().startswith(b"0;1;2;")
    assert housekeeping.describe()["failures"] == 0


async def test_a_failure_is_told_and_the_next_run_comes() -> None:
    """By its status, in the log and on the status page; the page is clean again after a run that succeeds."""
    with structlog.testing.capture_logs() as logs:
        async with keeping_house("import sys; sys.exit(3)", every_s=0.01) as housekeeping:
            await until(lambda: housekeeping.describe()["runs"] == 2)
    assert housekeeping.describe()["last_problem"] == "ended with status 3"
    assert housekeeping.describe()["failures"] == 2
    assert [line["problem"] for line in logs if line["event"] == "housekeeping.failed"] == ["ended with status 3"] * 2


def fail() -> bytes:
    raise ValueError("order")


def fill_the_pipe() -> bytes:
    return b"x" * 1_000_000


@pytest.mark.parametrize(
    ("program", "order", "problem"),
    [
        (["/nonexistent/izinkapi"], bytes, "FileNotFoundError"),
        (["/bin/true"], fail, "ValueError"),
        (["/bin/false"], fill_the_pipe, "ended with status 1"),
        (["/bin/true"], fill_the_pipe, ""),
    ],
)
async def test_a_run_that_cannot_be_started_or_ordered_is_a_failure_like_any_other(
    program: list[str], order: Callable[[], bytes], problem: str
) -> None:
    """The child's own word counts: one that leaves without reading its order, and content, has not failed."""
    async with keeping_house(program, order) as housekeeping:
        await until(lambda: housekeeping.describe()["runs"])
    assert housekeeping.describe()["last_problem"] == problem


async def test_the_end_of_the_gateway_ends_a_run_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that does not listen to SIGTERM; it is done again after the next start."""
    monkeypatch.setattr("gateway.processes.housekeeping._LEAVES_WITHIN_S", 0.2)
    program = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    pid_file = tmp_path / "pid"
    async with keeping_house(program):
        await until(lambda: pid_file.exists() and pid_file.read_text())
    assert not Path(f"/proc/{pid_file.read_text()}").exists()


async def test_the_real_run_seals_at_the_lowest_priority(tmp_path: Path) -> None:
    """With the configuration it is handed, in a process of its own, with its log lines among the gateway's."""
    file = tmp_path / "izinkapi.toml"
    file.write_text(CONFIGURATION)
    before = os.getpriority(os.PRIO_PROCESS, 0)
    configuration = load(file)
    load_or_create_secrets(configuration)  # as the start of the gateway does
    async with keeping_house(default_housekeeping_command(), lambda: pickle.dumps(configuration)) as housekeeping:
        await until(lambda: housekeeping.describe()["runs"])
    assert housekeeping.describe()["last_problem"] == ""
    assert (configuration.evidence.directory / "locks" / "sealing.lock").exists()
    assert os.getpriority(os.PRIO_PROCESS, 0) == before

"""The supervisor with real processes: a small worker of the test's own that answers with its pid and its order."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import orjson
import pytest

from gateway.processes.sockets import BindError, bind, close
from gateway.processes.supervisor import Supervisor

WORKER = textwrap.dedent(
    """
    import json, os, select, signal, socket, sys, time
    order = json.loads(sys.stdin.buffer.read())
    leaving = []
    signal.signal(signal.SIGTERM, lambda *_: leaving.append(1))
    if order["text"] == "dies":
        sys.exit(3)
    channel = socket.socket(fileno=order["channel"])
    listening = socket.socket(fileno=order["descriptors"]["door"])
    listening.setblocking(False)
    if order["text"] != "mute":
        channel.sendall(json.dumps({"state": "ready", "reasons": []}).encode() + b"\\n")
    channel.setblocking(False)
    while not leaving or order["text"] == "stubborn":
        ready, _, _ = select.select([listening, channel], [], [], 0.05)
        if channel in ready and channel.recv(1) == b"":
            sys.exit(0)
        if listening in ready:
            try:
                connection, _ = listening.accept()
            except BlockingIOError:
                continue
            connection.sendall(f"{os.getpid()} {order['text']}".encode())
            connection.close()
    """
)


@dataclass(frozen=True)
class Door:
    key: str = "door"
    host: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True)
class ToyPlan:
    text: str = "one"
    workers: int = 1
    drain_s: float = -4.0  # the supervisor adds five seconds
    endpoints: Sequence[Door] = field(default_factory=lambda: (Door(),))
    environment: dict[str, str] = field(default_factory=dict)

    def order(self, slot: int, file_descriptors: dict[str, int], channel: int) -> bytes:
        return orjson.dumps({"slot": slot, "descriptors": file_descriptors, "channel": channel, "text": self.text})


class Gate:
    """A supervisor under test; ``next_plan`` is what a reload will read."""

    def __init__(self, plan: ToyPlan) -> None:
        self.next_plan: ToyPlan | str = plan
        self.gone: list[int] = []
        self.supervisor = Supervisor(plan, self._load, [sys.executable, "-c", WORKER], self.gone.append)

    def _load(self) -> ToyPlan:
        if isinstance(self.next_plan, str):
            raise ValueError(self.next_plan)  # noqa: TRY004 - the text stands for the problems of a file
        return self.next_plan

    async def ask(self) -> tuple[int, str]:
        """Connect like a client; the worker's pid and its order's text."""
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.supervisor.bound_port("door"))
            answer = (await reader.read()).decode().split()
            writer.close()
            await writer.wait_closed()
        return int(answer[0]), answer[1]

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not is_so():
                await asyncio.sleep(0.02)


@pytest.fixture
async def start() -> AsyncIterator[Callable[[ToyPlan], object]]:
    running: list[tuple[Gate, asyncio.Task[None]]] = []

    async def start_gate(plan: ToyPlan) -> Gate:
        gate = Gate(plan)
        await gate.supervisor.start()
        running.append((gate, asyncio.create_task(gate.supervisor.run())))
        return gate

    yield start_gate
    for gate, task in running:
        gate.supervisor.stop()
        await task


async def test_a_killed_worker_is_replaced_and_no_connection_is_reset(start) -> None:
    """Connections made while nobody accepts wait in the backlog for the next worker of the slot."""
    gate = await start(ToyPlan())
    first, _ = await gate.ask()
    os.kill(first, signal.SIGKILL)
    answers = await asyncio.gather(*(gate.ask() for _ in range(5)))
    second = {pid for pid, _ in answers}
    assert first not in second
    assert gate.supervisor.restarts == 1
    assert gate.gone == [first]


async def test_a_slot_whose_worker_cannot_be_started_is_tried_until_it_can(start, monkeypatch) -> None:
    """No process to be had at the moment (memory, descriptors): connections wait in the backlog meanwhile."""
    monkeypatch.setattr("gateway.processes.supervisor._RESTART_PAUSES_S", (0.01, 0.05))
    gate = await start(ToyPlan())
    first, _ = await gate.ask()
    working, gate.supervisor._worker_command = gate.supervisor._worker_command, ["/nonexistent/worker"]
    os.kill(first, signal.SIGKILL)
    await gate.until(lambda: not gate.supervisor.workers)
    waiting = asyncio.create_task(gate.ask())
    await asyncio.sleep(0.2)
    gate.supervisor._worker_command = working
    assert (await waiting)[0] != first


async def test_a_generation_that_cannot_be_started_leaves_the_old_one_in_charge(start, monkeypatch) -> None:
    """The old workers go on, and are still replaced when they fall."""
    monkeypatch.setattr("gateway.processes.supervisor._RESTART_PAUSES_S", (0.01, 0.05))
    gate = await start(ToyPlan())
    first, _ = await gate.ask()
    gate.next_plan = ToyPlan(text="two")
    working, gate.supervisor._worker_command = gate.supervisor._worker_command, ["/nonexistent/worker"]
    await gate.supervisor.reload()
    assert gate.supervisor.last_reload_problem == "the new workers did not come up"
    gate.supervisor._worker_command = working
    assert await gate.ask() == (first, "one")
    os.kill(first, signal.SIGKILL)
    assert (await gate.ask())[1] == "one"


async def test_a_file_that_cannot_be_read_at_a_reload_changes_nothing(start, monkeypatch) -> None:
    """Neither a missing file nor one without permission ends anything."""
    gate = await start(ToyPlan())
    before = await gate.ask()

    def fail() -> ToyPlan:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(gate.supervisor, "_load_plan", fail)
    await gate.supervisor.reload()
    assert "Permission denied" in gate.supervisor.last_reload_problem
    assert await gate.ask() == before


async def test_a_reload_with_problems_changes_nothing(start) -> None:
    """The problems are kept for the status page and the old workers go on."""
    gate = await start(ToyPlan())
    before, _ = await gate.ask()
    gate.next_plan = "brands[0].code: expected a number"
    os.kill(os.getpid(), signal.SIGHUP)
    await gate.until(lambda: gate.supervisor.reloads["refused"] == 1)
    assert gate.supervisor.last_reload_problem == "brands[0].code: expected a number"
    assert (await gate.ask())[0] == before


async def test_a_reload_brings_up_the_new_generation_before_the_old_one_goes(start) -> None:
    """A client that connects all the time never meets a closed door."""
    gate = await start(ToyPlan())
    gate.next_plan = ToyPlan(text="two")
    texts: list[str] = []
    os.kill(os.getpid(), signal.SIGHUP)
    while gate.supervisor.reloads["done"] == 0:
        texts.append((await gate.ask())[1])
    assert (await gate.ask())[1] == "two"
    assert set(texts) <= {"one", "two"}
    assert len(gate.supervisor.workers) == 1


@pytest.mark.parametrize("text", ["dies", "mute"])
async def test_a_generation_that_does_not_come_up_is_taken_back(start, text: str, monkeypatch) -> None:
    """Workers that die or stay silent do not replace ones that work."""
    monkeypatch.setattr("gateway.processes.supervisor._START_DEADLINE_S", 0.5)
    gate = await start(ToyPlan())
    before, _ = await gate.ask()
    gate.next_plan = ToyPlan(text=text)
    await gate.supervisor.reload()
    assert gate.supervisor.last_reload_problem == "the new workers did not come up"
    assert await gate.ask() == (before, "one")
    os.kill(before, signal.SIGKILL)
    assert (await gate.ask())[1] == "one"


async def test_another_number_of_workers_asks_for_a_restart(start) -> None:
    """Listening sockets are one per slot, so the number of slots is fixed at start."""
    gate = await start(ToyPlan())
    gate.next_plan = ToyPlan(workers=2)
    await gate.supervisor.reload()
    assert gate.supervisor.last_reload_problem == (
        "workers: expected 1 as at start (a change needs a restart), found 2"
    )


async def test_a_worker_that_outstays_the_drain_time_is_killed() -> None:
    """Stopping ends, whatever a worker does."""
    gate = Gate(ToyPlan(text="stubborn"))
    await gate.supervisor.start()
    running = asyncio.create_task(gate.supervisor.run())
    pid, _ = await gate.ask()
    gate.supervisor.stop()
    async with asyncio.timeout(10):
        await running
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_workers_end_when_their_supervisor_is_gone() -> None:
    """kill -9 of the supervisor leaves no worker behind: the channel closes."""
    gate = Gate(ToyPlan())
    await gate.supervisor.start()
    pid, _ = await gate.ask()
    process = gate.supervisor.workers[0].process
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        if task.get_name() == "reports-0":
            task.cancel()
    async with asyncio.timeout(10):
        assert await process.wait() == 0
    assert pid == process.pid
    gate.supervisor.stop()
    await gate.supervisor.run()


def test_an_address_in_use_is_named() -> None:
    """Two gateways never share a port by accident, although SO_REUSEPORT would let them."""
    first = bind("127.0.0.1", 0, 2)
    port = first[0].getsockname()[1]
    try:
        with pytest.raises(BindError, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use"):
            bind("127.0.0.1", port, 2)
    finally:
        close(first)


def test_all_slots_share_one_port() -> None:
    """The kernel spreads connections over the slots' sockets."""
    bound = bind("127.0.0.1", 0, 3)
    try:
        assert len({listening.getsockname()[1] for listening in bound}) == 1
        assert all(isinstance(listening, socket.socket) for listening in bound)
    finally:
        close(bound)

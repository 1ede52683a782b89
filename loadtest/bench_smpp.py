"""Messages a second over SMPP at one window: straight to an SMSC simulator, and through the gateway's two links.

::

    python -m loadtest.bench_smpp                 20,000 messages each way, window 50
    python -m loadtest.bench_smpp --window 10 --messages 5000 --json
    python -m loadtest.bench_smpp --whole         and through a whole gateway: consents looked up, evidence kept

The client, the gateway and the SMSC are three processes on one machine, so on few cores they take time from one
another; ``cpu_us`` is what the gateway's process itself spends on a message. The pipeline between the links here reads
a message as the dialect does, puts an opt-out behind it, writes it anew and reads the answer; it looks nobody up and
keeps no evidence (``loadtest.micro_pipeline`` has the figures of that).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import socket
import struct
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple, cast

import uvloop

from adapters.smpp import SmscSender, SmscSettings, SmscUpstream
from filters.client import Client
from filters.smpp.client_session import ClientLimits
from filters.smpp.dialect import SmppDialect
from filters.sms.dialect import Call
from filters.sms.http import HttpRequest, HttpResponse
from filters.vocabulary import Outcome
from gateway.clients import ClientAccess, ClientDirectory
from gateway.smpp import Deliveries, SmppListener, SmppListenerSettings
from gateway.smpp.admission import Admission
from gateway.smpp.settings import Network
from loadtest.process_time import cpu_time
from loadtest.providers.smsc import Smsc
from loadtest.smpp_gateway import SmppGateway, seed_numbers

SUFFIX = " RET SHOP yaz 3338e gonder"
TEXT = b"Sonbahar indirimi basladi: secili urunlerde yuzde 40. Bugun son gun, magazada ve sitede."


def number_of(message: int) -> str:
    """The recipient of the ``message``-th message; none of those that meet a fate at the simulator."""
    return f"9053{2_000_000 + message}1"


class Run(NamedTuple):
    """One way's result. ``cpu_us``: of the gateway's process for each message; 0 where there is none."""

    way: str
    messages: int
    window: int
    per_second: float
    accepted: int
    p50_ms: float
    p99_ms: float
    cpu_us: float


class _Generator(asyncio.Protocol):
    """Keeps ``window`` messages unanswered until ``messages`` are answered."""

    def __init__(self, messages: int, window: int, password: bytes) -> None:
        self.password = password
        self.messages = messages
        self.window = window
        self.sent = self.answered = self.accepted = 0
        self.kept = b""
        self.sent_at: dict[int, float] = {}
        self.delays: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        body = b"shop\0" + self.password + b"\0\0\x34\0\0\0"
        self.transport.write(struct.pack(">4L", 16 + len(body), 0x09, 0, 0x7FFFFFFF) + body)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("hung up on"))

    def data_received(self, data: bytes) -> None:
        stream = self.kept + data
        at, now = 0, time.perf_counter()
        while len(stream) - at >= 16:
            length, command, status, sequence = struct.unpack_from(">4L", stream, at)
            if len(stream) - at < length:
                break
            at += length
            if command == 0x80000004:
                self.answered += 1
                self.accepted += not status
                self.delays.append(now - self.sent_at.pop(sequence))
        self.kept = stream[at:]
        self.fill(now)
        if self.answered == self.messages and not self.done.done():
            self.done.set_result(None)

    def fill(self, now: float) -> None:
        out = []
        while self.sent < self.messages and self.sent - self.answered < self.window:
            self.sent += 1
            self.sent_at[self.sent] = now
            body = b"\0\x05\0SHOP\0\x01\x01" + number_of(self.sent).encode() + b"\0"
            body += b"\0\0\0\0\0\0\0\0\0" + bytes((len(TEXT),)) + TEXT
            out.append(struct.pack(">4L", 16 + len(body), 0x04, 0, self.sent) + body)
        if out:
            self.transport.write(b"".join(out))


async def generate(port: int, messages: int, window: int, password: bytes = b"secret") -> _Generator:
    """Send ``messages`` to ``port`` and hear all answers."""
    generator = _Generator(messages, window, password)
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: generator, "127.0.0.1", port)
    try:
        async with asyncio.timeout(120):
            await generator.done
    finally:
        transport.abort()
    return generator


class _NullPipeline:
    """Everybody is permitted; each message is read, changed, written and answered as in the gateway."""

    def __init__(self, sender: SmscSender) -> None:
        self.dialect = SmppDialect()
        self.sender = sender
        self.tasks: set[asyncio.Task[None]] = set()

    def handle(
        self,
        request: HttpRequest,
        client: Client,
        is_gone: Callable[[], bool],
        answer: Callable[[HttpResponse], None],
    ) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(request, answer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _carry(self, request: HttpRequest, answer: Callable[[HttpResponse], None]) -> None:
        dialect = self.dialect
        call: Call | None = dialect.recognise(request)
        assert call is not None
        submission = dialect.read(request, call)
        kept = range(len(submission.recipients))
        outgoing = dialect.write(submission, kept, [submission.texts[0] + SUFFIX] * len(kept))
        assert dialect.read(outgoing, call).texts[0].endswith(SUFFIX)
        said = await self.sender.send(outgoing, 2.0)
        assert isinstance(said, HttpResponse)
        fates = dialect.read_answer(submission, kept, said).fates
        assert all(fate.outcome is Outcome.RELAYED for fate in fates)
        answer(dialect.write_answer(submission, fates, said, "", ()))


def run_smsc(ready: Connection) -> None:
    """In a process of its own: the simulator."""

    async def serve() -> None:
        smsc = Smsc(passwords={"shop": "secret", "gate": "secret"}, keeps=False, receipt_after_s=None)
        await smsc.start()
        ready.send(smsc.port)
        await asyncio.to_thread(ready.recv)
        await smsc.stop()

    uvloop.run(serve())


def run_gateway(ready: Connection, smsc_port: int, window: int) -> None:
    """In a process of its own: listener, null pipeline, link; sends its CPU time back when asked to end."""

    async def serve() -> None:
        home: tuple[Network, ...] = ()
        # A bind with a password costs one argon2 hash and no more; here it would only be noise.
        directory = ClientDirectory([ClientAccess(Client("shop", (600123,)), home)])
        deliveries = Deliveries("smsc")
        upstream = SmscUpstream(
            SmscSettings(
                name="smsc",
                addresses=(("127.0.0.1", smsc_port),),
                system_id="gate",
                password="secret",
                allow_cleartext=True,
                limits=ClientLimits(window=window),
            ),
            deliver=deliveries.take,
        )
        listener = SmppListener(
            SmppListenerSettings(name="bench"),
            handler=_NullPipeline(SmscSender(upstream)),
            admission=_OpenDoor(directory),
            deliveries=deliveries,
        )
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setblocking(False)
        port = listening.getsockname()[1]
        await listener.start(listening)
        upstream.start()
        while not upstream.status.bound:
            await asyncio.sleep(0.01)
        ready.send(port)
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)  # as in a worker
        await asyncio.to_thread(ready.recv)
        started = time.process_time()
        ready.send(None)
        await asyncio.to_thread(ready.recv)
        ready.send(time.process_time() - started)
        listener.close()
        await upstream.close()
        directory.close()

    uvloop.run(serve())


class _OpenDoor(Admission):
    """Lets the generator in."""

    def judge(self, bind: object, peer: str, done: Callable[[Client | int], None]) -> None:
        done(Client("shop", (600123,)))


def measure(messages: int, window: int) -> list[Run]:
    """Direct, then through the gateway; each after a short run that does not count."""
    context = multiprocessing.get_context("spawn")
    smsc_ready, smsc_end = context.Pipe()
    smsc = context.Process(target=run_smsc, args=(smsc_end,))
    smsc.start()
    smsc_port: int = smsc_ready.recv()
    ready, end = context.Pipe()
    gateway = context.Process(target=run_gateway, args=(end, smsc_port, window))
    gateway.start()
    port: int = ready.recv()
    try:
        runs = [_run("direct", smsc_port, messages, window, lambda: 0.0)]
        _warm_up(port, window)
        ready.send(None)
        ready.recv()

        def cpu_s() -> float:
            ready.send(None)
            spent: float = ready.recv()
            return spent

        runs.append(_run("gateway", port, messages, window, cpu_s, is_warm=True))
    finally:
        smsc_ready.send(None)
        gateway.join(5)
        smsc.join(5)
        for process in (gateway, smsc):
            if process.is_alive():
                process.terminate()
                process.join()
    return runs


def measure_whole(messages: int, window: int, directory: Path) -> Run:
    """Through a gateway as it is served, with one worker; every recipient has consented."""
    context = multiprocessing.get_context("spawn")
    smsc_ready, smsc_end = context.Pipe()
    smsc = context.Process(target=run_smsc, args=(smsc_end,))
    smsc.start()
    gateway = SmppGateway(directory, smsc_ready.recv(), window)
    try:
        asyncio.run(seed_numbers(gateway.config, [f"+{number_of(n)}" for n in range(1, messages + 501)]))
        gateway.start()
        gateway.wait_until_ready()
        uvloop.run(generate(gateway.port, 500, window, b""))
        before = cpu_time([gateway.pid])
        return _run(
            "whole",
            gateway.port,
            messages,
            window,
            lambda: sum(cpu_time([gateway.pid]).since(before)),
            is_warm=True,
            password=b"",
        )
    finally:
        gateway.end()
        smsc_ready.send(None)
        smsc.join(5)


def _warm_up(port: int, window: int) -> None:
    uvloop.run(generate(port, 500, window))


def _run(
    way: str,
    port: int,
    messages: int,
    window: int,
    cpu_s: Callable[[], float],
    *,
    is_warm: bool = False,
    password: bytes = b"secret",
) -> Run:
    if not is_warm:
        _warm_up(port, window)
    started = time.perf_counter()
    done = uvloop.run(generate(port, messages, window, password))
    elapsed = time.perf_counter() - started
    delays = sorted(done.delays)
    return Run(
        way,
        messages,
        window,
        messages / elapsed,
        done.accepted,
        delays[len(delays) // 2] * 1e3,
        delays[len(delays) * 99 // 100] * 1e3,
        cpu_s() / messages * 1e6,
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--window", type=int, default=50)
    parser.add_argument("--whole", action="store_true", help="through a whole gateway as well")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    runs = measure(options.messages, options.window)
    if options.whole:
        with tempfile.TemporaryDirectory(prefix="bench-smpp-") as directory:
            runs.append(measure_whole(options.messages, options.window, Path(directory)))
    if options.json:
        print(json.dumps([run._asdict() for run in runs], indent=1))
        return
    for run in runs:
        print(
            f"{run.way:8} window {run.window}: {run.per_second:8.0f} submit_sm/s, {run.accepted} of {run.messages} "
            f"accepted, p50 {run.p50_ms:.2f} ms, p99 {run.p99_ms:.2f} ms, {run.cpu_us:.0f} µs CPU each in the gateway"
        )


if __name__ == "__main__":
    main()

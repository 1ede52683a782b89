"""Measures the consent index: size, load, look-ups singly and in batches, start to ready.

    python -m loadtest.bench_index --store lmdb --records 10000000
    python -m loadtest.bench_index --store redis --records 10000000

Everything lives in a temporary folder, a Redis on a free loopback port included. Keys come in random order and
answers are checked. Start to ready is measured with warm file caches; "single" on Redis is one look-up at a time and
then as many at once as a loaded worker has. Beside the time on the clock stands the time on this process's core (that
of Redis not included): on a machine that does other work too, the second says more.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import uvloop

from adapters.store import Store, open_store
from filters.consent import unpack
from filters.consent_key import ConsentKeys
from filters.exchange import Lookup
from filters.vocabulary import LookupFailure
from gateway.consents.importer import BadRow, import_files
from loadtest.seed_index import address_of, consent_of, seed_store, write_csv

BRAND = 600123
_BATCH = 1000
_AT_ONCE = 64
_MEASURE_S = 3.0


class _Silent:
    def read(self, done_bytes: int, total_bytes: int, rows: int) -> None: ...

    def loaded(self, done_records: int, total_records: int) -> None: ...

    def rejected(self, row: BadRow) -> None: ...


@contextmanager
def _place(kind: str, directory: Path) -> Iterator[str]:
    """URL of an empty store of the bench's own."""
    if kind == "lmdb":
        yield f"lmdb:{directory / 'store'}"
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("redis-server is missing: sh config/requirements/system-packages.sh")
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


class _Span(NamedTuple):
    """``number`` things done in ``seconds`` on the clock and ``core_s`` on this process's core."""

    number: int
    seconds: float
    core_s: float

    def __str__(self) -> str:
        return (
            f"{self.number / self.seconds:>12,.0f} a second, {self.seconds / self.number * 1e6:.2f} µs each "
            f"({self.core_s / self.number * 1e6:.2f} µs of this core)"
        )


class _Watch:
    """Times what is done between its making and ``stop``."""

    def __init__(self) -> None:
        self._began, self._core_began = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    def stop(self, number: int) -> _Span:
        return _Span(number, self.seconds, time.process_time() - self._core_began)


class _Questions:
    """Random recipients whose keys were derived beforehand, so that only look-ups are timed."""

    def __init__(self, keys: ConsentKeys, records: int, number: int) -> None:
        chosen = random.Random(7)
        self.numbers = [chosen.randrange(records) for _ in range(number)]
        self.keys = [keys.derive(BRAND, address_of(recipient)) for recipient in self.numbers]

    def check(self, start: int, answer: Lookup | LookupFailure) -> None:
        assert isinstance(answer, Lookup), answer
        at = start % len(self.numbers)
        (consent,) = unpack(answer.values[0] or b"").values()
        assert consent == consent_of(self.numbers[at])[1]


async def _single(store: Store, questions: _Questions, at_once: int) -> _Span:
    """``at_once`` look-ups of one key each always under way."""
    loop = asyncio.get_running_loop()
    finished = loop.create_future()
    asked = answered = 0
    watch = _Watch()

    def ask() -> None:
        nonlocal asked
        start = asked
        asked += 1

        def done(answer: Lookup | LookupFailure) -> None:
            nonlocal answered
            answered += 1
            if answered % 97 == 0:
                questions.check(start, answer)
            if watch.seconds < _MEASURE_S:
                # Through the loop, as the next message would come; a direct call would only measure recursion.
                loop.call_soon(ask)
            elif answered == asked and not finished.done():
                finished.set_result(None)

        store.lookup(BRAND, [questions.keys[start % len(questions.keys)]], None, done)

    for _ in range(at_once):
        ask()
    await finished
    return watch.stop(answered)


def _single_direct(store: Store, questions: _Questions) -> _Span:
    """Single look-ups where the store answers at once, without the loop around them."""
    last: deque[Lookup | LookupFailure] = deque(maxlen=1)
    number = len(questions.keys)
    watch = _Watch()
    for start in range(0, number, 100):
        for key in questions.keys[start : start + 100]:
            store.lookup(BRAND, (key,), None, last.append)
        questions.check(min(start + 99, number - 1), last[0])
    return watch.stop(number)


async def _batches(store: Store, questions: _Questions) -> _Span:
    """Keys asked a thousand at a time."""
    watch = _Watch()
    number = 0
    while watch.seconds < _MEASURE_S:
        start = number % (len(questions.keys) - _BATCH)
        answer = await store.find(BRAND, questions.keys[start : start + _BATCH])
        questions.check(start, answer)
        number += _BATCH
    return watch.stop(number)


async def _fill(store: Store, keys: ConsentKeys, records: int, with_csv: bool, directory: Path) -> None:
    if with_csv:
        path = directory / "seed.csv"
        write_csv(path, records)
        watch = _Watch()
        await import_files(store, keys, BRAND, [path], state_directory=directory / "state", observer=_Silent())
        print(f"CSV import       {watch.stop(records)}, parsing and hashing included")
        return
    loading: list[_Watch] = []

    def observe(step: str, done: int) -> None:
        if step == "made" and done == records:
            loading.append(_Watch())

    await seed_store(store, keys, BRAND, records, observe, directory)
    print(f"load             {loading[0].stop(records)}, records packed already")


async def _bench(kind: str, records: int, with_csv: bool, directory: Path) -> None:
    keys = ConsentKeys(b"bench index secret".ljust(32))
    with _place(kind, directory) as url:

        def opened() -> Store:
            return open_store(url, state_directory=directory / "state", secret_fingerprint=keys.fingerprint)

        store = opened()
        await store.start()
        await _fill(store, keys, records, with_csv, directory)
        stats = await store.stats()
        print(f"size             {stats.used_bytes / records:>12.1f} bytes a record, date and source included")
        questions = _Questions(keys, records, 500_000)
        if kind == "lmdb":
            _single_direct(store, questions)
            print(f"single           {_single_direct(store, questions)}")
        else:
            print(f"single           {await _single(store, questions, 1)}, one at a time")
            print(f"single           {await _single(store, questions, _AT_ONCE)}, {_AT_ONCE} under way")
        print(f"batch of {_BATCH}    {await _batches(store, questions)}")
        await store.close()
        watch = _Watch()
        store = opened()
        await store.start()
        questions.check(0, await store.find(BRAND, questions.keys[:1]))
        print(f"start to ready   {watch.seconds * 1000:>12.1f} ms")
        await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=["lmdb", "redis"], required=True)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--csv", action="store_true", help="fill through the CSV import instead of packed records")
    parser.add_argument("--directory", type=Path, help="where the temporary folder is made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        uvloop.run(_bench(arguments.store, arguments.records, arguments.csv, Path(directory)))


if __name__ == "__main__":
    main()

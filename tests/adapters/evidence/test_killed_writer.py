"""A real writer process, killed at random moments: what it had answered is there, and the chain holds."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson

from adapters.evidence.files import list_segments
from adapters.evidence.search import EvidenceReader
from adapters.evidence.segment_reader import read_segment
from adapters.evidence.signing import Signer, TrustedKeys
from filters.evidence.chain import RECORD, read_frames
from filters.evidence.check import ProblemKind

ROOT = Path(__file__).parents[3]
LIVES = 6

PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from adapters.evidence.signing import load_signer
from adapters.evidence.writer import EvidenceWriter, WriterSettings
from filters.evidence.record import RecordKind, encode_event

folder, key, life = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

async def main():
    settings = WriterSettings(segment_bytes=60_000, sign_every_records=64)
    writer = EvidenceWriter(folder, "mx1", 0, load_signer(key), settings)
    writer.start()
    number = 0
    def submit():
        nonlocal number
        name = f"{life}-{number}"
        number += 1
        record = encode_event(RecordKind.DECISION, 1.78e9 + number, {"id": name, "filler": "x" * (number % 300)})
        def done(is_kept):
            # Straight to the pipe: the answer that a client would have got.
            os.write(1, f"{name} {is_kept}\\n".encode())
            submit()
        writer.append(record, done)
    for _ in range(16):
        submit()
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_everything_answered_before_a_kill_is_in_the_evidence(tmp_path: Path, signer: Signer, evidence: Path):
    """Over several lives of one writer: nothing answered is missing, nothing is tampered with, the chain is one."""
    dice = random.Random(20260801)
    answered: list[str] = []
    for life in range(LIVES):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(evidence), str(tmp_path / "keys" / "signing.key"), str(life)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(dice.uniform(0.02, 0.3))
        process.send_signal(signal.SIGKILL)
        lines = [first, *process.stdout.read().splitlines(keepends=True)]
        process.wait()
        process.stdout.close()
        answered += [line.split()[0].decode() for line in lines if line.endswith(b" True\n")]
        assert not [line for line in lines if line.endswith(b" False\n")]
    reader = EvidenceReader(evidence, TrustedKeys([signer.public_key]))
    (report,) = reader.verify()
    assert {problem.kind for problem in report.problems} <= {ProblemKind.UNFINISHED}
    assert len(answered) > 100
    kept = {
        orjson.loads(frame.payload)["id"]
        for file in list_segments(evidence)
        for frame in read_frames(read_segment(file))
        if frame.kind == RECORD
    }
    assert set(answered) - kept == set()
    assert report.records >= len(answered)
    assert report.segments > LIVES

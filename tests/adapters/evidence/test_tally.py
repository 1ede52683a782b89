"""The gateway's own verdicts, counted for the daily report."""

from __future__ import annotations

import time

from adapters.evidence.sealing import seal
from adapters.evidence.tally import count_verdicts

DROPPED = (600123, "email", "drop", "NO_CONSENT")


async def test_verdicts_are_counted_alike_open_and_sealed(evidence, make_writer, signer, kit):
    """Recipients, not messages; from the first bound until before the second."""
    now = float(int(time.time()))  # records keep microseconds; a bound between two of them would cut the first off
    writer = make_writer(segment_bytes=2000)
    writer.start()
    records = [
        kit.make_record(number, b"a@example.com", b"b@example.com", decided_at=now + number) for number in range(20)
    ]
    await kit.append(writer, *records)
    await writer.close()
    for _ in range(2):
        assert count_verdicts(evidence, now, now + 20) == {DROPPED: 40}
        assert count_verdicts(evidence, now + 5, now + 8) == {DROPPED: 6}
        assert count_verdicts(evidence, now - 100, now) == {}
        seal(evidence, signer, 10, time.time())


async def test_an_empty_directory_has_no_verdicts(evidence):
    assert count_verdicts(evidence, 0, time.time()) == {}

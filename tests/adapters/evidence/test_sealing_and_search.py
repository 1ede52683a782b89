"""Finding, verifying and proving records, in open and in sealed segments alike."""

from __future__ import annotations

import gzip
import os
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from adapters.evidence import sealing
from adapters.evidence.errors import EvidenceError, SigningKeyError
from adapters.evidence.files import WriterLock, list_segments
from adapters.evidence.sealing import seal
from adapters.evidence.search import EvidenceReader
from adapters.evidence.signing import (
    Signer,
    TrustedKeys,
    load_or_create_signer,
    load_public_key,
    load_signer,
)
from filters.evidence.chain import MAGIC
from filters.evidence.check import ProblemKind
from filters.evidence.export import check_export, render_export
from filters.evidence.record import RecordKind, encode_event


@pytest.fixture
def reader(evidence: Path, signer: Signer) -> EvidenceReader:
    return EvidenceReader(evidence, TrustedKeys([signer.public_key]))


@pytest.fixture
async def written(make_writer, evidence, kit):
    """Two writers, several segments, sixty messages; message 30 to two readers, a refusal of reader 7."""
    for slot in (0, 1):
        writer = make_writer(slot, segment_bytes=8000, sign_every_records=8)
        writer.start()
        for number in range(slot * 30, slot * 30 + 30):
            extra = (b"reader7@example.com",) if number == 30 else ()
            await kit.append(writer, kit.make_record(number, b"reader%d@example.com" % number, *extra))
        if slot == 0:
            key = kit.key_of(b"reader7@example.com").hex()
            fields = {"id": "r1", "brand": kit.brand, "channel": "email", "key": key}
            await kit.append(writer, encode_event(RecordKind.REFUSAL, 1_780_000_500.0, fields))
        await writer.close()
    return evidence


def ids(located) -> list[str]:
    return [one.record["id"] for one in located]


def no_problems(reader: EvidenceReader) -> bool:
    return [report.problems for report in reader.verify()] == [(), ()]


async def test_a_recipient_is_found_by_key_before_and_after_sealing(written, reader, signer, kit):
    """Every message to the address and its refusal, oldest first, the same whether sealed, half sealed or open."""
    key = kit.key_of(b"reader7@example.com")
    expected = ["m00000007", "m00000030", "r1"]
    assert ids(reader.find_recipient([key])) == expected
    report = seal(written, signer, 10, time.time())
    assert report.segments > 4
    assert report.records == 61
    assert not list(written.glob("*/*.izl"))
    assert ids(reader.find_recipient([key])) == expected
    assert seal(written, signer, 10, time.time()).segments == 0
    assert ids(reader.find_recipient([key, kit.key_of(b"reader8@example.com")])) == sorted([*expected, "m00000008"])


async def test_somebody_unknown_is_not_found(written, reader, signer, kit):
    nobody = kit.key_of(b"nobody@example.com")
    assert reader.find_recipient([nobody]) == []
    seal(written, signer, 10, time.time())
    assert reader.find_recipient([nobody]) == []
    assert reader.find_recipient([]) == []


async def test_a_message_is_found_by_its_id(written, reader, signer):
    assert ids(reader.find_message("m00000042")) == ["m00000042"]
    seal(written, signer, 10, time.time())
    assert ids(reader.find_message("m00000042")) == ["m00000042"]
    assert reader.find_message("m42") == []


async def test_the_time_asked_for_bounds_what_is_found(make_writer, evidence, reader, signer, kit):
    """From the first instant on, up to but not including the second."""
    now = int(time.time())
    writer = make_writer()
    writer.start()
    records = [kit.make_record(number, b"a@example.com", decided_at=now + number) for number in range(20)]
    await kit.append(writer, *records)
    await writer.close()
    for _ in range(2):
        found = reader.find_recipient([kit.key_of(b"a@example.com")], since_at=now + 10.0, until_at=now + 13.0)
        assert ids(found) == ["m00000010", "m00000011", "m00000012"]
        seal(evidence, signer, 10, time.time())
    assert reader.find_recipient([kit.key_of(b"a@example.com")], until_at=now - 86400 * 3) == []


async def test_a_search_in_an_empty_directory_finds_nothing(reader):
    assert reader.find_message("m1") == []
    assert reader.verify() == []


async def test_sealing_keeps_the_original_byte_for_byte(written, reader, signer):
    """Any gzip tool gives back the segment; verify reads the sealed form."""
    originals = {file.name: file.path.read_bytes() for file in list_segments(written)}
    seal(written, signer, 10, time.time())
    for file in list_segments(written):
        assert file.is_sealed
        assert gzip.decompress(file.path.read_bytes()) == originals[file.name]
        assert subprocess.run(["gzip", "-dc", file.path], capture_output=True, check=True).stdout[:8] == MAGIC
    assert no_problems(reader)


async def test_a_chain_goes_on_from_a_sealed_segment(written, reader, signer, make_writer, kit):
    seal(written, signer, 10, time.time())
    writer = make_writer(0)
    writer.start()
    await kit.append(writer, kit.make_record(99))
    await writer.close()
    assert no_problems(reader)


async def test_a_torn_tail_survives_sealing_as_it_is(make_writer, evidence, reader, signer, kit):
    """What verify has to say about it stays the same."""
    writer = make_writer()
    writer.start()
    await kit.append(writer, kit.make_record(1))
    path = list_segments(evidence)[0].path
    torn = path.read_bytes() + b"R\0\0\1"
    await writer.close()
    path.write_bytes(torn)
    (evidence / "heads" / "mx1-0.heads").unlink()
    again = make_writer()
    again.start()
    await again.close()
    seal(evidence, signer, 10, time.time())
    (report,) = reader.verify()
    assert [problem.kind for problem in report.problems] == [ProblemKind.UNFINISHED]


async def test_an_altered_sealed_segment_is_named(written, reader, signer):
    """By its record if it unpacks, by its file if it does not."""
    seal(written, signer, 10, time.time())
    file = list_segments(written)[1]
    content = file.path.read_bytes()
    record = gzip.decompress(content)
    file.path.write_bytes(gzip.compress(record.replace(b'"m00000012"', b'"m00000099"')))
    tampered = [problem for report in reader.verify() for problem in report.problems]
    assert tampered[0].kind is ProblemKind.ALTERED
    assert tampered[0].file == file.name
    file.path.write_bytes(content[:100] + b"xxxx" + content[104:])
    broken = [problem for report in reader.verify() for problem in report.problems]
    assert (broken[0].kind, broken[0].file) == (ProblemKind.UNREADABLE, file.name)


async def test_segments_being_written_are_left_alone(make_writer, evidence, signer, kit):
    """Only closed segments are sealed; the last one of a writer at work is not."""
    writer = make_writer(segment_bytes=2000)
    writer.start()
    for number in range(10):
        await kit.append(writer, kit.make_record(number))
    seal(evidence, signer, 10, time.time())
    left = list(evidence.glob("*/*.izl"))
    assert [path.name for path in left] == [writer.status()["segment"]]
    assert await kit.append(writer, kit.make_record(50)) == [True]
    await writer.close()


async def test_a_run_cut_off_at_any_step_is_done_again_without_loss(written, reader, signer, kit, monkeypatch):
    """Between any two renames the same records are found, once each."""
    key = kit.key_of(b"reader7@example.com")
    real = sealing._replace
    for fail_at in range(1, 6):
        calls = 0

        def replace(new, path, fail_at=fail_at):
            nonlocal calls
            calls += 1
            if calls == fail_at:
                raise KeyboardInterrupt
            real(new, path)

        monkeypatch.setattr(sealing, "_replace", replace)
        with pytest.raises(KeyboardInterrupt):
            seal(written, signer, 10, time.time())
        assert ids(reader.find_recipient([key])) == ["m00000007", "m00000030", "r1"]
        assert no_problems(reader)
    monkeypatch.setattr(sealing, "_replace", real)
    seal(written, signer, 10, time.time())
    assert ids(reader.find_recipient([key])) == ["m00000007", "m00000030", "r1"]
    assert no_problems(reader)


async def test_an_original_left_beside_its_sealed_form_counts_once(written, reader, signer, kit):
    """The very last step of sealing may be missing after a crash."""
    file = list_segments(written)[0]
    original = file.path.read_bytes()
    seal(written, signer, 10, time.time())
    file.path.write_bytes(original)
    assert ids(reader.find_recipient([kit.key_of(b"reader7@example.com")])) == ["m00000007", "m00000030", "r1"]
    assert no_problems(reader)


async def test_indexes_of_a_past_day_become_one(written, reader, signer, kit):
    """So that a month is some thirty files to ask."""
    (day,) = [file.path.parent for file in list_segments(written)[:1]]
    tomorrow = time.time() + 86400
    seal(written, signer, 10, tomorrow)
    assert sorted(entry.name for entry in day.glob("*.parquet")) == [
        "all-000001.messages.parquet",
        "all-000001.recipients.parquet",
    ]
    assert ids(reader.find_recipient([kit.key_of(b"reader7@example.com")])) == ["m00000007", "m00000030", "r1"]
    assert ids(reader.find_message("m00000055")) == ["m00000055"]


async def test_two_runs_at_once_are_refused(written, signer):
    """They would remove each other's files."""
    with sealing._hold(written / "locks" / "sealing.lock"), pytest.raises(EvidenceError, match="another process"):
        seal(written, signer, 10, time.time())


async def test_retention_below_the_legal_minimum_is_refused(written, signer):
    with pytest.raises(ValueError, match="at least 3 years"):
        seal(written, signer, 2, time.time())


async def test_segments_past_their_retention_go_and_the_rest_still_verifies(written, reader, signer, make_writer, kit):
    """Their end is stated and signed, so their absence is no finding."""
    (day,) = {file.path.parent for file in list_segments(written)}
    old = day.with_name("20150101")
    day.rename(old)
    writer = make_writer(0)
    writer.start()
    await kit.append(writer, kit.make_record(77))
    await writer.close()
    assert no_problems(reader)
    report = seal(written, signer, 10, datetime(2026, 8, 1, tzinfo=UTC).timestamp())
    assert report.removed_segments > 4
    assert not old.exists()
    assert no_problems(reader)
    assert ids(reader.find_message("m00000077")) == ["m00000077"]


async def test_segments_within_their_retention_stay(written, signer):
    """Ten years from the act, not from some round date."""
    (day,) = {file.path.parent for file in list_segments(written)}
    day.rename(day.with_name("20160802"))
    assert seal(written, signer, 10, datetime(2026, 8, 2, tzinfo=UTC).timestamp()).removed_segments == 0
    assert seal(written, signer, 10, datetime(2026, 8, 3, tzinfo=UTC).timestamp()).removed_segments > 0


async def test_an_export_is_checked_by_a_stranger_with_the_public_key_alone(written, reader, signer, kit):
    """The file proves each record and shows nobody else's."""
    key = kit.key_of(b"reader7@example.com")
    for _ in range(2):
        found = reader.find_recipient([key])
        lines = list(render_export(reader.prove(found), reader.public_keys(), {"message": "x"}, "2026-08-01T00:00:00Z"))
        assert check_export(lines, TrustedKeys([signer.public_key]).has_signed) == (3, [])
        assert b"m00000008" not in b"".join(lines)
        seal(written, signer, 10, time.time())


async def test_an_export_changed_anywhere_does_not_check(written, reader, signer, kit, tmp_path):
    """A word in the record, a digest, the head, the key."""
    found = reader.find_recipient([kit.key_of(b"reader8@example.com")])
    first, line = render_export(reader.prove(found), reader.public_keys(), {}, "2026-08-01T00:00:00Z")
    has_signed = TrustedKeys([signer.public_key]).has_signed
    value = orjson.loads(line)
    for change in (
        {"record": value["record"].replace("NO_CONSENT", "CONSENT")},
        {"digests": "00" * 32 + value["digests"]},
        {"link_before": "00" * 32},
        {"head": value["head"] | {"records": 1}},
        {"head": None},
        {"head": "x"},
        {"writer": "mx9-9"},
    ):
        assert len(check_export([first, orjson.dumps(value | change)], has_signed)[1]) == 1, change
    stranger = load_or_create_signer(tmp_path / "stranger.key")
    assert check_export([first, line], TrustedKeys([stranger.public_key]).has_signed)[1]
    assert check_export([b"{}", b"nonsense"], has_signed)[1]


async def test_a_proof_may_span_the_next_segment(make_writer, evidence, reader, signer, kit):
    """After a crash the next head stands in the successor."""
    writer = make_writer()
    writer.start()
    await kit.append(writer, kit.make_record(1))
    crashed = list_segments(evidence)[0].path.read_bytes()
    await writer.close()
    list_segments(evidence)[0].path.write_bytes(crashed)
    (evidence / "heads" / "mx1-0.heads").unlink()
    lines = list(render_export(reader.prove(reader.find_message("m00000001")), {}, {}, ""))
    has_signed = TrustedKeys([signer.public_key]).has_signed
    assert "not signed yet" in check_export(lines, has_signed)[1][0].detail
    again = make_writer()
    again.start()
    await kit.append(again, kit.make_record(2))
    await again.close()
    lines = list(render_export(reader.prove(reader.find_message("m00000001")), {}, {}, ""))
    assert check_export(lines, has_signed) == (1, [])


async def test_a_search_while_the_writer_is_at_work_sees_what_was_answered(make_writer, reader, kit):
    """No lock, no wait."""
    writer = make_writer()
    writer.start()
    await kit.append(writer, kit.make_record(5))
    assert ids(reader.find_recipient([kit.key_of(b"reader5@example.com")])) == ["m00000005"]
    assert reader.verify()[0].problems == ()
    await writer.close()


def test_several_workers_starting_at_once_share_one_key(tmp_path):
    """The first one makes it, the others take it."""
    path = tmp_path / "keys" / "signing.key"
    pids = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            load_or_create_signer(path)
            os._exit(0)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
    assert load_signer(path).key_id == load_or_create_signer(path).key_id
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["signing.key"]


def test_a_key_of_another_kind_is_refused_with_its_path(tmp_path):
    path = tmp_path / "signing.key"
    with pytest.raises(SigningKeyError, match=r"signing\.key"):
        load_signer(path)
    path.write_text("nonsense")
    with pytest.raises(SigningKeyError, match=r"signing\.key"):
        load_signer(path)
    signer = load_or_create_signer(tmp_path / "good.key")
    public = tmp_path / "public.pem"
    public.write_text(signer.public_pem())
    assert TrustedKeys([load_public_key(public)]).pems() == {signer.key_id: signer.public_pem()}
    with pytest.raises(SigningKeyError):
        load_public_key(tmp_path / "good.key")


def test_the_lock_of_a_writer_is_free_again_after_its_release(tmp_path):
    first = WriterLock(tmp_path, "mx1", 0)
    second = WriterLock(tmp_path, "mx1", 0)
    assert (first.writer, second.writer) == ("mx1-0", "mx1-1000")
    first.release()
    second.release()
    assert WriterLock(tmp_path, "mx1", 0).writer == "mx1-0"
    with pytest.raises(ValueError, match="node name"):
        WriterLock(tmp_path, "../mx1", 0)

"""Whatever is done to written evidence, the check says that and where; untouched evidence passes."""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from filters.evidence.chain import (
    GENESIS,
    HEAD,
    HEADER,
    MAGIC,
    RECORD,
    Expiry,
    Head,
    SegmentHeader,
    encode_frame,
    encode_records,
    parse_head,
    parse_header,
    read_frames,
    summarise_segment,
)
from filters.evidence.check import ChainCheck, ProblemKind, WriterReport

WRITER = "mx1-0"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def has_signed(key_id: str, statement: bytes, signature: bytes) -> bool:
    try:
        KEY.public_key().verify(signature, statement)
    except InvalidSignature:
        return False
    return key_id == "k1"


class Chain(NamedTuple):
    """Segments by name, and the heads file."""

    segments: dict[str, bytes]
    heads: list[Head]


def write_chain(
    *segments: int, per_head: int = 5, key: Ed25519PrivateKey = KEY, records: list[bytes] | None = None
) -> Chain:
    """As the writer does: each number is a segment with so many records, a head after ``per_head`` and at the end."""
    link, total, heads, files = GENESIS, 0, [], {}
    name, size = "", 0
    for number, count in enumerate(segments):
        header = SegmentHeader(
            WRITER, number, "2026-08-01T00:00:00Z", total, len(heads), link.hex(), name, size, 0, "k1"
        )
        frame, link = encode_frame(HEADER, header.encode(), link)
        data = MAGIC + frame
        for index in range(count):
            payload = (
                orjson.dumps({"at": f"2026-08-01T00:00:{total:02d}Z", "id": f"m{total}"})
                if records is None
                else records[total]
            )
            frame, link = encode_frame(RECORD, payload, link)
            data += frame
            total += 1
            is_last = index == count - 1
            if is_last or (index + 1) % per_head == 0:
                head = Head(
                    WRITER, len(heads), number, total, link.hex(), f"2026-08-01T01:00:{total:02d}Z", is_last, "k1"
                )
                head = head._replace(signature=key.sign(head.statement()).hex())
                frame, link = encode_frame(HEAD, head.encode(), link)
                data += frame
                heads.append(head)
        name, size = f"s{number}", len(data)
        files[name] = data
    return Chain(files, heads)


def check(chain: Chain, kept: list[Head] | None = None, expiry: Expiry | None = None) -> WriterReport:
    checking = ChainCheck(WRITER, has_signed, expiry)
    for name, data in chain.segments.items():
        checking.check_segment(name, data)
    return checking.finish(chain.heads, kept or ())


def kinds(report: WriterReport) -> list[ProblemKind]:
    return [problem.kind for problem in report.problems]


def frames_of(data: bytes) -> list[bytes]:
    return [data[frame.offset : frame.end] for frame in read_frames(data)]


def edit(chain: Chain, name: str, change) -> Chain:
    """``chain`` with the list of frames of one segment changed in place."""
    frames = frames_of(chain.segments[name])
    change(frames)
    return Chain(chain.segments | {name: MAGIC + b"".join(frames)}, chain.heads)


def test_untouched_evidence_passes():
    """Three segments, fourteen records, nothing to report."""
    report = check(write_chain(7, 3, 4))
    assert report.problems == ()
    assert (report.segments, report.records, report.unsigned) == (3, 14, 0)
    assert report.last_head is not None
    assert report.last_head.records == 14


@given(st.data())
def test_any_altered_byte_is_noticed_in_the_record_it_stands_in(data):
    """Flip any bit of any segment: the first finding names the file, and the frame that holds the byte or the next."""
    chain = write_chain(6, 3)
    name = data.draw(st.sampled_from(sorted(chain.segments)))
    content = bytearray(chain.segments[name])
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    report = check(Chain(chain.segments | {name: bytes(content)}, chain.heads))
    assert any(problem.is_tampering for problem in report.problems)
    first = report.problems[0]
    assert first.file in (name, "s1" if name == "s0" else name, "")
    holder = [frame for frame in read_frames(chain.segments[name]) if frame.offset <= at < frame.end]
    if holder and holder[0].kind == RECORD and first.kind is ProblemKind.ALTERED:
        assert first.file == name
        assert first.offset == holder[0].offset


def test_an_altered_record_is_named_by_file_number_offset_and_time():
    """What an auditor needs to look at it."""
    chain = write_chain(6, 6)
    offset = chain.segments["s1"].index(b'"m8"')
    touched = chain.segments["s1"].replace(b'"m8"', b'"x8"')
    (problem,) = check(Chain(chain.segments | {"s1": touched}, chain.heads)).problems
    assert (problem.kind, problem.file, problem.record) == (ProblemKind.ALTERED, "s1", 3)
    assert problem.offset < offset < problem.offset + 100
    assert problem.at == "2026-08-01T00:00:08Z"


def test_a_removed_record_is_missing_before_the_next():
    chain = edit(write_chain(10), "s0", lambda frames: frames.pop(3))
    (problem,) = check(chain).problems
    assert (problem.kind, problem.record, problem.detail) == (
        ProblemKind.REMOVED, 3, "1 record(s) missing before this one",
    )  # fmt: skip


def test_swapped_records_are_noticed_at_the_first():
    def swap(frames):
        frames[2], frames[3] = frames[3], frames[2]

    report = check(edit(write_chain(10), "s0", swap))
    assert kinds(report) == [ProblemKind.ALTERED]
    assert report.problems[0].record == 2


def test_an_inserted_record_is_noticed_even_with_a_link_that_fits():
    """The forger links the new record to the one before; the one after it no longer joins."""

    def insert(frames):
        link = frames[2][-32:]
        frames.insert(3, encode_frame(RECORD, b'{"id":"forged"}', link)[0])

    (problem,) = check(edit(write_chain(10), "s0", insert)).problems
    assert problem.kind is ProblemKind.INSERTED
    assert problem.detail.startswith("1 record(s) inserted")


@given(st.integers(1, 400))
def test_a_truncated_file_is_noticed_at_every_length(cut):
    """The heads file remembers more records than the file has."""
    chain = write_chain(10)
    data = chain.segments["s0"]
    cut = min(cut, len(data) - 1)
    report = check(Chain({"s0": data[:-cut]}, chain.heads))
    assert any(problem.is_tampering for problem in report.problems)


def test_a_file_truncated_before_its_successor_is_named():
    """The successor's header says how long its predecessor was."""
    chain = edit(write_chain(5, 5), "s0", lambda frames: frames.__delitem__(slice(4, None)))
    first = check(chain).problems[0]
    assert (first.kind, first.file, first.record) == (ProblemKind.TRUNCATED, "s0", 3)


def test_a_removed_segment_is_noticed_wherever_it_stood():
    """First, middle or last, and all of them."""
    for gone in ("s0", "s1", "s2"):
        chain = write_chain(4, 4, 4)
        del chain.segments[gone]
        assert ProblemKind.SEGMENT_MISSING in kinds(check(chain)), gone
    chain = write_chain(4, 4)
    chain.segments.clear()
    assert kinds(check(chain)) == [ProblemKind.SEGMENT_MISSING]


def test_a_segment_shown_twice_is_noticed():
    chain = write_chain(4, 4)
    chain.segments["s9"] = chain.segments["s1"]
    assert any(problem.is_tampering for problem in check(chain).problems)


def test_a_chain_computed_anew_is_betrayed_by_its_heads():
    """Whoever rewrites a record and every link after it still lacks the key."""
    honest = write_chain(10)
    records = [frame.payload for frame in read_frames(honest.segments["s0"]) if frame.kind == RECORD]
    records[6] = b'{"id":"rewritten"}'
    forged = write_chain(10, records=records)
    heads = [frame.payload for frame in read_frames(honest.segments["s0"]) if frame.kind == HEAD]

    def keep_old_heads(frames):
        """New links throughout, the old signed heads in between."""
        link, at = GENESIS, 0
        for number, frame in enumerate(frames):
            kind, payload = frame[0], frame[5:-32]
            if kind == HEAD:
                payload, at = heads[at], at + 1
            frames[number], link = encode_frame(kind, payload, link)

    report = check(Chain(edit(forged, "s0", keep_old_heads).segments, honest.heads))
    first = report.problems[0]
    assert first.kind is ProblemKind.ALTERED
    assert first.record == 6  # the first record after the last head that still fits
    assert "records 6 to 10" in first.detail


def test_heads_signed_by_a_strangers_key_are_forged():
    assert set(kinds(check(write_chain(5, key=STRANGER)))) == {ProblemKind.FORGED_SIGNATURE}


def test_a_forged_heads_file_is_noticed():
    """A head that the chain does not hold, and one whose count was changed."""
    chain = write_chain(5)
    changed = chain.heads[0]._replace(records=4)
    assert ProblemKind.FORGED_SIGNATURE in kinds(check(Chain(chain.segments, [changed])))
    assert ProblemKind.FORGED_SIGNATURE in kinds(check(Chain(chain.segments, [*chain.heads, None])))


def test_a_shortened_heads_file_is_noticed_but_for_the_last_line():
    """The last line may be missing for a moment; more is somebody's work."""
    chain = write_chain(20)
    assert kinds(check(Chain(chain.segments, chain.heads[:-1]))) == [ProblemKind.UNFINISHED]
    assert ProblemKind.HEAD_MISSING in kinds(check(Chain(chain.segments, chain.heads[:-2])))
    assert ProblemKind.HEAD_MISSING in kinds(check(Chain(chain.segments, chain.heads[1:])))


def test_everything_rolled_back_together_is_noticed_by_a_head_kept_elsewhere():
    """What the files alone cannot tell: segments and heads file cut back to the same earlier head."""
    whole, earlier = write_chain(10), write_chain(5)
    rolled_back = Chain(
        {"s0": MAGIC + b"".join(frames_of(whole.segments["s0"])[:7])}, [parse_head(whole.heads[0].encode())]
    )
    assert check(rolled_back).problems == ()
    report = check(rolled_back, kept=[whole.heads[-1]])
    assert kinds(report) == [ProblemKind.TRUNCATED]
    assert "head kept" in report.problems[0].detail
    assert earlier.heads


def test_bytes_added_to_a_closed_segment_are_noticed():
    chain = write_chain(5, 5)
    chain.segments["s0"] += b"more"
    assert kinds(check(chain)) == [ProblemKind.INSERTED]


def test_garbage_after_the_last_record_is_not_taken_for_an_unfinished_write():
    chain = write_chain(5)
    chain.segments["s0"] += b"x" * 200
    assert kinds(check(chain)) == [ProblemKind.ALTERED]


def test_a_file_that_is_no_segment_is_unreadable():
    chain = write_chain(5)
    chain.segments["s1"] = b"not a segment at all"
    assert ProblemKind.UNREADABLE in kinds(check(chain))


def test_segments_past_their_retention_are_no_finding_if_their_end_is_signed():
    """The statement must be signed by a known key; without it their absence is tampering."""
    chain = write_chain(5, 5, 5)
    end = summarise_segment(chain.segments["s0"])
    assert end is not None
    expiry = Expiry(WRITER, 0, end.records, end.heads, end.link.hex(), "2036-08-01T00:00:00Z", "k1")
    signed = expiry._replace(signature=KEY.sign(expiry.statement()).hex())
    del chain.segments["s0"]
    assert check(chain, expiry=signed).problems == ()
    forged = expiry._replace(signature=STRANGER.sign(expiry.statement()).hex())
    assert kinds(check(chain, expiry=forged))[:2] == [ProblemKind.FORGED_SIGNATURE, ProblemKind.SEGMENT_MISSING]
    assert ProblemKind.SEGMENT_MISSING in kinds(check(chain))


@given(st.binary(max_size=600))
def test_arbitrary_bytes_never_break_the_check(data):
    """A damaged file is a finding, not a crash of the tool that looks for damage."""
    for content in (data, MAGIC + data, write_chain(2).segments["s0"] + data):
        check(Chain({"s0": content}, []))


@given(st.lists(st.binary(max_size=200), max_size=30))
def test_frames_written_in_one_go_read_back_as_they_were(records):
    """``encode_records`` and ``read_frames`` are inverse, and the links follow the stated rule."""
    pieces, last = encode_records(records, GENESIS)
    frames = list(read_frames(MAGIC + b"".join(pieces)))
    assert [frame.payload for frame in frames] == records
    link = GENESIS
    for frame, record in zip(frames, records, strict=True):
        framed = b"R" + len(record).to_bytes(4, "big") + record
        link = sha256(link + sha256(framed).digest()).digest()
        assert frame.link == link
    assert last == link


def test_header_and_head_survive_their_encoding():
    header = SegmentHeader(WRITER, 3, "t", 5, 2, "00", "n", 7, 0, "k1")
    assert parse_header(header.encode()) == header
    head = Head(WRITER, 1, 2, 3, "00", "t", True, "k1", "ff")
    assert parse_head(head.encode()) == head

"""A record shown to a third party: the record itself, and digests that lead from it to a signed head.

The proof of one record: ``link_before`` it, then the SHA-256 digests of the frames that follow up to the next head.
Whoever repeats ``link = SHA-256(link + digest)`` from ``link_before`` over the record's own digest and the rest must
arrive at the link that the head states, and the head is signed. Nobody else's record is shown for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from filters.evidence.chain import (
    GENESIS,
    HEAD,
    HEADER,
    LINK_BYTES,
    RECORD,
    Buffer,
    HasSigned,
    encode_frame,
    next_link,
    parse_head,
    parse_header,
    read_frames,
)

EXPORT_KIND = "izinkapi.evidence.export"


class Located(NamedTuple):
    """A record and where it stands; ``number`` counts the records of its segment from 1."""

    writer: str
    segment: int
    name: str
    number: int
    payload: bytes
    record: dict[str, Any]


class _Open:
    """A proof on its way to the next head."""

    __slots__ = ("digests", "link_before", "located")

    def __init__(self, located: Located, link_before: bytes) -> None:
        self.located = located
        self.link_before = link_before
        self.digests: list[bytes] = []

    def close(self, head: bytes | None) -> dict[str, object]:
        located = self.located
        return {
            "kind": "record",
            "writer": located.writer,
            "segment": located.name,
            "number": located.number,
            "record": located.payload.decode(),
            "link_before": self.link_before.hex(),
            "digests": b"".join(self.digests).hex(),
            "head": orjson.loads(head) if head is not None else None,
        }


class Prover:
    """Fed the segments of one writer in order, gives the proofs of ``wanted`` (sorted by segment and number)."""

    def __init__(self, wanted: Sequence[Located]) -> None:
        self._wanted = {(one.segment, one.number): one for one in wanted}
        self._segments = {one.segment for one in wanted}
        self._open: list[_Open] = []

    def wants(self, segment: int) -> bool:
        """Whether the segment holds a wanted record, or the head that a proof still waits for."""
        return segment in self._segments or bool(self._open)

    def read(self, segment: int, data: Buffer) -> Iterator[dict[str, object]]:
        number = 0
        link = GENESIS
        for frame in read_frames(data):
            if frame.kind == HEADER:
                link = bytes.fromhex(parse_header(frame.payload).previous_link)
            if frame.kind == HEAD and self._open:
                for proof in self._open:
                    yield proof.close(frame.payload)
                self._open.clear()
            for proof in self._open:
                proof.digests.append(frame.digest)
            if frame.kind == RECORD:
                number += 1
                located = self._wanted.get((segment, number))
                if located is not None:
                    self._open.append(_Open(located, link))
            link = frame.link

    def finish(self) -> Iterator[dict[str, object]]:
        """What no head followed yet: shown without a head, to be exported again after the next signing."""
        for proof in self._open:
            yield proof.close(None)
        self._open.clear()


class ExportProblem(NamedTuple):
    """``line`` of the exported file from 1, and what is wrong with it."""

    line: int
    detail: str


def render_export(
    records: Iterable[dict[str, object]], public_keys: dict[str, str], question: dict[str, object], exported_at: str
) -> Iterator[bytes]:
    """The lines of an export file: one that says what it is and how to check it, then one a record."""
    yield orjson.dumps(
        {
            "kind": EXPORT_KIND,
            "format": 1,
            "exported_at": exported_at,
            "question": question,
            "public_keys": public_keys,
            "how_to_check": [
                "digest = SHA-256('R' + length of record in 4 bytes, big-endian + record as UTF-8)",
                "link = SHA-256(link_before + digest), then link = SHA-256(link + d) for each 32-byte d in digests",
                "the result must be head.link",
                "head.signature is Ed25519, by the key head.key_id, over nine lines, each ended by LF:",
                "'izinkapi evidence head 1', writer, number, segment, records, link, signed_at, closes or open, key_id",
                "the key id is the first 16 hex digits of SHA-256 over the raw public key",
                "compare the public key with one you had from another source: a file can vouch for itself only so far",
            ],
        }
    )
    for record in records:
        yield orjson.dumps(record)


def check_export(lines: Iterable[bytes], has_signed: HasSigned) -> tuple[int, list[ExportProblem]]:
    """How many records the file holds, and what does not hold in it. Needs nothing but the file and a trusted key."""
    problems: list[ExportProblem] = []
    records = 0
    for number, line in enumerate(lines, 1):
        try:
            value = orjson.loads(line)
            if number == 1:
                if value["kind"] != EXPORT_KIND or value["format"] != 1:
                    problems.append(ExportProblem(1, "not an export of evidence"))
                continue
            records += 1
            detail = _check_record(value, has_signed)
        except (ValueError, KeyError, TypeError, AttributeError):
            detail = "not a record with its proof"
        if detail:
            problems.append(ExportProblem(number, detail))
    return records, problems


def _check_record(value: dict[str, Any], has_signed: HasSigned) -> str:
    if value["head"] is None:
        return "not signed yet: export it again after the next signing"
    _, link = encode_frame(RECORD, value["record"].encode(), bytes.fromhex(value["link_before"]))
    digests = bytes.fromhex(value["digests"])
    for at in range(0, len(digests), LINK_BYTES):
        link = next_link(link, digests[at : at + LINK_BYTES])
    head = parse_head(orjson.dumps(value["head"]))
    if head.link != link.hex():
        return "the record does not lead to the signed head"
    if head.writer != value["writer"] or not has_signed(head.key_id, head.statement(), bytes.fromhex(head.signature)):
        return "the head is not signed by a known key"
    return ""

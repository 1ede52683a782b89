"""Compares what clients were told with the evidence that was kept of it.

A record knows neither the generator's id nor an address: it is found by the hash of the content as it came, which is
made again here from the generator's template, and by the keyed hash of the recipient.

    unproved               pairs acknowledged with 2xx without a record that says what became of them: relayed, or
                           dropped (in a message to several of whom one may not have it)
    permitted_wrongly      recipients of records permitted though their registry status was not ONAY
    permitted_after        the same for those decided after the person's refusal was confirmed
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from math import inf
from pathlib import Path
from typing import Any

import orjson

from adapters.evidence.files import list_segments
from adapters.evidence.segment_reader import read_segment
from filters.evidence.chain import RECORD, read_frames
from loadtest.audit import Pair, PressedRefusal
from loadtest.marketing_mail import MailTemplate


@dataclass
class EvidenceFindings:
    """Counts. ``copies_without_record``: pairs at the sink no record says were handed over. What was cut off between
    hand-over and record leaves them; the client had no answer and came again."""

    records: int = 0
    unproved: int = 0
    permitted_wrongly: int = 0
    permitted_after: int = 0
    copies_without_record: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not (self.unproved or self.permitted_wrongly or self.permitted_after)


def read_decisions(directory: Path) -> Iterator[dict[str, Any]]:
    """All decision records under ``directory``, segment by segment."""
    for file in list_segments(directory):
        for frame in read_frames(read_segment(file)):
            if frame.kind == RECORD:
                record = orjson.loads(frame.payload)
                if record["kind"] == "decision":
                    yield record


class ContentHashes:
    """The hash under which the gateway records a message of ``template``."""

    def __init__(self, template: MailTemplate) -> None:
        self._template = template
        self._known: dict[Pair, str] = {}

    def of(self, load_id: str, first_recipient: str) -> str:
        """SHA-256 in hex; the first recipient of an attempt stands in its To field."""
        pair = (load_id, first_recipient)
        if pair not in self._known:
            pieces = self._template.render(load_id.encode(), first_recipient.encode())
            self._known[pair] = sha256(b"".join(pieces)).hexdigest()
        return self._known[pair]


def compare_evidence(
    records: Iterable[Mapping[str, Any]],
    sent: Iterable[Mapping[str, Any]],
    taken: Iterable[Mapping[str, Any]],
    hashes: ContentHashes,
    keys: Mapping[str, str],
    consented: set[str],
    refusals: Mapping[str, PressedRefusal],
) -> EvidenceFindings:
    """``keys``: address to consent key (hex). ``sent`` holds commercial mail only, and only that is compared."""
    findings = EvidenceFindings()
    allowed = {keys[address] for address in consented}
    confirmed_at = {keys[address]: refusal.confirmed_at for address, refusal in refusals.items()}
    settled: set[Pair] = set()  # content hash and key
    handed_over: set[Pair] = set()
    for record in records:
        findings.records += 1
        if record["class"] != "commercial":
            continue
        decided_at = datetime.fromisoformat(record["at"]).timestamp()
        for recipient in record["recipients"]:
            key = recipient["key"]
            if recipient["outcome"] in ("relayed", "dropped"):
                settled.add((record["content_sha256"], key))
            if recipient["sent_sha256"] or recipient["reason"] == "ALREADY_TAKEN":
                handed_over.add((record["content_sha256"], key))
            # A suppressed duplicate permits nothing: the person has the message already.
            if recipient["verdict"] == "permit" and recipient["reason"] != "ALREADY_TAKEN":
                findings.permitted_wrongly += key not in allowed
                findings.permitted_after += decided_at > confirmed_at.get(key, inf)
    contents: dict[str, set[str]] = {}
    acknowledged: set[Pair] = set()
    attempts: dict[tuple[str, int], list[str]] = {}
    for line in sent:
        if line["event"] == "sent":
            attempts[line["id"], line["attempt"]] = line["recipients"]
            contents.setdefault(line["id"], set()).add(hashes.of(line["id"], line["recipients"][0]))
        elif line["event"] == "answered" and 200 <= line["code"] < 300:
            recipients = zip(attempts[line["id"], line["attempt"]], line["rcpt"], strict=True)
            acknowledged.update((line["id"], recipient) for recipient, code in recipients if code < 300)
    for load_id, recipient in acknowledged:
        if not any((content, keys[recipient]) in settled for content in contents[load_id]):
            findings.unproved += 1
            findings.examples.append(load_id)
    arrived = {(line["id"], recipient) for line in taken if line["id"] in contents for recipient in line["recipients"]}
    for load_id, recipient in arrived:
        if not any((content, keys[recipient]) in handed_over for content in contents[load_id]):
            findings.copies_without_record += 1
    return findings

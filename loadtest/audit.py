"""Compares what was sent, what arrived and what was allowed.

``python -m loadtest.audit --sent GENERATOR-JOURNAL --taken SINK-JOURNAL --consents CSV`` prints the findings and ends
with status 1 if a promise was broken:

    unconsented        pairs (message, recipient) at the sink whose recipient has no ONAY
    lost               pairs acknowledged with 2xx, consented, and not at the sink
    strayed            pairs at the sink that nobody sent, or whose header, text and envelope do not belong together

and says, without calling it broken, how many pairs arrived more than once (``duplicates``; a retry after an unknown
outcome may), were refused for good though consented (``refused``), or had no final answer (``unsettled``).

The CSV is what ``izinkapi consents import`` reads (``loadtest.numbered_recipients`` writes it).
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Pair = tuple[str, str]

_EXAMPLES = 5


@dataclass
class Findings:
    """Counts of pairs (message id, recipient), and a few examples of each breach by message id."""

    sent: int = 0
    acknowledged: int = 0
    taken: int = 0
    unconsented: int = 0
    lost: int = 0
    strayed: int = 0
    duplicates: int = 0
    refused: int = 0
    unsettled: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return not (self.unconsented or self.lost or self.strayed)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON lines of a journal; a last line cut short by a kill is left out."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)


def read_consents(path: Path) -> set[str]:
    """The addresses with ONAY for e-mail, as written in the CSV."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["recipient"] for row in csv.DictReader(file) if row["type"] == "EPOSTA" and row["status"] == "ONAY"}


def compare(sent: Iterable[dict[str, Any]], taken: Iterable[dict[str, Any]], consented: set[str]) -> Findings:
    """The findings; ``sent`` and ``taken`` are the lines of the two journals."""
    findings = Findings()
    attempts: dict[tuple[str, int], list[str]] = {}
    all_sent: set[Pair] = set()
    acknowledged: set[Pair] = set()
    refused: set[Pair] = set()
    for line in sent:
        if line["event"] == "sent":
            attempts[line["id"], line["attempt"]] = line["recipients"]
            all_sent.update((line["id"], recipient) for recipient in line["recipients"])
        elif line["event"] == "answered":
            recipients = attempts[line["id"], line["attempt"]]
            for recipient, code in zip(recipients, line["rcpt"], strict=True):
                if code >= 500 or (code < 300 and line["code"] >= 500):
                    refused.add((line["id"], recipient))
                elif code < 300 and 200 <= line["code"] < 300:
                    acknowledged.add((line["id"], recipient))
    arrived: Counter[Pair] = Counter()
    for line in taken:
        load_id = line["id"] or ""
        pairs = [(load_id, recipient) for recipient in line["recipients"]]
        arrived.update(pairs)
        if line["body_id"] != line["id"] or any(pair not in all_sent for pair in pairs):
            findings.strayed += 1
            _keep_example(findings, "strayed", load_id)
    for pair, count in arrived.items():
        findings.duplicates += count - 1
        if pair[1] not in consented:
            findings.unconsented += 1
            _keep_example(findings, "unconsented", pair[0])
    for pair in acknowledged:
        if pair[1] in consented and pair not in arrived:
            findings.lost += 1
            _keep_example(findings, "lost", pair[0])
    findings.sent = len(all_sent)
    findings.acknowledged = len(acknowledged)
    findings.taken = len(arrived)
    findings.refused = sum(1 for pair in refused if pair[1] in consented)
    findings.unsettled = len(all_sent - acknowledged - refused)
    return findings


def _keep_example(findings: Findings, kind: str, load_id: str) -> None:
    examples = findings.examples.setdefault(kind, [])
    if len(examples) < _EXAMPLES:
        examples.append(load_id)


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, compare, print; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.audit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sent", type=Path, required=True)
    parser.add_argument("--taken", type=Path, required=True)
    parser.add_argument("--consents", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    findings = compare(read_lines(given.sent), read_lines(given.taken), read_consents(given.consents))
    if given.json:
        json.dump({**asdict(findings), "is_clean": findings.is_clean}, sys.stdout)
        print()
    else:
        for name, value in asdict(findings).items():
            print(f"{name:14} {value}")
        print("clean" if findings.is_clean else "BROKEN PROMISES")
    return 0 if findings.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())

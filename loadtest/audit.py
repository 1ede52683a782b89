"""Compares what was sent, what arrived and what was allowed.

``python -m loadtest.audit --sent GENERATOR-JOURNAL... --taken SINK-JOURNAL --consents CSV [--refusals JOURNAL]`` prints
the findings and ends with status 1 if a promise was broken:

    unconsented        pairs (message, recipient) at the sink whose recipient has no ONAY
    after_refusal      pairs at the sink that the client began to send after the person's refusal was confirmed
    lost               pairs acknowledged with 2xx, consented, and not at the sink
    strayed            pairs at the sink that nobody sent, or whose header, text and envelope do not belong together
    repeated           copies of a pair that arrived again although the client had a 2xx for it

and says, without calling it broken, how many pairs arrived more than once (``duplicates``; a retry after an unknown
outcome may) and how the attempt before had ended for the client (``duplicate_causes``), were refused for good though
consented (``refused``), or had no final answer (``unsettled``).

The CSV is what ``izinkapi consents import`` reads (``loadtest.numbered_recipients`` writes it). The journal of refusals
has one JSON line a person: ``recipient``, ``pressed_at`` (first request) and ``confirmed_at`` (its 200, or null): from
the one to the other either answer is right. All times are seconds since 1970 of one machine's clock.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import chain
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

Pair = tuple[str, str]

_EXAMPLES = 5


@dataclass
class Findings:
    """Counts of pairs (message id, recipient), and a few examples of each breach by message id."""

    sent: int = 0
    acknowledged: int = 0
    taken: int = 0
    unconsented: int = 0
    after_refusal: int = 0
    lost: int = 0
    strayed: int = 0
    repeated: int = 0
    duplicates: int = 0
    duplicate_causes: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    unsettled: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return not (self.unconsented or self.after_refusal or self.lost or self.strayed or self.repeated)


class PressedRefusal(NamedTuple):
    """When a person first asked to be left alone, and when that was confirmed (never: infinity)."""

    pressed_at: float
    confirmed_at: float


class _Attempt(NamedTuple):
    """One attempt of the client for a pair: when it began, and how it ended for the client (a code, or "lost")."""

    sent_at: float
    ended: str


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


def read_refusals(path: Path) -> dict[str, PressedRefusal]:
    """Who refused while the run was on."""
    return {
        line["recipient"]: PressedRefusal(line["pressed_at"], line["confirmed_at"] or inf) for line in read_lines(path)
    }


class _Sent:
    """What the clients' journals say about each pair."""

    def __init__(self, lines: Iterable[dict[str, Any]]) -> None:
        self.attempts: dict[Pair, list[_Attempt]] = {}
        self.acknowledged: dict[Pair, float] = {}
        self.refused: dict[Pair, float] = {}
        open_attempts: dict[tuple[str, int], tuple[list[str], float]] = {}
        for line in lines:
            if line["event"] == "given_up":
                continue
            load_id, number = line["id"], line["attempt"]
            if line["event"] == "sent":
                open_attempts[load_id, number] = (line["recipients"], line["at"])
                for recipient in line["recipients"]:
                    self.attempts.setdefault((load_id, recipient), []).append(_Attempt(line["at"], "open"))
                continue
            recipients, sent_at = open_attempts.pop((load_id, number))
            codes = line.get("rcpt", [0] * len(recipients))
            for recipient, code in zip(recipients, codes, strict=True):
                self._end((load_id, recipient), sent_at, code, line)

    def _end(self, pair: Pair, sent_at: float, code: int, line: dict[str, Any]) -> None:
        if line["event"] == "lost":
            self.attempts[pair][-1] = _Attempt(sent_at, "connection lost")
            return
        final = code if code >= 300 else line["code"]
        self.attempts[pair][-1] = _Attempt(sent_at, str(final))
        if final >= 500:
            self.refused[pair] = line["at"]
        elif 200 <= final < 300:
            self.acknowledged[pair] = line["at"]

    def attempt_at(self, pair: Pair, at: float) -> _Attempt:
        """The attempt that a copy taken at ``at`` belongs to."""
        attempts = self.attempts[pair]
        return attempts[max(0, bisect_right([attempt.sent_at for attempt in attempts], at) - 1)]


def compare(
    sent: Iterable[dict[str, Any]],
    taken: Iterable[dict[str, Any]],
    consented: set[str],
    refusals: Mapping[str, PressedRefusal] | None = None,
) -> Findings:
    """The findings; ``sent`` and ``taken`` are the lines of the two journals."""
    refusals = refusals or {}
    findings = Findings()
    told = _Sent(sent)
    arrived: dict[Pair, list[float]] = {}
    for line in taken:
        load_id = line["id"] or ""
        pairs = [(load_id, recipient) for recipient in line["recipients"]]
        if line["body_id"] != line["id"] or any(pair not in told.attempts for pair in pairs):
            _note(findings, "strayed", load_id)
        for pair in pairs:
            arrived.setdefault(pair, []).append(line["at"])
    for pair, times in arrived.items():
        if pair[1] not in consented:
            _note(findings, "unconsented", pair[0])
        elif pair in told.attempts:
            confirmed_at = refusals[pair[1]].confirmed_at if pair[1] in refusals else inf
            if any(told.attempt_at(pair, at).sent_at > confirmed_at for at in times):
                _note(findings, "after_refusal", pair[0])
    _explain_duplicates(findings, told, arrived)

    def has_pressed(pair: Pair, at: float) -> bool:
        return pair[1] in refusals and refusals[pair[1]].pressed_at <= at

    for pair, at in told.acknowledged.items():
        if pair[1] in consented and pair not in arrived and not has_pressed(pair, at):
            _note(findings, "lost", pair[0])
    findings.sent = len(told.attempts)
    findings.acknowledged = len(told.acknowledged)
    findings.taken = len(arrived)
    findings.refused = sum(1 for pair, at in told.refused.items() if pair[1] in consented and not has_pressed(pair, at))
    findings.unsettled = len(told.attempts.keys() - told.acknowledged.keys() - told.refused.keys())
    return findings


def _explain_duplicates(findings: Findings, told: _Sent, arrived: Mapping[Pair, list[float]]) -> None:
    causes: Counter[str] = Counter()
    for pair, times in arrived.items():
        for before in sorted(times)[:-1]:
            findings.duplicates += 1
            if pair not in told.attempts:
                continue
            ended = told.attempt_at(pair, before).ended
            causes[f"after {ended}"] += 1
            if ended.startswith("2"):
                _note(findings, "repeated", pair[0])
    findings.duplicate_causes = dict(causes)


def _note(findings: Findings, kind: str, load_id: str) -> None:
    setattr(findings, kind, getattr(findings, kind) + 1)
    examples = findings.examples.setdefault(kind, [])
    if len(examples) < _EXAMPLES:
        examples.append(load_id)


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, compare, print; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.audit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sent", type=Path, required=True, nargs="+")
    parser.add_argument("--taken", type=Path, required=True)
    parser.add_argument("--consents", type=Path, required=True)
    parser.add_argument("--refusals", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    findings = compare(
        chain.from_iterable(read_lines(path) for path in given.sent),
        read_lines(given.taken),
        read_consents(given.consents),
        read_refusals(given.refusals) if given.refusals else None,
    )
    if given.json:
        json.dump({**asdict(findings), "is_clean": findings.is_clean}, sys.stdout)
        print()
    else:
        print_findings(findings)
    return 0 if findings.is_clean else 1


def print_findings(findings: Findings) -> None:
    """One line each, and the verdict."""
    for name, value in asdict(findings).items():
        print(f"{name:16} {value}")
    print("clean" if findings.is_clean else "BROKEN PROMISES")


if __name__ == "__main__":
    sys.exit(main())

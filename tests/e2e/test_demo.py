"""``izinkapi demo`` does what it says, and what it tells to look at next is there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path

EXPECTED = [
    ("250 2.0.0 taken as 1", 1),
    ("550 5.7.1 REFUSED", 0),
    ("550 5.7.1 NO_CONSENT", 0),
    ("250 2.0.0 2 relayed, 1 dropped", 2),
    ("550 5.7.1 TYPE_UNDECLARED", 0),
    ("250 2.0.0 taken as 4", 1),
    ("250 2.0.0 taken as 5", 1),
    ("550 5.7.1 REFUSED (TAG_MISSING)", 0),
    ("550 5.7.1 OPTOUT_IMPOSSIBLE", 0),
    ("250 2.0.0 taken as 6", 1),
    ("550 5.7.1 LOCAL_RET", 0),
]
"""What the client hears of each sample, and how many copies reach the relay."""

EXPECTED_SMS = [
    ("1", "code 00", "1", "1 delivered"),
    ("1", "code 00", "0", "1 refused by İYS"),
    ("4", "code 00", "2", "2 delivered, 2 refused by İYS"),
    ("1", "code 00", "1", "1 delivered"),
    ("1", "code 00", "1", "1 delivered"),
    ("1", "code 00", "0", "1 refused by İYS"),
]
"""Recipients of each SMS request, the answer, how many texts reach the provider, and what its report says."""


def izinkapi(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", *words],
        env=os.environ | {"COLUMNS": "160", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_demonstration_shows_what_became_of_each_message(tmp_path: Path) -> None:
    """Each row of its table is what happened at the relay, and each command it names answers."""
    folder = tmp_path / "demo"
    done = izinkapi("demo", "--directory", str(folder))
    assert done.returncode == 0, done.stderr
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if line.startswith("│")
    ]
    heard = [(row[3], int(row[4])) for row in rows if len(row) == 5]
    assert [
        (text[: len(expected)], copies) for (text, copies), (expected, _) in zip(heard, EXPECTED, strict=True)
    ] == EXPECTED
    told = [(row[2], row[3].partition(",")[0], row[4], row[5]) for row in rows if len(row) == 6]
    assert told == EXPECTED_SMS
    assert re.search(r"yüzde yirmi\. .*RET ORNEK yazip 3338'e", done.stdout)
    mail = [message_from_bytes(path.read_bytes()) for path in sorted((folder / "relay" / "new").glob("*.eml"))]
    assert len(mail) == sum(copies for _, copies in EXPECTED)
    assert sum("List-Unsubscribe" in each for each in mail) == len(mail) - 1  # the order confirmation has none

    commands = re.findall(r"^ +izinkapi ((?:explain|consents|evidence) .*)$", done.stdout, re.MULTILINE)
    assert len(commands) == 5
    answers = [izinkapi(*shlex.split(command)) for command in commands]
    assert [answer.returncode for answer in answers] == [0] * 5
    assert "REFUSED" in answers[0].stdout
    assert "2 records found" in answers[4].stdout

    assert izinkapi("demo", "--directory", str(tmp_path)).returncode == 2
    assert folder.exists()

"""What a widely used calculator of another house counts, in another language, is what we count."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from filters.sms.alphabet import Encoding, find_characters
from filters.sms.profiles import find_profile

FILES = Path(__file__).parent / "calculator"
NAMES = {Encoding.GSM7: "GSM-7", Encoding.UCS2: "UCS-2"}


@pytest.fixture(scope="module")
def calculator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the npm package sms-segments-calculator in it, in the version that is pinned."""
    npm = shutil.which("npm")
    assert npm is not None, "npm is missing: sh config/requirements/system-packages.sh"
    folder = tmp_path_factory.mktemp("calculator")
    for name in ("package.json", "package-lock.json", "count.js"):
        shutil.copy(FILES / name, folder)
    quiet = ("--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--no-update-notifier")
    installed = subprocess.run([npm, "ci", *quiet], cwd=folder, capture_output=True, text=True, timeout=90, check=False)
    assert installed.returncode == 0, installed.stderr
    return folder


def make_texts() -> list[str]:
    """600 texts of up to five segments: all of GSM-7, many escapes, and letters beyond it. Always the same."""
    chance = random.Random(3338)
    pools = (sorted(find_characters(Encoding.GSM7) or ()), ["a", "€", "{", "b"], ["a", "ş", "😀", "ğ"])
    return ["".join(chance.choices(pools[n % 3], k=chance.randint(1, 700))) for n in range(600)]


def test_counts_equal_those_of_a_published_calculator(calculator: Path) -> None:
    """Encoding and segments of each text, by content and without an operator's code, as Twilio bills them."""
    node = shutil.which("node")
    assert node is not None, "nodejs is missing: sh config/requirements/system-packages.sh"
    texts = make_texts()
    done = subprocess.run(
        [node, "count.js"],
        cwd=calculator,
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    profile = find_profile("twilio", code_length=0)
    ours = []
    for text in texts:
        packed = profile.pack(text)
        assert packed is not None
        ours.append([NAMES[packed[0]], packed[1].count()])
    assert ours == json.loads(done.stdout)

"""The folder of a gateway's metrics: nobody's stays behind, nobody else's is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.processes.scratch import PREFIX, remove_left_behind, scratch_folder

HOLDER = """
import sys
from gateway.processes.scratch import scratch_folder
with scratch_folder() as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory that is this test's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@pytest.fixture
def holder() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another gateway's supervisor, and its folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def leave(temporary: Path, *names: str, age_s: float = 0.0) -> Path:
    """A folder as a gateway that was killed leaves it."""
    folder = temporary / f"{PREFIX}left"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"")
    os.utime(folder, (time.time() - age_s,) * 2)
    return folder


def test_it_is_there_for_as_long_as_it_is_used(temporary: Path) -> None:
    """And gone after that, whatever was put into it."""
    with scratch_folder() as folder:
        (folder / "counter_1.db").write_bytes(b"x")
        assert list(temporary.iterdir()) == [folder]
    assert list(temporary.iterdir()) == []


def test_that_of_a_killed_gateway_is_removed_by_the_next(holder: tuple[subprocess.Popen[str], Path]) -> None:
    """As long as it lives, it stays."""
    process, folder = holder
    assert remove_left_behind() == 0
    assert folder.is_dir()
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert folder.is_dir()
    with scratch_folder() as own:
        assert own.is_dir()
        assert not folder.exists()


def test_one_with_a_living_writer_stays(temporary: Path) -> None:
    """A worker that outlives its supervisor for a moment writes on."""
    folder = leave(temporary, "in-use", f"counter_{os.getpid()}.db")
    assert remove_left_behind() == 0
    assert folder.is_dir()


def test_one_without_a_lock_is_removed_only_when_it_is_old(temporary: Path) -> None:
    """A young one may be in the making."""
    folder = leave(temporary)
    assert remove_left_behind() == 0
    os.utime(folder, (time.time() - 3600,) * 2)
    assert remove_left_behind() == 1


def test_a_link_is_left_alone(temporary: Path) -> None:
    """The directory is everybody's, and so a link in it may lead anywhere."""
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (temporary / f"{PREFIX}link").symlink_to(elsewhere)
    os.utime(elsewhere, (0, 0))
    assert remove_left_behind() == 0
    assert elsewhere.is_dir()

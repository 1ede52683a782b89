"""The folder in which the processes of one gateway share their metrics: made at the start, removed at the end.

A gateway that is killed removes nothing, so the next one does. Whether a folder is still in use shows a lock on a file
in it, which the system gives back when its holder ends, however it ends; pids alone would be given to others in time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = "izinkapi-metrics-"
_LOCK = "in-use"
_PID = re.compile(r"_(\d+)\.db\Z")
_UNLOCKED_FOR_S = 600
"""A folder without a lock is being made this moment, or was left by a release that made none."""


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder in the temporary directory, for as long as the block runs; those left behind are removed before."""
    remove_left_behind()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder
        finally:
            os.close(lock)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_left_behind() -> int:
    """Remove our own folders whose gateway is gone; how many. What cannot be judged or removed stays."""
    removed = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            # The directory is everybody's: nothing of others, and nothing that a link leads to.
            if folder.is_symlink() or not folder.is_dir() or found.st_uid != os.geteuid():
                continue
            if _is_left(folder, found.st_mtime):
                shutil.rmtree(folder)
                removed += 1
    return removed


def _is_left(folder: Path, changed_at: float) -> bool:
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return time.time() - changed_at > _UNLOCKED_FOR_S and not _has_writer(folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    # A worker may outlive its supervisor for a moment.
    return not _has_writer(folder)


def _has_writer(folder: Path) -> bool:
    """Whether a process is alive that has the number of one that wrote here."""
    pids = {int(name[1]) for entry in folder.iterdir() if (name := _PID.search(entry.name))}
    return any(_is_alive(pid) for pid in pids)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True

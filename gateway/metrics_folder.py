"""The folder in which all processes keep their metrics, and what is rendered from it (prometheus-client's multiprocess
mode); or this process's memory in its place."""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import values as prometheus_values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

ENDED = "ended"
"""In place of a process id: where the counts of processes that ended are added up."""


def use_directory(directory: Path) -> None:
    """Before any metric of this process is made: keep values in ``directory``, shared with the other processes."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    prometheus_values.ValueClass = prometheus_values.MultiProcessValue()


def use_memory() -> None:
    """Keep values in this process alone (a single process, tests)."""
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    prometheus_values.ValueClass = prometheus_values.MutexValue


def render(directory: Path) -> bytes:
    """The text that ``/metrics`` answers: all processes summed."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(directory))
    return generate_latest(registry)


def render_own(registry: CollectorRegistry) -> bytes:
    """The same for values kept in memory."""
    return generate_latest(registry)


def forget_process(directory: Path, pid: int) -> None:
    """After a process ended: its gauges go, its counts are added to those of all that ended before.

    So the folder does not grow with each restart, and no sum ever falls. Call it in the process that renders, so that
    no scrape comes in between.
    """
    mark_process_dead(pid, str(directory))
    for kind in ("counter", "histogram"):
        gone = directory / f"{kind}_{pid}.db"
        if not gone.exists():
            continue
        sums = MmapedDict(str(directory / f"{kind}_{ENDED}.db"))
        try:
            for key, value, _, _ in MmapedDict.read_all_values_from_file(str(gone)):
                before, _ = sums.read_value(key)
                sums.write_value(key, before + value, 0.0)
        finally:
            sums.close()
        gone.unlink()

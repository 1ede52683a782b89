"""The machine of a bench run, in general terms: what somebody needs to judge figures, and nothing that names it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from loadtest.bench_results import Machine


def describe_machine(more_versions: Mapping[str, str] | None = None) -> Machine:
    """To be called before the run: the load average is that of others."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = {
        "Linux": platform.release().partition("-")[0],
        "Python": platform.python_version(),
        "uvloop": version("uvloop"),
        **(more_versions or {}),
    }
    return Machine(os.cpu_count() or 1, model, round(memory, 1), versions, round(os.getloadavg()[0], 2))

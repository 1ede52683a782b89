"""CPU time that processes have used, from the kernel's own count."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


class CpuTime(NamedTuple):
    """Seconds, in the program and in the kernel for it."""

    user_s: float
    system_s: float

    def since(self, before: CpuTime) -> CpuTime:
        return CpuTime(self.user_s - before.user_s, self.system_s - before.system_s)


def cpu_time(roots: Iterable[int]) -> CpuTime:
    """What the processes ``roots`` and all below them have used so far, children that ended and were waited for
    included. Counted in ticks of 10 ms, so only good for runs of seconds."""
    user = system = 0
    for pid in _family(roots):
        try:
            # The name in brackets may hold blanks: what follows it does not.
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile; its parent has its time
        user += int(fields[11]) + int(fields[13])
        system += int(fields[12]) + int(fields[14])
    return CpuTime(user / _TICKS, system / _TICKS)


def _family(roots: Iterable[int]) -> set[int]:
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    family: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in family:
            family.add(pid)
            waiting += children.get(pid, [])
    return family

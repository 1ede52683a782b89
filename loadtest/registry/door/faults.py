"""Faults by switch: which call or push suffers, decided by counts and by chance from a seed, so that it repeats."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Any

from loadtest.registry.rules.codes import CODES

CALL_KINDS = frozenset({"code", "status", "slow", "half", "cut", "cut-after", "expired", "maintenance", "garbage"})
PUSH_KINDS = frozenset({"push-lost", "push-twice", "push-late"})


@dataclass
class Fault:
    """One switch.

    ``kind`` of a call: ``code`` (answer with the error ``code``), ``status`` (answer with ``status`` and no body),
    ``slow`` (answer ``seconds`` of real time later), ``half`` (half of the answer, then the connection is cut),
    ``cut`` (cut, nothing done), ``cut-after`` (done, then cut without an answer), ``expired`` (the token counts as
    expired), ``maintenance`` (503 with an HTML page), ``garbage`` (200 with something that is not JSON).
    Of a push: ``push-lost``, ``push-twice``, ``push-late`` (up to ``seconds`` of simulated time, so the order goes).

    It happens at ``rate`` (1.0: always), or each ``every``-th time; to calls whose path contains ``path`` and whose
    method is ``method``, where given; not to the first ``after``; at most ``count`` times (0: without end).
    """

    kind: str
    rate: float = 1.0
    every: int = 0
    path: str = ""
    method: str = ""
    after: int = 0
    count: int = 0
    code: str = "H015"
    status: int = 500
    seconds: float = 1.0
    seen: int = 0
    done: int = 0

    def __post_init__(self) -> None:
        if self.kind not in CALL_KINDS | PUSH_KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known are {', '.join(sorted(CALL_KINDS | PUSH_KINDS))}")
        if self.code not in CODES:
            raise ValueError(f"unknown code {self.code!r}")


class Faults:
    """All switches that are on."""

    def __init__(self, seed: int = 0) -> None:
        self.switches: list[Fault] = []
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Begin the same chances again."""
        self._calls = random.Random(f"calls {seed}")
        self._pushes = random.Random(f"pushes {seed}")

    def replace(self, switches: list[dict[str, Any]]) -> None:
        """Turn off what is on and turn on these. Raises ``ValueError`` or ``TypeError``."""
        self.switches = [Fault(**each) for each in switches]

    def for_call(self, method: str, path: str) -> list[Fault]:
        """What happens to this call."""
        return [
            each
            for each in self.switches
            if each.kind in CALL_KINDS
            and each.path in path
            and each.method in {"", method}
            and _happens(each, self._calls)
        ]

    def for_push(self) -> list[Fault]:
        """What happens to this delivery."""
        return [each for each in self.switches if each.kind in PUSH_KINDS and _happens(each, self._pushes)]

    def lateness(self, fault: Fault) -> float:
        return self._pushes.random() * fault.seconds

    def render(self) -> list[dict[str, Any]]:
        return [asdict(each) for each in self.switches]


def _happens(fault: Fault, chance: random.Random) -> bool:
    fault.seen += 1
    if fault.seen <= fault.after or (fault.count and fault.done >= fault.count):
        return False
    is_turn = (fault.seen - fault.after) % max(fault.every, 1) == 0
    happens = is_turn if fault.every else chance.random() < fault.rate
    fault.done += happens
    return happens

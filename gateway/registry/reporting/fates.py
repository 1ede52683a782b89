"""What the registry's answer means for one report: rules as data, no I/O.

Nothing that a person told us is thrown away: a report leaves the outbox only where the registry holds the refusal, or
something later, or says that it has nothing to be refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from filters.registry.error_codes import ERROR_RULES, Advice, advise
from filters.registry.failures import Failure, Refused

TOO_OLD = "H467"
IN_FUTURE = "H162"
DEALER_UNKNOWN = "H180"
OTHER = "other"
"""In place of a code that is none of the documented ones: labels and lists stay closed."""

_CLOCKS_DIFFER_S = 120.0
_ACCOUNT_S = 600.0


class Fate(StrEnum):
    """What became of a report; the vocabulary of logs and metrics."""

    STORED = "stored"
    """The registry has it from us."""
    HELD = "held"
    """The registry held the refusal already (H174)."""
    VETO = "veto"
    """The registry knows no consent to be refused (H175); our own refusal stays in force for ever."""
    SUPERSEDED = "superseded"
    """The registry holds a later will (H178), which the index has now as well."""
    LATE = "late"
    """Too late for the registry (H467)."""
    PARKED = "parked"
    """Cannot be reported as it is; a person has to see to it."""
    READ_AGAIN = "read_again"
    """Only a status query can tell (H178)."""
    AGAIN = "again"
    """Later, once more."""


DONE = frozenset({Fate.STORED, Fate.HELD, Fate.VETO, Fate.SUPERSEDED})


class Judged(NamedTuple):
    """``code``: the registry's, where it gave one. ``pause_s``: before it may go again."""

    fate: Fate
    code: str = ""
    pause_s: float = 0.0


_FATES = {
    Advice.TAKE_AS_DONE: Fate.HELD,
    Advice.KEEP_VETO: Fate.VETO,
    Advice.READ_AGAIN: Fate.READ_AGAIN,
    Advice.NEVER: Fate.PARKED,
}


def judge_codes(codes: Sequence[str], status: int = 400) -> Judged:
    """The fate of one item that the registry refused with ``codes``."""
    first = next((code for code in codes if code in ERROR_RULES), OTHER)
    if TOO_OLD in codes:
        return Judged(Fate.LATE, TOO_OLD)
    if IN_FUTURE in codes:  # its clock is behind ours; the refusal is no less true in two minutes
        return Judged(Fate.AGAIN, IN_FUTURE, _CLOCKS_DIFFER_S)
    if DEALER_UNKNOWN in codes:
        return Judged(Fate.PARKED, DEALER_UNKNOWN)
    advice, pause_s = advise(status, codes)
    fate = _FATES.get(advice, Fate.AGAIN)
    if advice is Advice.MEND_ACCOUNT:
        pause_s = max(pause_s, int(_ACCOUNT_S))
    return Judged(fate, first, max(float(pause_s), 5.0) if fate is Fate.AGAIN else 0.0)


def is_of_the_item(failure: Failure) -> bool:
    """Whether the answer to a single add speaks of the consent itself, not of us, our account or the way there."""
    if not isinstance(failure, Refused):
        return False
    if {TOO_OLD, IN_FUTURE, DEALER_UNKNOWN} & set(failure.codes):
        return True
    return failure.advice in _FATES

"""The settings under which decisions are made, per brand; defaults are the strict readings of the rules."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_HOUR_S = 3600


class Mixed(StrEnum):
    """What becomes of an informational message that also promotes (row R17)."""

    STRICT = "strict"
    LENIENT = "lenient"


class Abroad(StrEnum):
    """Whether recipients outside Turkey are decided by the same rules (edge case E20; phone numbers only)."""

    SAME = "same"
    EXEMPT = "exempt"


@dataclass(frozen=True, slots=True)
class Policy:
    """``*_s`` are seconds. Raises ``ValueError`` where the limits of freshness are not in ascending order.

    ``aging_after_s``, ``stale_after_s``, ``blind_after_s``: how old the watermark may be before the operator is
    alarmed, before a consent is no longer acted on, and before nothing but refusals is. No text sets a limit; 24 hours
    is what the practice knows, and the registry's change feed reaches back seven days.
    ``clock_tolerance_s``: how far the registry's clock may run ahead of ours.
    ``merchant_unrecorded_allow``: row R8, permit a declared merchant of whom the registry knows nothing.
    ``any_refusal_drops``: edge case E10, a refusal under either recipient type counts.
    ``service_opt_out``: row R16, put the opt-out into service mail too, where it fits.
    """

    aging_after_s: int = 2 * _HOUR_S
    stale_after_s: int = 24 * _HOUR_S
    blind_after_s: int = 72 * _HOUR_S
    clock_tolerance_s: int = 300
    merchant_unrecorded_allow: bool = False
    any_refusal_drops: bool = True
    mixed: Mixed = Mixed.STRICT
    abroad: Abroad = Abroad.SAME
    service_opt_out: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.aging_after_s <= self.stale_after_s <= self.blind_after_s:
            raise ValueError(
                "policy: expected 0 < aging_after_s <= stale_after_s <= blind_after_s, found "
                f"{self.aging_after_s}, {self.stale_after_s}, {self.blind_after_s}"
            )
        if self.clock_tolerance_s < 0:
            raise ValueError(f"policy: expected clock_tolerance_s >= 0, found {self.clock_tolerance_s}")

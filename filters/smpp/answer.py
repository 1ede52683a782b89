"""What the sender is told of each recipient: from fates to statuses (sms-dialects, 11.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from filters.reason import Reason
from filters.smpp.numbers import TEMPORARY, CommandStatus
from filters.sms.message import SmsFate
from filters.vocabulary import Outcome

_BY_REASON: Final = {
    Reason.ADDRESS_INVALID: CommandStatus.INVALID_DESTINATION,
    Reason.TOO_LARGE: CommandStatus.INVALID_LENGTH,
    Reason.OVERLOADED: CommandStatus.THROTTLED,
}


@dataclass(frozen=True, slots=True)
class ConsentRefusal:
    """How a recipient without consent is refused.

    ``status`` is the answer: 0x45 by default, or a vendor's code (0x400 to 0x4FF) agreed with the sender. With
    ``by_receipt`` the message is accepted and a receipt says REJECTD with ``receipt_error``, as Turkish aggregators do;
    where the sender did not ask for a receipt it gets the status all the same, or it would never learn.

    Raises ``ValueError`` for a status that would make senders try again or take the number for a wrong one.
    """

    status: int = CommandStatus.SUBMIT_FAILED
    by_receipt: bool = False
    receipt_error: str = "069"

    def __post_init__(self) -> None:
        if self.status in TEMPORARY or self.status in (CommandStatus.OK, CommandStatus.INVALID_DESTINATION):
            raise ValueError(
                "a missing consent is neither temporary nor a wrong number: 0x45, or a vendor's 0x400-0x4FF"
            )
        if not 0 < self.status <= 0xFFFFFFFF or not (len(self.receipt_error) == 3 and self.receipt_error.isalnum()):
            raise ValueError("a status is a 32-bit number, a receipt's error has three characters")


def find_status(fate: SmsFate, refusal: ConsentRefusal) -> int:
    """The command_status for one recipient.

    What the SMSC said is passed on as it said it. Faults of ours and unknown outcomes are the temporary system error.
    """
    outcome = fate.outcome
    if outcome is Outcome.RELAYED:
        return 0
    if outcome is Outcome.UNKNOWN:
        return CommandStatus.SYSTEM_ERROR
    said = _read_code(fate.upstream_code)
    if outcome is Outcome.DEFERRED:
        if said is not None:
            return said if said in TEMPORARY else CommandStatus.SYSTEM_ERROR
        return CommandStatus.THROTTLED if fate.reason is Reason.OVERLOADED else CommandStatus.SYSTEM_ERROR
    if said is not None:
        return said
    return _BY_REASON.get(fate.reason, refusal.status) if fate.reason is not None else refusal.status


def is_for_want_of_consent(fate: SmsFate) -> bool:
    """Whether the fate may be told by a receipt instead of a status: our own final word about this recipient."""
    return fate.outcome is Outcome.DROPPED and fate.reason not in _BY_REASON


def _read_code(code: str) -> int | None:
    try:
        value = int(code, 0) if code else 0
    except ValueError:
        return None
    return value if 0 < value <= 0xFFFFFFFF else None

"""JetSMS's answers to what is wrong; the provider's own codes are not known, so these are of HTTP."""

from __future__ import annotations

from filters.sms.dialect import Fault

MAX_RECIPIENTS = 50_000
"""The provider publishes none; as the largest of the others."""

MAX_TEXT_CHARACTERS = 4000

FAULTS: dict[Fault, tuple[int, str]] = {
    Fault.MALFORMED: (400, "Invalid request"),
    Fault.UNKNOWN_FIELD: (400, "Invalid request"),
    Fault.BAD_NUMBER: (400, "Invalid recipient"),
    Fault.TOO_MANY_RECIPIENTS: (400, "Too many recipients"),
    Fault.TOO_LARGE: (413, "Request too large"),
    Fault.NO_TEXT: (400, "Empty message"),
    Fault.TEXT_TOO_LONG: (400, "Message too long"),
    Fault.NOT_ALLOWED: (403, "Not allowed"),
    Fault.UNAUTHENTICATED: (401, "Unauthorized"),
    Fault.TOO_MANY_REQUESTS: (429, "Too many requests"),
    Fault.NOT_FOUND: (404, "Not found"),
    Fault.UNAVAILABLE: (503, "Service unavailable"),
    Fault.UNKNOWN_OUTCOME: (503, "Service unavailable"),
}
START_FORMAT = "%d%m%Y%H%M%S"


def fault_of(fault: Fault, detail: str) -> tuple[int, str]:
    """HTTP status and a sentence."""
    status, title = FAULTS[fault]
    return status, f"{title}. {detail}" if detail else title


def mint_group_id(number: int) -> str:
    """Fits the integers of every language, and begins where the provider's counters have not come."""
    return str(8 * 10**12 + number % 10**12)

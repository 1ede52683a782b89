"""Values that cross between the gateway and the link to the SMSC."""

from __future__ import annotations

from typing import NamedTuple

from filters.vocabulary import Outcome


class SubmitResult(NamedTuple):
    """What became of one submit_sm.

    ``status`` is the SMSC's command_status, 0 where it took the message or said nothing. RELAYED: taken, under
    ``message_id`` ("" where it gave none). REFUSED and DEFERRED: not sent, for good or for now. UNKNOWN: handed over
    and not answered; sending it again might reach the person twice.
    """

    outcome: Outcome
    status: int = 0
    message_id: str = ""

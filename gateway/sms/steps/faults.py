"""What goes wrong on our side: said in the log by its kind alone, and to the client in its dialect."""

from __future__ import annotations

import structlog

from filters.reason import Reason
from filters.sms.dialect import Fault
from filters.sms.http import HttpResponse
from gateway.sms.in_hand import SmsInHand

log = structlog.stdlib.get_logger(__name__)


class WrittenWrongError(Exception):
    """A codec wrote something else than it was told. Its text holds nothing of the request."""


def log_fault(sms: SmsInHand, fault: BaseException) -> None:
    """One line; what is in ``fault`` stays behind."""
    log.error("sms.failed", message_id=sms.message_id, fault=type(fault).__name__, exc_info=fault)


def answer_fault(sms: SmsInHand, fault: Fault, reason: Reason) -> HttpResponse:
    """The dialect's own answer for the whole request."""
    sms.detail = str(reason)
    return sms.route.dialect.write_fault(fault, f"{reason}: {reason.sentence_en}")

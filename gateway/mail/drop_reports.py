"""Tells clients that asked for it whom their messages did not go to (design D3), once the message is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from filters.drop_report import SIGNATURE_FIELD, DroppedRecipient, DropReport, render_drop_report, sign_drop_report
from filters.envelope import Answer
from filters.reason import Reason
from filters.vocabulary import Outcome
from gateway.mail.in_hand import MailInHand

Send = Callable[[bytes, Mapping[str, str]], None]
"""Takes body and header fields of a report; delivers them in its own time."""


class DropReports:
    """``targets`` by client name: the secret that signs, and who delivers."""

    def __init__(self, targets: Mapping[str, tuple[bytes, Send]]) -> None:
        self._targets = targets

    def message_answered(self, mail: MailInHand, answer: Answer) -> None:
        """Report the recipients left out. A client that was told to come again hears of them when it is done."""
        target = self._targets.get(mail.envelope.client.name)
        if target is None or answer.overall.is_temporary:
            return
        dropped = [
            DroppedRecipient(recipient.envelope.address.wire.decode("utf-8"), recipient.reason or Reason.FAULT)
            for recipient in mail.recipients
            if recipient.outcome is Outcome.DROPPED
        ]
        if not dropped:
            return
        secret, send = target
        found = mail.classification
        body = render_drop_report(
            DropReport(
                mail.message_id,
                mail.decided_at,
                mail.envelope.client.name,
                mail.brand.brand.code if mail.brand else None,
                found.campaign if found else "",
                dropped,
            )
        )
        send(body, {"Content-Type": "application/json", SIGNATURE_FIELD: sign_drop_report(secret, body)})

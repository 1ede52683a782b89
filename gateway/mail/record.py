"""The evidence record of one mail, from what the pipeline found out (``filters.evidence.record`` has its fields)."""

from __future__ import annotations

from filters.evidence.record import encode_decision, index_reading, recipient_entry
from filters.exchange import Lookup
from filters.vocabulary import Channel, Verdict
from gateway.mail.in_hand import MailInHand, RecipientInHand

POLICY = "enforce"


def render_mail_record(mail: MailInHand, node: str, store: str) -> bytes:
    """JSON of the decision record. ``node`` names machine and worker, ``store`` the kind of index that was read."""
    envelope = mail.envelope
    found = mail.classification
    brand = mail.brand.brand if mail.brand else None
    return encode_decision(
        decided_at=mail.decided_at,
        message_id=mail.message_id,
        node=node,
        session=envelope.session_id,
        client=envelope.client.name,
        listener=envelope.listener,
        upstream=mail.route.upstream.name,
        brand=brand.code if brand else None,
        iys_code=brand.iys_code if brand else None,
        channel=Channel.EMAIL,
        message_class=mail.message_class,
        class_from=found.class_source if found else "missing",
        campaign=found.campaign if found else "",
        policy=POLICY,
        size_bytes=len(mail.content),
        content_sha256=mail.content_digest.hexdigest() if mail.content_digest else "",
        index=_index(mail, store),
        recipients=[_recipient(mail, recipient) for recipient in mail.recipients],
    )


def _index(mail: MailInHand, store: str) -> dict[str, object] | None:
    answer = mail.lookup
    if answer is None or not mail.is_commercial or mail.brand is None:
        return None
    revision, watermark_at, failure = 0, None, None
    if isinstance(answer, Lookup):
        revision, watermark_at = answer.revision, answer.watermark_at
    else:
        failure = answer
    limit_s = mail.brand.policy.stale_after_s
    return index_reading(store, revision, watermark_at, mail.decided_at, limit_s, mail.freshness, failure)


def _recipient(mail: MailInHand, recipient: RecipientInHand) -> dict[str, object]:
    assert recipient.outcome is not None
    found = mail.classification
    was_sent = bool(recipient.sent_digest)
    entry = recipient_entry(
        recipient.key,
        Channel.EMAIL,
        found.recipient_type if found else None,
        recipient.state,
        recipient.row,
        recipient.reason or "",
        recipient.verdict or Verdict.DEFER,
        recipient.outcome,
        recipient.sent_digest,
        recipient.token_id,
        recipient.reply if was_sent else None,
    )
    if recipient.judged_again_at:
        entry["redecided_at"] = int(recipient.judged_again_at)
    return entry

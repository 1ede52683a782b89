"""The evidence record of one SMS request, from what the pipeline found out (fields: ``filters.evidence.record``)."""

from __future__ import annotations

from functools import partial

from filters.evidence.record import encode_decision, index_reading
from filters.exchange import Lookup
from filters.sms.judgement import print_entries
from filters.vocabulary import Channel
from gateway.ports import EvidenceLog
from gateway.sms.callbacks import answer_of
from gateway.sms.heavy import HeavySteps
from gateway.sms.in_hand import SmsInHand
from gateway.sms.steps.faults import log_fault

POLICY = "enforce"


class Recorder:
    """Puts the records of one worker into the evidence. ``node`` and ``store`` as ``render_sms_record`` says."""

    def __init__(self, evidence: EvidenceLog, heavy: HeavySteps, node: str, store: str) -> None:
        self._evidence = evidence
        self._heavy = heavy
        self._node = node
        self._store = store
        self.in_hand = 0
        """Requests of which the record is still to come."""

    @property
    def is_writable(self) -> bool:
        """Whether records can be kept at all."""
        return self._evidence.is_writable

    def begin(self) -> None:
        """A request has come."""
        self.in_hand += 1

    def end(self, sms: SmsInHand) -> None:
        """It is answered, with a record or without one."""
        if not sms.is_recorded:
            self.in_hand -= 1

    async def record(self, sms: SmsInHand) -> bool:
        """Whether its record is on disk. Never raises."""
        try:
            if sms.is_heavy:
                record = await self._heavy.run(sms, partial(render_sms_record, sms, self._node, self._store))
            else:
                record = render_sms_record(sms, self._node, self._store)
            if not sms.is_recorded:
                sms.is_recorded = True
                self.in_hand -= 1
            return await answer_of(partial(self._evidence.append, record))
        except Exception as fault:  # whatever it is, nothing is on disk
            log_fault(sms, fault)
            return False


def render_sms_record(sms: SmsInHand, node: str, store: str) -> bytes:
    """JSON of the decision record; every recipient is settled. ``node`` names machine and worker, ``store`` the kind
    of index that was read. ``content_sha256`` is of the request's body."""
    found = sms.classification
    brand = sms.brand.brand if sms.brand else None
    answer = sms.lookup
    was_read = sms.is_commercial and isinstance(answer, Lookup)
    values = answer.values if was_read and isinstance(answer, Lookup) else None
    return encode_decision(
        decided_at=sms.decided_at,
        message_id=sms.message_id,
        node=node,
        session="",
        client=sms.client.name,
        listener=sms.route.listener,
        upstream=sms.route.upstream.name,
        brand=brand.code if brand else None,
        iys_code=brand.iys_code if brand else None,
        channel=Channel.SMS,
        message_class=sms.message_class,
        class_from=found.class_source if found else "missing",
        campaign=found.campaign if found else "",
        policy=POLICY,
        size_bytes=len(sms.request.body),
        content_sha256=sms.body_digest,
        index=_index(sms, store),
        recipients=print_entries(
            Channel.SMS,
            found.recipient_type if found else None,
            sms.keys,
            values if values is not None and len(values) == len(sms.keys) else None,
            sms.settlements,
            sms.settled,
            sms.sent_sha256,
        ),
    )


def _index(sms: SmsInHand, store: str) -> dict[str, object] | None:
    answer = sms.lookup
    if answer is None or not sms.is_commercial or sms.brand is None:
        return None
    limit_s = sms.brand.policy.stale_after_s
    if isinstance(answer, Lookup):
        return index_reading(store, answer.revision, answer.watermark_at, sms.decided_at, limit_s, sms.freshness)
    return index_reading(store, 0, None, sms.decided_at, limit_s, sms.freshness, answer)

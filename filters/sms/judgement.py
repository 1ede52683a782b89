"""Decides and records many recipients of one request at a few microseconds each.

Nothing is decided here: ``filters.decision.decide`` does. But of two recipients whose records differ by their dates
alone, none of them in the future, it says the same; so it is asked once for each kind of record that occurs in a
batch, and the lines of the evidence are printed from one form for each kind. Property tests hold both equal to the
long way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from filters.consent import ENTRY_BYTES, slot_of, unpack
from filters.decision.decide import Decision, Facts, decide
from filters.decision.policy import Policy
from filters.evidence.record import recipient_entry
from filters.sms.message import SmsFate
from filters.vocabulary import Channel, LookupFailure, Outcome, RecipientType, Verdict

_DATE_MARK = 4_294_967_295
"""Stands in a form where the date goes; no consent has it, as 32 bits end there."""
_KEY_MARK = b"\0" * 10
_SHA_MARK = "?" * 64


class Settlement(NamedTuple):
    """What was decided on recipients and what became of them; few of them serve a whole batch."""

    row: str
    reason: str
    verdict: Verdict
    outcome: Outcome
    reply: str = ""


class Judged(NamedTuple):
    """The decision on one recipient: ``record`` is not filled in. ``kind`` tells what the index held.

    ``settlement`` is what follows, for whoever is permitted until more is known; ``fate`` is None for them.
    """

    decision: Decision
    kind: bytes
    settlement: Settlement
    fate: SmsFate | None


class BatchJudge:
    """Decides the recipients of one message by ``facts`` (``is_abroad`` aside) and ``policy``."""

    def __init__(self, facts: Facts, policy: Policy) -> None:
        self._facts = facts
        self._policy = policy
        self._latest = (facts.now + policy.clock_tolerance_s).to_bytes(4, "big")
        self._known: dict[tuple[bytes, bool], Judged] = {}

    def is_by(self, facts: Facts, policy: Policy) -> bool:
        """Whether it judges by these, so that what it has found holds for another message too."""
        return policy is self._policy and facts == self._facts

    def judge(self, value: bytes | None, is_abroad: bool) -> Judged:
        """The decision on a recipient of whom the index holds ``value``. What cannot be read is not "no record"."""
        if value:
            if len(value) == ENTRY_BYTES:  # one entry, as most have
                found = self._known.get((value[:2], is_abroad))
                if found is not None and value[2:6] <= self._latest:
                    return found
            kind = value[0::ENTRY_BYTES] + value[1::ENTRY_BYTES]
            found = self._known.get((kind, is_abroad))
            if found is not None and not self._is_dated_ahead(value):
                return found
        else:
            kind = b""
            found = self._known.get((kind, is_abroad))
            if found is not None:
                return found
        judged = _judged(self._decide(value, is_abroad), kind)
        if not (value and self._is_dated_ahead(value)):
            self._known[kind, is_abroad] = judged
        return judged

    def judge_each(self, values: Sequence[bytes | None], are_abroad: Sequence[bool]) -> list[Judged]:
        """``judge`` for each recipient."""
        judge, known, latest = self.judge, self._known, self._latest
        found: list[Judged] = []
        for value, is_abroad in zip(values, are_abroad, strict=True):
            # As in ``judge``, for most without a call.
            one = None
            if not value:
                one = known.get((b"", is_abroad))
            elif len(value) == ENTRY_BYTES and value[2:6] <= latest:
                one = known.get((value[:2], is_abroad))
            found.append(judge(value, is_abroad) if one is None else one)
        return found

    def _is_dated_ahead(self, value: bytes) -> bool:
        latest = self._latest
        for at in range(2, len(value), ENTRY_BYTES):
            if value[at : at + 4] > latest:
                return True
        return len(value) % ENTRY_BYTES != 0

    def _decide(self, value: bytes | None, is_abroad: bool) -> Decision:
        facts = self._facts if self._facts.is_abroad is is_abroad else self._facts._replace(is_abroad=is_abroad)
        try:
            state = unpack(value) if value else None
        except ValueError:
            return decide(facts._replace(lookup_failure=LookupFailure.BROKEN), None, self._policy)
        return decide(facts, state, self._policy)


def _judged(decision: Decision, kind: bytes) -> Judged:
    verdict, reason = decision.verdict, decision.reason
    outcome = Outcome.DROPPED if verdict is Verdict.DROP else Outcome.DEFERRED
    fate = None if verdict is Verdict.PERMIT else SmsFate(outcome, reason)
    return Judged(decision, kind, Settlement(decision.row, str(reason), verdict, outcome), fate)


def print_entries(
    channel: Channel,
    declared: RecipientType | None,
    keys: Sequence[bytes],
    values: Sequence[bytes | None] | None,
    settlements: Sequence[Settlement],
    settled: Sequence[int],
    sent_sha256: Sequence[str],
) -> orjson.Fragment:
    """The ``recipients`` of an evidence record (``filters.evidence.recipient_entry`` for each), as JSON.

    ``values`` are the packed consents that were read, None for all where the index was not; ``settled`` indexes
    ``settlements``; ``sent_sha256`` has hex digits, or "" where nothing was sent.
    """
    forms: dict[tuple[bytes | None, int], _Form] = {}
    entries: list[str] = []
    append = entries.append
    number_of = int.from_bytes
    for key, value, number, sha in zip(
        map(bytes.hex, keys), values or (None,) * len(keys), settled, sent_sha256, strict=True
    ):
        if not value:
            kind = None
        elif len(value) == ENTRY_BYTES:
            kind = value[:2]
        elif len(value) % ENTRY_BYTES:
            value = kind = None  # cut off: the reason says so, and there is nothing to tell
        else:
            kind = value[0::ENTRY_BYTES] + value[1::ENTRY_BYTES]
        form = forms.get((kind, number))
        if form is None:
            form = forms[kind, number] = _find_form(
                channel, declared, kind, value, values is not None, settlements[number]
            )
        pieces, places = form
        if not places or value is None:
            before, after, end = pieces
            append(f"{before}{key}{after}{sha}{end}")
        elif len(places) == 1:
            at = places[0]
            before, middle, after, end = pieces
            append(f"{before}{key}{middle}{number_of(value[at : at + 4], 'big')}{after}{sha}{end}")
        else:
            dates = [str(number_of(value[at : at + 4], "big")) for at in places]
            filled = zip(pieces, (key, *dates, sha, ""), strict=True)
            append("".join(map("".join, filled)))
    return orjson.Fragment("[" + ",".join(entries) + "]")


_Form = tuple[tuple[str, ...], tuple[int, ...]]
"""What stands around key, dates and digest, and where in the packed value the dates are."""

# Most requests have one recipient: their forms are kept from request to request.
_KNOWN_FORMS: dict[tuple[object, ...], _Form] = {}
_MOST_FORMS = 2000


def _find_form(
    channel: Channel,
    declared: RecipientType | None,
    kind: bytes | None,
    value: bytes | None,
    was_read: bool,
    settlement: Settlement,
) -> _Form:
    name = (channel, declared, kind, was_read, settlement)
    form = _KNOWN_FORMS.get(name)
    if form is None:
        if len(_KNOWN_FORMS) >= _MOST_FORMS:
            _KNOWN_FORMS.clear()
        form = _KNOWN_FORMS[name] = _make_form(channel, declared, value, was_read, settlement)
    return form


def _make_form(
    channel: Channel, declared: RecipientType | None, value: bytes | None, was_read: bool, settlement: Settlement
) -> _Form:
    row, reason, verdict, outcome, reply = settlement
    entry = recipient_entry(_KEY_MARK, channel, declared, None, row, reason, verdict, outcome, _SHA_MARK)
    entry["reply"] = reply
    places: list[int] = []
    if was_read:
        try:
            state = unpack(value) if value else {}
        except ValueError:
            value, state = None, {}  # what cannot be read is in the reason; there is no date to tell
        listed: list[dict[str, object]] = []
        for at in range(0, len(value) if value else 0, ENTRY_BYTES):
            assert value is not None
            slot_channel, recipient_type, status = slot_of(value[at])
            if slot_channel is channel:
                consent = state[slot_channel, recipient_type]
                listed.append(
                    {
                        "type": recipient_type,
                        "status": status,
                        "consent_at": _DATE_MARK,
                        "source": consent.source,
                        "own": consent.own,
                    }
                )
                places.append(at + 2)
        entry["registry"] = listed
    before, _, text = orjson.dumps(entry).decode().partition(_KEY_MARK.hex())
    middle, _, end = text.rpartition(_SHA_MARK)
    return (before, *middle.split(str(_DATE_MARK)), end), tuple(places)

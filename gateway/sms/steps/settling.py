"""Settle: what the upstream's answer, or its silence, means for each recipient it was asked about."""

from __future__ import annotations

import secrets

from filters.evidence.record import label
from filters.reason import Reason
from filters.sms.dialect import Dialect
from filters.sms.http import HttpResponse, UpstreamFault
from filters.sms.judgement import Settlement
from filters.sms.message import Relayed, ReportEntry, SmsFate, Submission
from filters.vocabulary import Outcome
from gateway.sms.in_hand import SmsInHand
from gateway.sms.steps.faults import log_fault

_LOST = SmsFate(Outcome.UNKNOWN, Reason.UPSTREAM_LOST)


def settle_answer(sms: SmsInHand, native: Submission, dialect: Dialect, response: HttpResponse) -> Relayed:
    """By the upstream's answer; one that cannot be read leaves everything open."""
    sms.response = response
    relayed = _read_answer(sms, native, dialect, response)
    _settle_relayed(sms, relayed)
    return relayed


def settle_fault(sms: SmsInHand, fault: UpstreamFault | None) -> None:
    """Without an answer. ``fault`` None: nothing was handed over."""
    if fault is UpstreamFault.EXPIRED:
        sms.settle_open(Reason.OVERLOADED)
    elif fault is not None:
        sms.upstream_fault = fault
        if fault.is_unknown:
            _settle_relayed(sms, Relayed((_LOST,) * len(sms.kept)))
        else:
            sms.settle_open(Reason.UPSTREAM_DEFERRED)


def find_dropped(sms: SmsInHand) -> list[ReportEntry]:
    """Those dropped, as reports will show them."""
    recipients, fates = sms.asked.recipients, sms.fates
    entries: list[ReportEntry] = []
    for position in sms.positions_of(Outcome.DROPPED):
        number, spelled, text, reference = recipients[position]
        fate = fates[position]
        reason = (fate.reason if fate is not None else None) or Reason.FAULT
        e164 = number[0] if number is not None else ""
        entries.append(ReportEntry(spelled, e164, reference, reason, sms.decided_at, sms.asked.texts[text]))
    return entries


def answer_dry(sms: SmsInHand) -> HttpResponse:
    """What would have been said, of a request that asks for no more."""
    for position in sms.kept:
        sms.fates[position] = SmsFate(Outcome.RELAYED)
    fates = [fate for fate in sms.fates if fate is not None]
    minted = sms.route.dialect.mint_id(secrets.randbits(128))
    return sms.route.dialect.write_answer(sms.asked, fates, None, minted, ())


def _read_answer(sms: SmsInHand, native: Submission, dialect: Dialect, response: HttpResponse) -> Relayed:
    unknown = Relayed((_LOST,) * len(sms.kept))
    try:
        relayed = dialect.read_answer(native, sms.kept, response)
    except Exception as fault:  # an answer that cannot be read says nothing of anybody
        log_fault(sms, fault)
        return unknown
    return relayed if len(relayed.fates) == len(sms.kept) else unknown


def _settle_relayed(sms: SmsInHand, relayed: Relayed) -> None:
    """Rows and reasons stay those of the decision; outcome and reply are the upstream's."""
    settled, settlements, fates = sms.settled, sms.settlements, sms.fates
    if len(sms.kept) == 1:
        (position,), (fate,) = sms.kept, relayed.fates
        row, reason, verdict, _, _ = settlements[settled[position]]
        settled[position] = sms.number_of(Settlement(row, reason, verdict, fate.outcome, label(fate.upstream_code)))
        fates[position] = fate
        return
    known: dict[tuple[int, str, str], int] = {}
    for position, fate in zip(sms.kept, relayed.fates, strict=True):
        decided = settled[position]
        outcome, _, _, code = fate
        name = (decided, outcome, code)
        number = known.get(name)
        if number is None:
            settlement = settlements[decided]._replace(outcome=outcome, reply=label(code))
            number = known[name] = sms.number_of(settlement)
        settled[position] = number
        fates[position] = fate

"""Put the opt-out in: each text of a commercial request once."""

from __future__ import annotations

from filters.sms.dialect import Fault, RequestRefusedError, Segments
from filters.sms.suffix import SuffixProblem, SuffixRefusal
from gateway.sms.in_hand import SmsInHand
from gateway.sms.steps.reading import opt_out_impossible

_FAULTS = {
    SuffixProblem.NOT_PLAIN: Fault.NOT_ALLOWED,
    SuffixProblem.NOT_TEXT: Fault.MALFORMED,
    SuffixProblem.NO_ROOM: Fault.TEXT_TOO_LONG,
    SuffixProblem.TOO_LONG: Fault.TEXT_TOO_LONG,
}


def put_opt_out(sms: SmsInHand) -> None:
    """The text of each of ``kept``, with what it costs. One into which the opt-out does not fit refuses the request
    before anything was sent: raises ``RequestRefusedError``."""
    submission = sms.asked
    recipients, texts = submission.recipients, submission.texts
    wanted = [recipients[position][2] for position in sms.kept]
    if not sms.is_commercial:
        sms.texts = [texts[number] for number in wanted]
        return
    writer = sms.brand.writers.get(sms.route.upstream.name) if sms.brand is not None else None
    if writer is None:
        raise opt_out_impossible()
    if len(texts) == len(wanted) == 1:  # as most requests have
        (result,) = writer.write_each(texts, submission.alphabet, submission.kind)
        if isinstance(result, SuffixRefusal):
            raise RequestRefusedError(_FAULTS[result.problem], result.detail)
        sms.texts, sms.segments = [result.text], [result.segments]
        return
    numbers = sorted(set(wanted))
    segments = [Segments(0, 0)] * len(texts)
    written = [""] * len(texts)
    results = writer.write_each([texts[number] for number in numbers], submission.alphabet, submission.kind)
    for number, result in zip(numbers, results, strict=True):
        if isinstance(result, SuffixRefusal):
            raise RequestRefusedError(_FAULTS[result.problem], result.detail)
        written[number], _, segments[number], _ = result
    sms.segments = segments
    sms.texts = [written[number] for number in wanted]

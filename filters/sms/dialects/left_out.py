"""A member of our own in the JSON answers of providers that have no word for "left out"."""

from __future__ import annotations

from collections.abc import Sequence

from filters.sms.dialects.answers import find_object
from filters.sms.dialects.strict_json import write_json
from filters.sms.http import HttpResponse
from filters.sms.message import SmsFate, Submission
from filters.vocabulary import Outcome


def add_left_out(
    answer: HttpResponse, submission: Submission, fates: Sequence[SmsFate], number_field: str
) -> HttpResponse:
    """``answer`` with ``izin.left_out``: number as the sender spelled it, and reason; unchanged where nobody was left
    out or the answer is no JSON object."""
    rows = [
        {number_field: recipient.spelled, "reason": str(fate.reason or fate.outcome)}
        for recipient, fate in zip(submission.recipients, fates, strict=True)
        if fate.outcome is not Outcome.RELAYED
    ]
    found = find_object(answer) if rows else None
    if found is None:
        return answer
    return answer._replace(body=write_json({**found, "izin": {"left_out": rows}}))

"""What the providers have in common that accept a request first and tell in the report who did not get it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TypeVar

from filters.reason import Reason
from filters.sms.dialect import Fault
from filters.sms.dialects.answers import is_bad_number, is_try_again
from filters.sms.http import HttpResponse
from filters.sms.message import Relayed, SmsFate
from filters.vocabulary import Outcome

_Row = TypeVar("_Row")

_ANSWER_HEADERS = frozenset({"content-type", "retry-after"})


def refused_whole(fates: Sequence[SmsFate]) -> Fault | None:
    """The fault by which a request is answered of which nothing went upstream; None where success is the answer.

    Success says "look into the report"; it would be a lie where somebody is only put off, and useless where no number
    could be read at all.
    """
    if any(is_try_again(fate) for fate in fates):
        return Fault.UNAVAILABLE
    if all(is_bad_number(fate) for fate in fates):
        return Fault.BAD_NUMBER
    return None


def is_relayed(fates: Sequence[SmsFate]) -> bool:
    """Whether the upstream took the request for anybody."""
    return any(fate.outcome is Outcome.RELAYED for fate in fates)


def all_relayed(count: int, job_id: str, code: str) -> Relayed:
    return Relayed((SmsFate(Outcome.RELAYED, None, "", code),) * count, job_id)


def all_refused(count: int, code: str, *, is_temporary: bool, is_passed_on: bool) -> Relayed:
    """The upstream said no to the whole request; ``is_temporary`` where it may say yes later."""
    fate = (
        SmsFate(Outcome.DEFERRED, Reason.UPSTREAM_DEFERRED, "", code)
        if is_temporary
        else SmsFate(Outcome.REFUSED, Reason.UPSTREAM_REFUSED, "", code)
    )
    return Relayed((fate,) * count, is_passed_on=is_passed_on)


def all_unknown(count: int) -> Relayed:
    """The upstream's answer could not be read."""
    return Relayed((SmsFate(Outcome.UNKNOWN, Reason.UPSTREAM_LOST),) * count)


def passed_on(response: HttpResponse, more: tuple[tuple[str, str], ...] = ()) -> HttpResponse:
    """The upstream's answer without headers that belong to its connection or its server, with ``more`` of ours."""
    headers = tuple(header for header in response.headers if header[0] in _ANSWER_HEADERS)
    return HttpResponse(response.status, headers + more, response.body)


def page_of(rows: Sequence[_Row], page: int, size: int) -> Sequence[_Row]:
    """Page ``page`` (from 0) of our own rows.

    Each page of the upstream is followed by the same page of ours, so that every row is shown once, no page has more
    than twice its size, and a client that stops at the first short page has seen all of both.
    """
    return rows[page * size : (page + 1) * size]


def basic_header(username: str, password: str) -> tuple[str, str]:
    """The header that carries HTTP Basic credentials."""
    return ("authorization", "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii"))

"""SMPP requests in the shape in which the pipeline carries requests of all dialects (``filters.sms.http``).

A request is the submit_sm of one message, for each destination all its parts in order, as octets in ``body``; the path
says how many parts make the message. An answer is JSON. Neither leaves the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import orjson

from filters.smpp.exchange import SubmitResult
from filters.smpp.fields import Address
from filters.smpp.frames import FrameReader, render_frame
from filters.smpp.message import ShortMessage, parse_submit, render_submit
from filters.smpp.numbers import SUBMIT_SM
from filters.sms.http import HttpRequest, HttpResponse
from filters.vocabulary import Outcome

METHOD: Final = "SMPP"
_PREFIX: Final = "/submit/"
_SYSTEM_ID: Final = "system-id"
_SYSTEM_TYPE: Final = "system-type"
_RECEIVED_AT: Final = "received-at"
_MAX_PDU_BYTES: Final = 70_000


class Carried(NamedTuple):
    """A request unpacked: ``groups`` has for each destination the parts of the message."""

    groups: tuple[tuple[ShortMessage, ...], ...]
    system_id: str
    system_type: str
    received_at: float


class ReceivedRequest(HttpRequest):
    """A request as it came, with what it was made of: nobody has to read again what was just read."""

    carried: Carried


class WrittenRequest(HttpRequest):
    """A request as it goes on, with what it was made of. Reading it reads its octets, to see what was written."""

    carried: Carried


class RecipientAnswer(NamedTuple):
    """What the sender is told of one destination.

    ``smsc_ids`` are those of the parts that were sent; ``is_for_consent``: refused for want of consent, which may be
    told by a receipt instead.
    """

    status: int
    smsc_ids: tuple[str, ...] = ()
    is_for_consent: bool = False


def pack_request(
    parts: Sequence[ShortMessage],
    destinations: Sequence[Address],
    *,
    system_id: str,
    system_type: str,
    received_at: float,
) -> HttpRequest:
    """One message for all ``destinations``."""
    groups: tuple[tuple[ShortMessage, ...], ...] = (tuple(parts),)
    if destinations != (parts[0].destination,):
        groups = tuple(tuple(part._replace(destination=destination) for part in parts) for destination in destinations)
    carried = Carried(groups, system_id, system_type, received_at)
    request = ReceivedRequest(*_render(carried))
    request.carried = carried
    return request


def pack_groups(groups: Sequence[Sequence[ShortMessage]], received: Carried) -> HttpRequest:
    """What goes on to the SMSC, for the same sender; all groups have as many parts."""
    carried = received._replace(groups=tuple(tuple(group) for group in groups))
    request = WrittenRequest(*_render(carried))
    request.carried = carried
    return request


def _render(carried: Carried) -> HttpRequest:
    groups, system_id, system_type, received_at = carried
    headers = ((_SYSTEM_ID, system_id), (_SYSTEM_TYPE, system_type), (_RECEIVED_AT, repr(received_at)))
    body = b"".join([render_frame(SUBMIT_SM, 0, render_submit(part)) for group in groups for part in group])
    return HttpRequest(METHOD, f"{_PREFIX}{len(groups[0]) if groups else 1}", "", headers, body)


def is_packed(request: HttpRequest) -> bool:
    """Whether this is one of ours."""
    return request.method == METHOD and request.path.startswith(_PREFIX)


def unpack_request(request: HttpRequest) -> Carried:
    """Raises ``ValueError`` for what ``pack_request`` and ``pack_groups`` did not make, ``PduError`` for bad PDUs."""
    if type(request) is ReceivedRequest:
        return request.carried
    reader = FrameReader(_MAX_PDU_BYTES)
    messages = [parse_submit(frame.body) for frame in reader.feed(request.body)]
    count = int(request.path[len(_PREFIX) :])
    if reader.kept_bytes or reader.is_broken or count < 1 or not messages or len(messages) % count:
        raise ValueError("a carried request: its PDUs and its number of parts do not fit")
    return Carried(
        tuple(tuple(messages[at : at + count]) for at in range(0, len(messages), count)),
        request.header(_SYSTEM_ID) or "",
        request.header(_SYSTEM_TYPE) or "",
        float(request.header(_RECEIVED_AT) or 0),
    )


def groups_to_send(request: HttpRequest) -> tuple[tuple[ShortMessage, ...], ...]:
    """For each destination the parts that go to it; raises as ``unpack_request``."""
    return (request.carried if type(request) is WrittenRequest else unpack_request(request)).groups


def pack_results(groups: Sequence[Sequence[SubmitResult]]) -> HttpResponse:
    """What the SMSC said of each part for each destination."""
    return HttpResponse(200, (), orjson.dumps([[tuple(result) for result in group] for group in groups]))


def unpack_results(response: HttpResponse) -> list[list[SubmitResult]]:
    """Raises ``ValueError`` where it is nothing of ours."""
    try:
        return [
            [SubmitResult(Outcome(outcome), status, message_id) for outcome, status, message_id in group]
            for group in orjson.loads(response.body)
        ]
    except TypeError:
        raise ValueError("a carried answer of another shape") from None


def pack_answers(answers: Sequence[RecipientAnswer]) -> HttpResponse:
    """What the sender is told of each destination."""
    return HttpResponse(200, (), orjson.dumps([tuple(answer) for answer in answers]))


def pack_fault(http_status: int, status: int) -> HttpResponse:
    """The whole request is refused: the same status for each destination."""
    return HttpResponse(http_status, (), orjson.dumps(status))


def unpack_answers(response: HttpResponse, destinations: int) -> list[RecipientAnswer]:
    """One for each of so many destinations. Raises ``ValueError`` where it is nothing of ours."""
    read = orjson.loads(response.body)
    if isinstance(read, int):
        return [RecipientAnswer(read)] * destinations
    try:
        answers = [RecipientAnswer(status, tuple(ids), is_consent) for status, ids, is_consent in read]
    except TypeError:
        raise ValueError("a carried answer of another shape") from None
    if len(answers) != destinations:
        raise ValueError("a carried answer for another number of destinations")
    return answers

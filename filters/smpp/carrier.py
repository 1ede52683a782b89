"""SMPP requests in the shape in which the pipeline carries requests of all dialects (``filters.sms.http``).

A request is the submit_sm of one message, for each destination all its parts in order, as octets in ``body``; the path
says how many parts make the message. An answer carries values and no octets. Neither leaves the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from filters.smpp.exchange import SubmitResult
from filters.smpp.fields import Address
from filters.smpp.frames import HEADER, HEADER_BYTES, FrameReader, render_frame
from filters.smpp.message import ShortMessage, parse_submit, render_submit
from filters.smpp.numbers import SUBMIT_SM
from filters.sms.http import HttpRequest, HttpResponse

METHOD: Final = "SMPP"
_PREFIX: Final = "/submit/"
_ONE_PART: Final = "/submit/1"
_SYSTEM_ID: Final = "system-id"
_SYSTEM_TYPE: Final = "system-type"
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
    """A request as it goes on. Reading it reads its octets, which are those that leave; ``received`` says whose it
    is."""

    received: Carried


class SmscResponse(HttpResponse):
    """What the SMSC said of each part for each destination."""

    results: Sequence[Sequence[SubmitResult]]


class RecipientAnswer(NamedTuple):
    """What the sender is told of one destination.

    ``smsc_ids`` are those of the parts that were sent; ``is_for_consent``: refused for want of consent, which may be
    told by a receipt instead.
    """

    status: int
    smsc_ids: tuple[str, ...] = ()
    is_for_consent: bool = False


class ToldResponse(HttpResponse):
    """What the sender is told of each destination; a status alone holds for all of them."""

    told: Sequence[RecipientAnswer] | int


def pack_request(
    parts: Sequence[ShortMessage],
    destinations: Sequence[Address],
    *,
    system_id: str,
    system_type: str,
    received_at: float,
    body: bytes = b"",
) -> HttpRequest:
    """One message for all ``destinations``. ``body``: of the submit_sm in which the only part came, if it was one."""
    groups: tuple[tuple[ShortMessage, ...], ...] = (tuple(parts),)
    if destinations != (parts[0].destination,):
        groups = tuple(tuple(part._replace(destination=destination) for part in parts) for destination in destinations)
        body = b""
    carried = Carried(groups, system_id, system_type, received_at)
    octets = render_frame(SUBMIT_SM, 0, body) if body else _render(groups)
    headers = ((_SYSTEM_ID, system_id), (_SYSTEM_TYPE, system_type))
    request = ReceivedRequest(METHOD, _path_of(groups), "", headers, octets)
    request.carried = carried
    return request


def pack_groups(groups: Sequence[Sequence[ShortMessage]], received: Carried) -> HttpRequest:
    """What goes on to the SMSC, for the same sender; all groups have as many parts."""
    headers = ((_SYSTEM_ID, received.system_id), (_SYSTEM_TYPE, received.system_type))
    request = WrittenRequest(METHOD, _path_of(groups), "", headers, _render(groups))
    request.received = received
    return request


def _path_of(groups: Sequence[Sequence[ShortMessage]]) -> str:
    count = len(groups[0]) if groups else 1
    return _ONE_PART if count == 1 else f"{_PREFIX}{count}"


def _render(groups: Sequence[Sequence[ShortMessage]]) -> bytes:
    if len(groups) == 1 == len(groups[0]):
        return render_frame(SUBMIT_SM, 0, render_submit(groups[0][0]))
    return b"".join([render_frame(SUBMIT_SM, 0, render_submit(part)) for group in groups for part in group])


def is_packed(request: HttpRequest) -> bool:
    """Whether this is one of ours."""
    return request.method == METHOD and request.path.startswith(_PREFIX)


def unpack_request(request: HttpRequest) -> Carried:
    """Raises ``ValueError`` for what ``pack_request`` and ``pack_groups`` did not make, ``PduError`` for bad PDUs."""
    if type(request) is ReceivedRequest:
        return request.carried
    if type(request) is not WrittenRequest:
        raise ValueError("a carried request: not one of ours")
    _, system_id, system_type, received_at = request.received
    groups = tuple([tuple([parse_submit(body) for body in group]) for group in bodies_of(request)])
    return Carried(groups, system_id, system_type, received_at)


def bodies_of(request: HttpRequest) -> list[list[bytes]]:
    """For each destination the bodies of the submit_sm that go to it, cut out of the octets of ``request`` and not
    read. Raises ``ValueError`` where the octets are something else."""
    path, octets = request.path, request.body
    if path == _ONE_PART and len(octets) >= HEADER_BYTES:
        length, command, status, _ = HEADER.unpack_from(octets)
        if length == len(octets) and command == SUBMIT_SM and not status:
            return [[octets[HEADER_BYTES:]]]
    reader = FrameReader(_MAX_PDU_BYTES)
    frames = reader.feed(octets)
    count = int(path[len(_PREFIX) :])
    if reader.kept_bytes or reader.is_broken or count < 1 or not frames or len(frames) % count:
        raise ValueError("a carried request: its PDUs and its number of parts do not fit")
    if any(frame.command != SUBMIT_SM or frame.status for frame in frames):
        raise ValueError("a carried request: something else than submit_sm")
    bodies = [frame.body for frame in frames]
    return [bodies[at : at + count] for at in range(0, len(bodies), count)]


def pack_results(groups: Sequence[Sequence[SubmitResult]]) -> HttpResponse:
    """What the SMSC said of each part for each destination."""
    response = SmscResponse(200)
    response.results = groups
    return response


def unpack_results(response: HttpResponse) -> Sequence[Sequence[SubmitResult]]:
    """Raises ``ValueError`` where it is nothing of ours."""
    if type(response) is not SmscResponse:
        raise ValueError("a carried answer: not one of ours")
    return response.results


def pack_answers(answers: Sequence[RecipientAnswer]) -> HttpResponse:
    """What the sender is told of each destination."""
    response = ToldResponse(200)
    response.told = answers
    return response


def pack_fault(http_status: int, status: int) -> HttpResponse:
    """The whole request is refused: the same status for each destination."""
    response = ToldResponse(http_status)
    response.told = status
    return response


def unpack_answers(response: HttpResponse, destinations: int) -> Sequence[RecipientAnswer]:
    """One for each of so many destinations. Raises ``ValueError`` where it is nothing of ours."""
    if type(response) is not ToldResponse:
        raise ValueError("a carried answer: not one of ours")
    told = response.told
    if isinstance(told, int):
        return [RecipientAnswer(told)] * destinations
    if len(told) != destinations:
        raise ValueError("a carried answer for another number of destinations")
    return told

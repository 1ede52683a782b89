"""What the registry says of a consent, as a change of the index: address read strictly, closed lines refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from filters.address import AddressError, parse_email
from filters.consent import Change, Consent, State
from filters.phone import PhoneError, parse_phone
from filters.registry.values import ConsentSubject, Movement, StoredConsent, find_consent
from filters.registry.words import SOURCE_LINE_CLOSED, SOURCE_NOT_LISTED, UNKNOWN_SOURCE
from filters.vocabulary import Channel, RecipientType, Status

CHANNELS_OF_MAIL = (Channel.EMAIL,)
CHANNELS_OF_PHONE = (Channel.SMS, Channel.CALL)


class Read(NamedTuple):
    """What a list of the registry's records came to.

    ``subjects``: their address is known, their will is not; to be found out by a status query. ``unknown`` counts those
    whose address no listener of ours would accept either: nothing can be sent there, so nothing depends on them.
    """

    changes: tuple[Change, ...]
    subjects: tuple[ConsentSubject, ...]
    unknown: int


def find_address(recipient: str, channel: Channel | None = None) -> bytes | None:
    """The canonical address of ``recipient``, as the edge reads it; None for one the edge would refuse.

    With ``channel``, None too for an address of the other kind: it would answer for a channel it cannot have.
    """
    is_mail = "@" in recipient
    if channel is not None and is_mail is not (channel is Channel.EMAIL):
        return None
    try:
        if is_mail:
            return parse_email(recipient.encode("utf-8", "strict"), allow_utf8=True).key
        return parse_phone(recipient).key
    except (AddressError, PhoneError, UnicodeEncodeError):
        return None


def subjects_of(recipient: str) -> tuple[ConsentSubject, ...]:
    """Everything that can be asked about an address; empty for one the edge would refuse."""
    address = find_address(recipient)
    if address is None:
        return ()
    channels = CHANNELS_OF_MAIL if b"@" in address else CHANNELS_OF_PHONE
    return tuple(
        ConsentSubject(address.decode("utf-8"), channel, recipient_type)
        for channel in channels
        for recipient_type in RecipientType
    )


def read_record(record: Movement | StoredConsent, key: bytes) -> Change | None:
    """The change of the index that ``record`` means; None if nothing in it is dated.

    A closed line ends consent whatever the record says beside it, and is dated by its creation where it has no date
    (İYS API reference, 6.7). A brand the citizen added (``IYS_WEB_YENI``) is a will like any other. A refusal whose
    source is not told is somebody's will too, and not to be taken for our own taking back (``withdraw``).
    """
    consent = find_consent(record)
    if consent is None:
        return None
    if consent.source == SOURCE_LINE_CLOSED:
        consent = consent._replace(status=Status.REJECTED)
    if consent.status is Status.REJECTED and consent.source == UNKNOWN_SOURCE:
        consent = consent._replace(source=SOURCE_NOT_LISTED)
    return Change(key, record.subject.channel, record.subject.recipient_type, consent)


def read_movements(movements: tuple[Movement, ...], unread: tuple[str, ...], derive: Callable[[bytes], bytes]) -> Read:
    """``unread``: addresses ("" for none) of movements that could not be read. ``derive`` gives an address's key."""
    changes: list[Change] = []
    subjects: dict[ConsentSubject, None] = {}
    unknown = 0
    for movement in movements:
        address = find_address(movement.subject.recipient, movement.subject.channel)
        if address is None:
            unknown += 1
            continue
        change = read_record(movement, derive(address))
        if change is None:
            subjects[movement.subject._replace(recipient=address.decode("utf-8"))] = None
        else:
            changes.append(change)
    for recipient in unread:
        about = subjects_of(recipient)
        subjects.update(dict.fromkeys(about))
        unknown += not about
    return Read(tuple(changes), tuple(subjects), unknown)


def withdraw(key: bytes, state: State, channel: Channel, recipient_type: RecipientType) -> Change | None:
    """What takes back a consent that we hold and the registry does not; None where we hold none.

    Dated as the consent was: at equal dates the refusal stands, and any later consent of the registry's lifts it.
    """
    held = state.get((channel, recipient_type))
    if held is None or held.status is not Status.APPROVED:
        return None
    return Change(key, channel, recipient_type, Consent(Status.REJECTED, held.consent_at, UNKNOWN_SOURCE))


def settle(
    answer: StoredConsent | None, key: bytes, state: State, channel: Channel, recipient_type: RecipientType
) -> Change | None:
    """What a status query that was answered changes here; None for nothing, or for a record without any date.

    No record there takes back a consent here. A consent there is entered by its date; where all that stands against it
    is our own taking back (``withdraw``), which was nobody's will, it is entered a second after that.
    """
    if answer is None:
        return withdraw(key, state, channel, recipient_type)
    change = read_record(answer, key)
    if change is None:
        return None
    held = state.get((channel, recipient_type))
    if (
        held is not None
        and change.consent.status is Status.APPROVED
        and held.status is Status.REJECTED
        and held.source == UNKNOWN_SOURCE
        and not held.own
        and held.consent_at >= change.consent.consent_at
    ):
        return change._replace(consent=change.consent._replace(consent_at=held.consent_at + 1))
    return change

"""Writes requests strictly: documented fields and words only, optional fields left out (null and "" are errors there).

What the registry would refuse whatever it holds is found here first: failed requests count against us.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from filters.registry import words
from filters.registry.reading import fold
from filters.registry.values import ConsentSubject, ConsentToAdd
from filters.vocabulary import Channel, RecipientType, Status

MAX_BULK = 1000
MAX_MULTI_STATUS = 1000
MAX_ACCESS = 100
MAX_CONSENT_ACCESS = 100
"""Dealers of one consent: the error table says 100, schema and sample 3000. The smaller is right under both."""

_PHONE = re.compile(r"\+[1-9][0-9]{6,13}", re.ASCII)
_EMAIL = re.compile(r"[^\s@{}\[\]()!'^%&/=?,;:<>\"\\]+@[a-z0-9.-]{2,}\.[a-z0-9-]{2,}", re.ASCII)
_RETAILER = range(10_000_000, 100_000_000)


class UnsendableError(ValueError):
    """The request must not be sent as it is. ``code``: how the registry would refuse it. The text holds no address."""

    def __init__(self, code: str, what: str) -> None:
        super().__init__(f"{code}: {what}")
        self.code = code


def find_address_problem(recipient: str, channel: Channel) -> str | None:
    """The code with which the registry refuses the address for this channel, None if the form is right."""
    if channel is Channel.EMAIL:
        is_right = 6 <= len(recipient) <= 265 and recipient.isascii() and recipient == fold(recipient)
        return None if is_right and _EMAIL.fullmatch(recipient) else "H120"
    if len(recipient) > 15 and recipient.startswith("+") and recipient[1:].isdigit():
        return "H160"
    if not _PHONE.fullmatch(recipient) or recipient.startswith("+900"):
        return "H121"
    return None


def find_problem(consent: ConsentToAdd, now: int | None = None) -> str | None:
    """The code with which the registry would refuse ``consent`` whatever it holds; None if none is seen.

    ``now``: registry time in seconds since 1970 UTC, to find dates in the future. The three business days are the
    caller's to count.
    """
    problem = find_address_problem(consent.recipient, consent.channel)
    if problem:
        return problem
    is_individual = consent.recipient_type is RecipientType.INDIVIDUAL
    if consent.source is None:
        if is_individual:
            return "H113"
    elif consent.source not in words.PROVIDER_SOURCES:
        return "H119"
    elif consent.source == words.SOURCE_OWN_DECISION and consent.status is not Status.REJECTED:
        return "H408"
    if consent.consent_at is None:
        if is_individual:
            return "H112"
    elif consent.consent_at < words.FIRST_CONSENT_AT:
        return "H156"
    elif consent.source == words.SOURCE_BEFORE_2015 and consent.consent_at != words.FIRST_CONSENT_AT:
        return "H155"
    elif (now is not None and consent.consent_at > now) or consent.consent_at > words.LATEST_AT:
        return "H162"
    retailers = (*consent.retailer_access, *(() if consent.retailer_code is None else (consent.retailer_code,)))
    if any(code not in _RETAILER for code in retailers):
        return "H180"
    return "H126" if len(consent.retailer_access) > MAX_CONSENT_ACCESS else None


def consent_fields(consent: ConsentToAdd) -> dict[str, Any]:
    """The object of one consent. Raises ``UnsendableError``."""
    problem = find_problem(consent)
    if problem:
        raise UnsendableError(problem, "consent cannot be sent")
    fields: dict[str, Any] = {
        "recipient": consent.recipient,
        "type": words.CHANNEL_WORDS[consent.channel],
        "recipientType": words.RECIPIENT_TYPE_WORDS[consent.recipient_type],
        "status": words.STATUS_WORDS[consent.status],
    }
    if consent.source is not None:
        fields["source"] = consent.source
    if consent.consent_at is not None:
        fields["consentDate"] = words.render_time(consent.consent_at)
    if consent.retailer_code is not None:
        fields["retailerCode"] = consent.retailer_code
    if consent.retailer_access:
        fields["retailerAccess"] = list(consent.retailer_access)
    return fields


def bulk_fields(consents: Sequence[ConsentToAdd]) -> list[dict[str, Any]]:
    """The list of a bulk add: 1 to 1000, no subject twice (all or nothing there). Raises ``UnsendableError``."""
    if not consents:
        raise UnsendableError("H092", "a bulk add of nothing")
    if len(consents) > MAX_BULK:
        raise UnsendableError("H091", f"a bulk add of more than {MAX_BULK}")
    if len({consent.subject for consent in consents}) < len(consents):
        raise UnsendableError("H194", "a subject twice in one bulk add")
    return [consent_fields(consent) for consent in consents]


def subject_fields(subject: ConsentSubject) -> dict[str, str]:
    """The object that names one subject. Raises ``UnsendableError``."""
    problem = find_address_problem(subject.recipient, subject.channel)
    if problem:
        raise UnsendableError(problem, "address cannot be asked for")
    return {
        "recipient": subject.recipient,
        "recipientType": words.RECIPIENT_TYPE_WORDS[subject.recipient_type],
        "type": words.CHANNEL_WORDS[subject.channel],
    }


def recipient_list(recipients: Sequence[str], channel: Channel, limit: int, over_code: str) -> list[str]:
    """Addresses of one channel: 1 to ``limit``, no repeats. Raises ``UnsendableError``."""
    if not recipients:
        raise UnsendableError("H164", "a list of no recipients")
    if len(recipients) > limit:
        raise UnsendableError(over_code, f"a list of more than {limit} recipients")
    if len(set(recipients)) < len(recipients):
        raise UnsendableError("H193", "a recipient twice in one list")
    for recipient in recipients:
        problem = find_address_problem(recipient, channel)
        if problem:
            raise UnsendableError(problem, "an address cannot be asked for")
    return list(recipients)


def retailer_list(codes: Iterable[int]) -> list[int]:
    """Dealers of one access call: 1 to 100, no repeats, eight digits each. Raises ``UnsendableError``."""
    listed = list(codes)
    if not listed:
        raise UnsendableError("H163", "a list of no dealers")
    if len(listed) > MAX_ACCESS:
        raise UnsendableError("H126", f"a list of more than {MAX_ACCESS} dealers")
    if len(set(listed)) < len(listed):
        raise UnsendableError("H193", "a dealer twice in one list")
    if any(code not in _RETAILER for code in listed):
        raise UnsendableError("H180", "a dealer's code has eight digits")
    return listed

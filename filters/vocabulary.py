"""The words of the decision, each spelled once: members are used alike in logs, metrics, replies and evidence."""

from __future__ import annotations

from enum import StrEnum


class Channel(StrEnum):
    """The way a message travels; consent is given per channel (Reg. 9/2)."""

    EMAIL = "email"
    SMS = "sms"
    CALL = "call"


class RecipientType(StrEnum):
    """In what capacity the recipient is addressed (Law 6563, 6/1 and 6/2)."""

    INDIVIDUAL = "individual"
    BUSINESS = "business"


class Status(StrEnum):
    """What a consent record says. Absence of a record is a third case, not a status."""

    APPROVED = "approved"
    REJECTED = "rejected"


class MessageClass(StrEnum):
    """Whether consent is needed (Law 6563, 6/1; Reg. 6).

    ``INFORMATIONAL`` is the exemption of Reg. 6/2 and 6/4 (subscription, delivery, debt ...), ``SERVICE`` that of
    Reg. 6/1 (use or maintenance of goods already supplied).
    """

    COMMERCIAL = "commercial"
    INFORMATIONAL = "informational"
    SERVICE = "service"


class Verdict(StrEnum):
    """Per recipient, before relaying."""

    PERMIT = "permit"
    DROP = "drop"
    DEFER = "defer"


class Outcome(StrEnum):
    """Per recipient, the final fate."""

    RELAYED = "relayed"
    DROPPED = "dropped"
    DEFERRED = "deferred"
    REFUSED = "refused"
    UNKNOWN = "unknown"


NEVER_LOADED = "never loaded"
"""One name, wherever a person reads of it, for an index without the consents of a brand, or without any."""


class FreshnessState(StrEnum):
    """How far the index of one brand is behind the registry (design: freshness is a number)."""

    FRESH = "fresh"
    AGING = "aging"
    STALE = "stale"
    BLIND = "blind"
    COLD = "cold"

    @property
    def words(self) -> str:
        """What a person is told; the value itself is for metrics and records."""
        return NEVER_LOADED if self is FreshnessState.COLD else self.value


class LookupFailure(StrEnum):
    """Why the index could not be asked. Never the same thing as "no record"."""

    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    NOT_INITIALISED = "not_initialised"
    FOREIGN = "foreign"
    ROLLED_BACK = "rolled_back"
    BROKEN = "broken"

    @property
    def words(self) -> str:
        """What a person is told; the value itself is for metrics and records."""
        if self is LookupFailure.NOT_INITIALISED:
            return f"{NEVER_LOADED}, or emptied"
        return self.value.replace("_", " ")

"""Why a call to the registry brought no answer we wanted: values, not exceptions. None holds an address or a token."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from filters.registry.error_codes import Advice, advise
from filters.registry.values import ErrorEntry


class TransportProblem(StrEnum):
    """Where the way to the registry and back broke."""

    NOT_CONNECTED = "not_connected"
    TLS = "tls"
    TIMED_OUT = "timed_out"
    CUT_OFF = "cut_off"
    TOO_LARGE = "too_large"
    ENCODED = "encoded"
    """Compressed, though we accept no compression: unpacking it has no bound."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Common to all: what to do now, after how many seconds."""

    @property
    def advice(self) -> Advice:
        return Advice.RESEND

    @property
    def pause_s(self) -> float:
        return 0.0


@dataclass(frozen=True, slots=True)
class TransportFault(Failure):
    """No whole answer. ``may_be_done``: the request had left, and a repeat is not recognised by the registry."""

    problem: TransportProblem
    may_be_done: bool

    @property
    def advice(self) -> Advice:
        return Advice.CHECK_FIRST if self.may_be_done else Advice.RESEND

    @property
    def pause_s(self) -> float:
        return 5.0


@dataclass(frozen=True, slots=True)
class Limited(Failure):
    """Too many requests. ``code`` is the registry's, or "" where our own limiter kept the request back unsent."""

    retry_after_s: float
    code: str = ""

    @property
    def pause_s(self) -> float:
        return self.retry_after_s


@dataclass(frozen=True, slots=True)
class Refused(Failure):
    """The registry refused the request as such (3xx, 4xx but for 429)."""

    status: int
    errors: tuple[ErrorEntry, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(entry.code for entry in self.errors)

    @property
    def advice(self) -> Advice:
        return advise(self.status, self.codes)[0]

    @property
    def pause_s(self) -> float:
        return advise(self.status, self.codes)[1]

    def codes_of(self, place: int) -> tuple[str, ...]:
        """The codes of the item at ``place`` (from 0) of a bulk list."""
        return tuple(entry.code for entry in self.errors if entry.place == place)


@dataclass(frozen=True, slots=True)
class ServerFault(Failure):
    """The registry failed (5xx). ``may_be_done`` as in ``TransportFault``."""

    status: int
    errors: tuple[ErrorEntry, ...]
    may_be_done: bool = False

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(entry.code for entry in self.errors)

    @property
    def advice(self) -> Advice:
        return Advice.CHECK_FIRST if self.may_be_done else advise(self.status, self.codes)[0]

    @property
    def pause_s(self) -> float:
        return advise(self.status, self.codes)[1]


@dataclass(frozen=True, slots=True)
class Unreadable(Failure):
    """An answer whose meaning we cannot tell: it is neither a yes nor a no. ``problem`` names the field, no content.

    ``may_be_done`` as in ``TransportFault``.
    """

    status: int
    problem: str
    may_be_done: bool = False

    @property
    def advice(self) -> Advice:
        return Advice.CHECK_FIRST if self.may_be_done else Advice.RESEND

    @property
    def pause_s(self) -> float:
        return 60.0


@dataclass(frozen=True, slots=True)
class LoginRefused(Failure):
    """The registry does not accept our credentials; they are not tried again before ``retry_after_s``."""

    status: int
    code: str
    retry_after_s: float

    @property
    def advice(self) -> Advice:
        return Advice.MEND_ACCOUNT

    @property
    def pause_s(self) -> float:
        return self.retry_after_s


CallFailure = TransportFault | Limited | Refused | ServerFault | Unreadable | LoginRefused
"""Everything that a call may give instead of its answer; ``isinstance(result, Failure)`` tells."""

"""What the contract of SMS dialects needs to know of each: how its senders write, how a second reader reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from filters.sms.dialect import Dialect
from filters.sms.http import HttpRequest, HttpResponse
from filters.vocabulary import MessageClass, RecipientType

Pair = tuple[str, str]
"""A number as the sender spells it, and a text."""


class Tag(NamedTuple):
    """The sender's tag, by what it must mean to us."""

    message_class: MessageClass | None
    recipient_type: RecipientType | None


INDIVIDUAL = Tag(MessageClass.COMMERCIAL, RecipientType.INDIVIDUAL)
BUSINESS = Tag(MessageClass.COMMERCIAL, RecipientType.BUSINESS)
INFORMATIONAL = Tag(MessageClass.INFORMATIONAL, None)
UNTAGGED = Tag(None, None)


@dataclass(frozen=True)
class DialectCase:
    """One dialect, or one form of it, for the contract.

    ``compose`` writes a sender's request. ``readers`` are second readers of a request, as lax as providers may be (last
    or first of two keys, any case): each gives the pairs it finds, or raises ``ValueError``; they share no code with
    the codec. ``tag_in`` finds the tag as the upstream request spells it. ``is_success`` is what a client takes for
    success; ``job_id`` the id it then reads. ``make_simulator`` is called with nothing; ``report`` asks about job ids
    on a page counted from 0, of so many rows; ``rows`` are (number, status) of a report; ``refused_status`` is the
    provider's own word for "no consent".
    """

    name: str
    dialect: Dialect
    compose: Callable[[Sequence[Pair], Tag], HttpRequest]
    readers: tuple[Callable[[HttpRequest], list[Pair]], ...]
    tag_in: Callable[[HttpRequest], object]
    is_success: Callable[[HttpResponse], bool]
    job_id: Callable[[HttpResponse], str]
    id_shape: str
    tags: tuple[Tag, ...] = (INDIVIDUAL, BUSINESS, INFORMATIONAL, UNTAGGED)
    is_single: bool = False
    has_one_text: bool = False
    country_code: str = ""
    """What numbers begin with where national spellings are not the dialect's own."""

    make_simulator: Callable[[], Any] | None = None
    report: Callable[[Sequence[str], int, int], HttpRequest] | None = None
    rows: Callable[[HttpResponse], list[tuple[str, object]]] | None = None
    has_pages: bool = True
    next_page: Callable[[HttpRequest, HttpResponse], HttpRequest] | None = None
    """Makes the request for the next page from the last answer, where pages have no numbers."""

    refused_status: object = None
    knows_nobody_left: bool = False
    """Whether "nobody usable is left" is a refusal of its own in this dialect, at once."""

    def spell(self, number: str) -> str:
        """``number`` as this dialect takes it."""
        return f"{self.country_code}{number[-10:]}" if self.country_code else number

    def __str__(self) -> str:
        return self.name

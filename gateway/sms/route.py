"""What the SMS pipeline needs to know to carry requests: per upstream and per brand, made ready once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from filters.brand import Brand
from filters.client import Client
from filters.decision.policy import Policy
from filters.sms.dialect import Composer, Dialect
from filters.sms.message import Relayed, ReportEntry, Submission
from filters.sms.suffix import SuffixWriter
from filters.vocabulary import MessageClass, RecipientType
from gateway.sms.ports import SmsUpstream

if TYPE_CHECKING:
    from gateway.sms.in_hand import SmsInHand


@dataclass(frozen=True, slots=True)
class SmsBrand:
    """One brand: rules, and by upstream name what puts its opt-out into texts; none where it has no keyword and
    number, so that nobody could refuse by SMS."""

    brand: Brand
    policy: Policy
    writers: Mapping[str, SuffixWriter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TagRule:
    """What requests of one kind are, where the dialect cannot say it: all that is set of the first four must fit.

    ``header`` is a name in lower case and the value it must have. The rest is what then holds: ``message_class`` as a
    class fixed for the client (a tag tightens it, never loosens).
    """

    sender_title: str = ""
    account: str = ""
    client: str = ""
    header: tuple[str, str] | None = None
    message_class: MessageClass | None = None
    recipient_type: RecipientType | None = None
    brand: int | None = None

    def fits(self, client: Client, submission: Submission, headers: tuple[tuple[str, str], ...]) -> bool:
        return (
            (not self.sender_title or self.sender_title == submission.sender_title)
            and (not self.account or self.account in (submission.credential_id, submission.key_id))
            and (not self.client or self.client == client.name)
            and (self.header is None or self.header in headers)
        )

    def apply(self, client: Client) -> Client:
        """``client`` with what this rule says; a brand that is not the client's is not given to it."""
        if self.message_class is not None:
            client = replace(client, fixed_class=self.message_class)
        if self.recipient_type is not None:
            client = replace(client, default_recipient_type=self.recipient_type)
        if self.brand is not None:
            client = replace(client, brands=tuple(code for code in client.brands if code == self.brand))
        return client


@dataclass(frozen=True, slots=True)
class Outlet:
    """Another dialect that requests leave through, with the operator's account there."""

    dialect: Dialect
    composer: Composer
    account: Mapping[str, str]


class Scheduled(Protocol):
    """Remembers what a provider took for later (``gateway.sms.scheduled``)."""

    async def remember(self, sms: SmsInHand, native: Submission, relayed: Relayed) -> None:
        """``native`` is what the provider was asked, in its own dialect. Never raises."""


@dataclass(frozen=True, slots=True)
class SmsRoute:
    """One upstream on one listener.

    ``prefix`` stands before the dialect's own paths on our side ("" or "/marketing"); ``max_body_bytes``
    bounds one request. ``outlet`` is set where the upstream speaks another dialect than our client.
    ``max_lead_s`` bounds how far ahead a send may be scheduled. ``push_dropped`` tells the sender of a job's dropped
    numbers where it awaits the provider's posts. ``scheduled`` remembers what the provider holds until its time.
    """

    listener: str
    dialect: Dialect
    upstream: SmsUpstream
    prefix: str = ""
    rules: tuple[TagRule, ...] = ()
    max_body_bytes: int = 16 * 1024 * 1024
    max_lead_s: float = 7 * 86400.0
    outlet: Outlet | None = None
    push_dropped: Callable[[str, Sequence[ReportEntry]], None] | None = None
    scheduled: Scheduled | None = None

    def client_of(self, client: Client, submission: Submission, headers: tuple[tuple[str, str], ...]) -> Client:
        """``client`` as the first rule that fits has it."""
        for rule in self.rules:
            if rule.fits(client, submission, headers):
                return rule.apply(client)
        return client

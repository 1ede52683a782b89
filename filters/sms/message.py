"""One request to send SMS: what the sender asked for, and what became of each recipient."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from filters.phone import PhoneNumber
from filters.reason import Reason
from filters.vocabulary import MessageClass, Outcome, RecipientType


class TextKind(StrEnum):
    """What kind of text it is; only ``PLAIN`` may get a suffix (content rules C2.9)."""

    PLAIN = "plain"
    OTP = "otp"
    BINARY = "binary"
    TEMPLATE = "template"
    """The provider fills it in: the text is not in the request."""


class Alphabet(StrEnum):
    """What the sender asked the provider to encode in; ``AUTO`` where the provider chooses by content."""

    AUTO = "auto"
    DEFAULT = "default"
    TURKISH = "turkish"
    UNICODE = "unicode"


class SmsRecipient(NamedTuple):
    """One number of a request, in the request's order.

    ``number`` is None where the strict parser refused ``spelled``; such a recipient is answered for, never sent to.
    ``text`` indexes ``Submission.texts``. ``reference`` is the sender's own id for this recipient, or "".
    """

    number: PhoneNumber | None
    spelled: str
    text: int
    reference: str = ""


@dataclass(slots=True)
class Submission:
    """One send request of one dialect, read strictly.

    ``tag_class`` and ``tag_type`` are what the dialect's own fields say, None where it has none or they are absent.
    ``credential_id`` names the account for logs and routing without its secret ("" where unknown), ``key_id`` the key
    by which it was reached where that has a name of its own; ``sender_title`` is
    the originator. ``brand`` (code or name) and ``campaign`` are what the sender says in the request, "" where it does
    not. ``send_at`` (seconds since 1970 UTC) is None for "now"; ``hold_s`` is how long the provider may hold messages
    beyond that, for hours of the day or a speed that the request asks for. ``fields`` is the codec's own: whatever it
    needs to rebuild the upstream request and the answer. ``is_dry`` asks for the decision only.
    """

    dialect: str
    operation: str
    recipients: list[SmsRecipient]
    texts: list[str]
    sender_title: str = ""
    credential_id: str = ""
    key_id: str = ""
    tag_class: MessageClass | None = None
    tag_type: RecipientType | None = None
    kind: TextKind = TextKind.PLAIN
    alphabet: Alphabet = Alphabet.AUTO
    send_at: float | None = None
    hold_s: float = 0.0
    is_dry: bool = False
    brand: str = ""
    campaign: str = ""
    fields: dict[str, Any] = field(default_factory=dict)

    def leaves_by(self, now: float) -> float:
        """By when the provider has sent it, if it takes it ``now``; both in seconds since 1970 UTC."""
        return max(now, now if self.send_at is None else self.send_at) + self.hold_s


class SmsFate(NamedTuple):
    """What became of one recipient: the outcome, our reason where it is ours, and the upstream's own word for it.

    ``upstream_id`` is the provider's id of this message where it gives one each; ``upstream_code`` its status code.
    """

    outcome: Outcome
    reason: Reason | None = None
    upstream_id: str = ""
    upstream_code: str = ""


class Relayed(NamedTuple):
    """What the upstream said to a request: one fate for each recipient that was in it, in order.

    ``job_id`` is the id of the whole request where the provider gives one. ``is_passed_on``: the answer refuses the
    request as a whole (wrong credentials, unknown sender title, over-long text) and is handed to the sender as it is.
    """

    fates: tuple[SmsFate, ...]
    job_id: str = ""
    is_passed_on: bool = False


class ReportEntry(NamedTuple):
    """A dropped number as reports must show it: kept by job id until reports can no longer be asked for.

    ``text`` is what the sender asked to send, for reports that are posted at once; it is not kept.
    """

    spelled: str
    e164: str
    reference: str
    reason: Reason
    dropped_at: float
    text: str = ""

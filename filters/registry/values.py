"""What is said to the registry and what it answers, in our vocabulary. All instants in seconds since 1970 UTC."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

from filters.consent import Consent
from filters.vocabulary import Channel, RecipientType, Status


class RegistryBrand(NamedTuple):
    """A brand as the registry addresses it: the provider's number and the brand's."""

    iys_code: int
    brand_code: int


class ConsentSubject(NamedTuple):
    """Whose consent is meant, within one brand.

    ``recipient`` is the canonical address: lower-case e-mail, or E.164 with its plus.
    """

    recipient: str
    channel: Channel
    recipient_type: RecipientType


class ConsentToAdd(NamedTuple):
    """A consent or refusal to be registered.

    ``consent_at`` and ``source`` may be missing only for a business, and there only the first time (H462, H463).
    """

    recipient: str
    channel: Channel
    recipient_type: RecipientType
    status: Status
    consent_at: int | None
    source: str | None
    retailer_code: int | None = None
    retailer_access: tuple[int, ...] = ()

    @property
    def subject(self) -> ConsentSubject:
        return ConsentSubject(self.recipient, self.channel, self.recipient_type)


class ErrorEntry(NamedTuple):
    """One entry of the registry's error list. Message and value are not kept: both may hold an address.

    ``code`` like ``H174``, or an OAuth word, or "" where none was given. ``place``: place in a bulk list, from 0.
    """

    code: str
    location: tuple[str | int, ...] = ()
    place: int | None = None


class Added(NamedTuple):
    """The registry stored a consent."""

    transaction_id: str
    created_at: int | None


class SubRequest(NamedTuple):
    """One item of an accepted bulk request: to be found again in the result by its id."""

    sub_request_id: str | None
    created_at: int | None


class BulkAccepted(NamedTuple):
    """A bulk request was taken for processing; nothing is stored yet. ``items`` in the order sent."""

    request_id: str
    items: tuple[SubRequest, ...]


class BulkState(StrEnum):
    """What became of one item of a bulk request."""

    STORED = "stored"
    FAILED = "failed"
    QUEUED = "queued"


class BulkItem(NamedTuple):
    """One item of a bulk result. ``place`` counts from 0 now, from 1 in an old sample: prefer the id.

    ``STORED`` only with a transaction id; a word we do not know counts as ``QUEUED``. ``error`` is set on ``FAILED``.
    ``is_repeat``: the second version recognised an earlier item, named by the two original ids.
    """

    place: int | None
    state: BulkState
    sub_request_id: str | None
    transaction_id: str | None
    created_at: int | None
    error: ErrorEntry | None
    is_repeat: bool = False
    original_request_id: str | None = None
    original_sub_request_id: str | None = None


class BulkResult(NamedTuple):
    """The state of a bulk request. Empty: not processed yet, older than 60 days, or unknown; never a failure."""

    items: tuple[BulkItem, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every item listed is stored or failed, and at least one is listed."""
        return bool(self.items) and all(item.state is not BulkState.QUEUED for item in self.items)


class StoredConsent(NamedTuple):
    """What the registry holds of one subject. Absence is None, another thing than an error."""

    subject: ConsentSubject
    status: Status
    source: str
    consent_at: int | None
    created_at: int | None
    transaction_id: str
    retailer_access_count: int
    retailer_code: int | None
    retailer_title: str | None


class MultiStatus(NamedTuple):
    """Those of the asked who have given consent; refusal and no record are alike absent."""

    request_id: str
    approved: frozenset[str]


class Movement(NamedTuple):
    """One change of a consent. ``consent_at`` is None where the registry leaves it empty (a closed line).

    ``transaction_id`` alone is not unique: movements of one address and channel within a second share it.
    """

    subject: ConsentSubject
    status: Status
    source: str
    consent_at: int | None
    created_at: int | None
    transaction_id: str


def find_consent(record: Movement | StoredConsent) -> Consent | None:
    """What the index keeps of ``record``: dated by the consent, or by its creation where a closed line has no date.

    None if it has neither: nothing then says which will is the later one. A consent cannot be later than the moment it
    was stored; one dated ahead of that would outlive every refusal until its date has come.
    """
    at = record.created_at if record.consent_at is None else record.consent_at
    if at is not None and record.created_at is not None and record.status is Status.APPROVED:
        at = min(at, record.created_at)
    return None if at is None else Consent(record.status, at, record.source)


class UnreadMovement(NamedTuple):
    """A movement we could not read; to be found out by a status query, never to be skipped in silence.

    ``recipient`` is "" if that was unreadable too; ``field`` names what was.
    """

    place: int
    recipient: str
    field: str


class ChangesSource(StrEnum):
    """Whose movements are pulled: those of the registry's channels, or those the provider sent itself."""

    REGISTRY = "IYS"
    PROVIDER = "HS"


class ChangesPage(NamedTuple):
    """A page of movements, oldest first by ``created_at``. ``after`` is opaque; None where the answer had none."""

    after: str | None
    movements: tuple[Movement, ...]
    unread: tuple[UnreadMovement, ...] = ()

    @property
    def size(self) -> int:
        """All items of the page; fewer than asked for means caught up."""
        return len(self.movements) + len(self.unread)


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A page of a list. ``total`` counts all pages, None where the answer does not say."""

    items: tuple[Item, ...]
    total: int | None
    offset: int | None
    unread: tuple[Any, ...] = ()


class BrandInfo(NamedTuple):
    """A brand and its counts."""

    brand_code: int
    name: str
    is_master: bool
    approvals: int
    rejections: int
    retailers: int


class PartnerBrand(NamedTuple):
    """A brand a partner may act for. ``rights``: the registry's word per channel, ``write`` in every sample."""

    iys_code: int
    brand_code: int
    name: str
    title: str
    is_master: bool
    may_reconcile: bool
    may_run_flows: bool
    rights: dict[Channel, str]


class Subscription(NamedTuple):
    """The provider's contract. The limits are None for partners, who do not see them."""

    subscription_id: str
    status: str
    starts_at: int | None
    expires_at: int | None
    package: str
    consent_limit: int | None
    consents_used: int | None
    may_exceed: bool | None
    iys_code: int | None = None

    @property
    def is_active(self) -> bool:
        return self.status == "ACTIVE"


class PushConnection(NamedTuple):
    """Where the registry shall push movements of one channel. ``url`` is https; basic authentication."""

    url: str
    channel: Channel
    username: str
    password: str

    def __repr__(self) -> str:
        return f"PushConnection(channel={self.channel!s})"


class PushRegistration(NamedTuple):
    """A push connection as the registry knows it; ``status`` is a Turkish phrase."""

    url: str
    channel: Channel | None
    status: str
    registered_at: int | None


class ChangeStat(NamedTuple):
    """Counts of one day, channel and source (``HS`` or ``IYS``)."""

    channel: Channel
    source: str
    approvals: int
    rejections: int
    pending: int
    total: int


class Agreement(NamedTuple):
    """The daily file of a brand. ``hash_value`` only once ``process_status`` is ``completed``."""

    process_status: str
    hash_value: str
    hash_method: str
    is_agreed: bool

    @property
    def is_ready(self) -> bool:
        return self.process_status == "completed" and bool(self.hash_value)


class Place(NamedTuple):
    """A city or a town; ``city_code`` only of a town."""

    code: int
    name: str
    city_code: int | None = None


class RetailerToAdd(NamedTuple):
    """A dealer to be registered; ``tin`` is the tax number, ``tckn`` the citizen's number of the owner."""

    title: str
    name: str
    tckn: str
    tin: str
    city: Place
    town: Place
    mersis: str | None = None
    alias: str | None = None
    mobile: str | None = None
    status: str | None = None

    def __repr__(self) -> str:
        return "RetailerToAdd(…)"


class Retailer(NamedTuple):
    """A dealer as the registry knows it. Personal numbers are left where they are."""

    retailer_code: int
    title: str
    name: str
    status: str
    city: str
    town: str
    access_count: int | None


class OptOutLink(NamedTuple):
    """The registry's own opt-out link for one address, or the code why there is none (H568: no consent)."""

    recipient: str
    url: str | None
    code: str

"""One recipient's consents, shown and set by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from filters.address import AddressError, parse_email
from filters.consent import Change, Consent, State, unpack
from filters.consent_key import ConsentKeys
from filters.exchange import Refusal
from filters.phone import PhoneError, parse_phone
from filters.vocabulary import Channel, RecipientType, Status
from gateway.consents.ports import ConsentStore
from gateway.consents.words import FIRST_CONSENT_AT, render_time

if TYPE_CHECKING:
    from gateway.refusals import RefusalReports


class Shown(NamedTuple):
    """What the index holds of one recipient; ``state`` is empty where it has no record."""

    state: State
    watermark_at: int | None
    revision: int

    def as_json(self) -> dict[str, Any]:
        return {
            "records": [
                {
                    "channel": channel,
                    "recipient_type": recipient_type,
                    "status": consent.status,
                    "source": consent.source,
                    "consent_date": render_time(consent.consent_at),
                    "own": consent.own,
                }
                for (channel, recipient_type), consent in self.state.items()
            ],
            "watermark": None if self.watermark_at is None else render_time(self.watermark_at),
            "revision": self.revision,
        }


def address_key(recipient: str) -> bytes:
    """The canonical address behind what was typed: an e-mail address if it has an @, else a phone number.

    Raises ``ValueError`` that does not repeat it.
    """
    try:
        if "@" in recipient:
            return parse_email(recipient.encode(), allow_utf8=True).key
        return parse_phone(recipient).key
    except (AddressError, PhoneError) as error:
        raise ValueError(f"recipient: expected an e-mail address or a phone number ({error})") from None


async def show(store: ConsentStore, keys: ConsentKeys, brand: int, recipient: str) -> Shown:
    """Raises ``ValueError`` for no address, ``OSError`` where the store cannot be asked."""
    found = await store.find(brand, [keys.derive(brand, address_key(recipient))])
    value = found.values[0]
    return Shown(unpack(value) if value else {}, found.watermark_at, found.revision)


class Set(NamedTuple):
    """What became of a record set by hand. ``changed`` is False where the index already held it or a later will;
    ``report_due_at`` None where there is nothing to tell the registry."""

    changed: bool
    report_due_at: int | None


async def set_consent(
    store: ConsentStore,
    keys: ConsentKeys,
    reports: RefusalReports,
    brand: int,
    recipient: str,
    channel: Channel,
    recipient_type: RecipientType,
    status: Status,
    source: str,
    consent_at: int,
    now: int,
) -> Set:
    """Merge one record.

    A refusal that came to the brand itself (``HS_…``) is the same as one taken by our own pages (design D8): it counts
    as ours until the registry shows it, is kept in the refusal journal too, and its report is put into the outbox in
    the same transaction. That a later will stands does not spare the report: the brand has to pass on every refusal
    it receives (Law 6563, 8/3), and the registry knows dates too. Raises ``ValueError`` and ``OSError`` as ``show``.
    """
    address = address_key(recipient)
    if (channel is Channel.EMAIL) is not (b"@" in address):
        wanted = "an e-mail address" if channel is Channel.EMAIL else "a phone number"
        raise ValueError(f"recipient: expected {wanted} for channel {channel}")
    if not FIRST_CONSENT_AT <= consent_at <= now:
        raise ValueError(f"consent date: expected a time from {render_time(FIRST_CONSENT_AT)} to now")
    own = status is Status.REJECTED and source.startswith("HS_")
    key = keys.derive(brand, address)
    change = Change(key, channel, recipient_type, Consent(status, consent_at, source, own))
    refusal = Refusal(brand, channel, key, address, recipient_type, consent_at, source)
    outbox = [reports.make(refusal, recipient_type)] if own else []
    await store.initialise()
    applied = await store.apply(brand, [change], outbox=outbox)
    return Set(applied.changed > 0, outbox[0].due_at if outbox else None)

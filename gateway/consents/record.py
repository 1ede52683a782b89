"""One recipient's consents, shown and set by hand."""

from __future__ import annotations

from typing import Any, NamedTuple

from filters.address import AddressError, parse_email
from filters.consent import Change, Consent, State, unpack
from filters.consent_key import ConsentKeys
from filters.exchange import Applied
from filters.phone import PhoneError, parse_phone
from filters.vocabulary import Channel, RecipientType, Status
from gateway.consents.ports import ConsentStore
from gateway.consents.words import FIRST_CONSENT_AT, render_time


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


async def set_consent(
    store: ConsentStore,
    keys: ConsentKeys,
    brand: int,
    recipient: str,
    channel: Channel,
    recipient_type: RecipientType,
    status: Status,
    source: str,
    consent_at: int,
    now: int,
) -> Applied:
    """Merge one record; ``changed`` is 0 where the index already holds a later will.

    A refusal that came to the brand itself (``HS_…``) counts as our own until the registry shows it: it is kept in
    the refusal journal too. Raises ``ValueError`` and ``OSError`` as ``show``.
    """
    address = address_key(recipient)
    if (channel is Channel.EMAIL) is not (b"@" in address):
        wanted = "an e-mail address" if channel is Channel.EMAIL else "a phone number"
        raise ValueError(f"recipient: expected {wanted} for channel {channel}")
    if not FIRST_CONSENT_AT <= consent_at <= now:
        raise ValueError(f"consent date: expected a time from {render_time(FIRST_CONSENT_AT)} to now")
    own = status is Status.REJECTED and source.startswith("HS_")
    await store.initialise()
    change = Change(keys.derive(brand, address), channel, recipient_type, Consent(status, consent_at, source, own))
    return await store.apply(brand, [change])

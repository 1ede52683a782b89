"""A simulated registry with a clock of the test's, a store, and the parts of the sync that keep them in step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapters.registry import Credentials, Patience, RecordPlace, RegistryAddress
from adapters.store import Store
from filters.consent import State, unpack
from filters.consent_key import ConsentKeys
from filters.registry.limits import Limits
from filters.registry.merging import find_address
from filters.registry.values import RegistryBrand
from filters.registry.words import find_channel, find_recipient_type, find_status, find_time
from filters.sms.note_seal import NoteSeal
from filters.vocabulary import Channel, RecipientType, Status
from gateway.registry.ports import BrandLink
from gateway.registry.pull import Pull
from gateway.registry.questions import QuestionBook, Questions
from loadtest.registry.book.world import DEFAULT_PASSWORD, DEFAULT_USERNAME
from tests.support.registry_world import RegistryWorld

BRAND = 600123
SECRET = b"a secret of the tests, long enough"
KEYS = ConsentKeys(SECRET)
SEAL = NoteSeal({1: b"k" * 32}, 1)
SLOT = (Channel.EMAIL, RecipientType.INDIVIDUAL)


class SyncWorld:
    """``world`` is the simulator; ``store`` ours. Nothing runs by itself: each step is called."""

    def __init__(
        self,
        world: RegistryWorld,
        store: Store,
        *,
        brands: Sequence[int] = (BRAND,),
        records: RecordPlace | None = None,
        interval_s: float = 60.0,
    ) -> None:
        self.world = world
        self.store = store
        self.address = RegistryAddress(
            world.server.url,
            records=records,
            limits=Limits(per_second=100_000),
            patience=Patience(answer_s=5.0, connect_s=2.0, turn_s=5.0),
            clock=world.clock.now,
        )
        self.api = self.address.client(Credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD))
        self.links = [BrandLink(code, RegistryBrand(BRAND, code), self.api) for code in brands]
        self.link = self.links[0]
        self.book = QuestionBook(store, SEAL)
        self.pull = Pull(self.links, store, store, self.book, KEYS, interval_s=interval_s, clock=world.clock.now)
        self.questions = Questions(self.links, store, self.book, KEYS, world.clock.now)

    async def close(self) -> None:
        await self.address.close()

    async def state(self, recipient: str, brand: int = BRAND) -> State:
        """What the index holds of a person."""
        address = find_address(recipient)
        assert address is not None
        value = (await self.store.find(brand, [KEYS.derive(brand, address)])).values[0]
        return unpack(value) if value else {}

    async def status(self, recipient: str, brand: int = BRAND) -> Status | None:
        """Of mail to an individual."""
        found = (await self.state(recipient, brand)).get(SLOT)
        return None if found is None else found.status

    async def watermark(self, brand: int = BRAND) -> int | None:
        return (await self.store.watermarks()).get(brand)

    async def loaded(self, ago_s: float = 0.0, brand: int = BRAND) -> int:
        """As after a complete import of an export taken ``ago_s`` before now."""
        at = int(self.world.clock.now() - ago_s)
        await self.store.apply(brand, [], watermark_at=at)
        return at


def read_dump(path_or_text: Path | str) -> dict[tuple[bytes, Channel, RecipientType], tuple[Status, int]]:
    """The simulator's own list of consents (``/_sim/consents``) by our keys."""
    text = path_or_text.read_text("utf-8") if isinstance(path_or_text, Path) else path_or_text
    found: dict[tuple[bytes, Channel, RecipientType], tuple[Status, int]] = {}
    for line in text.splitlines()[1:]:
        recipient, channel, kind, status, _, date, *_ = line.split(",")
        address = find_address(recipient)
        slot = find_channel(channel), find_recipient_type(kind), find_status(status), find_time(date)
        assert address is not None
        assert slot[0] is not None
        assert slot[1] is not None
        assert slot[2] is not None
        assert slot[3] is not None
        found[KEYS.derive(BRAND, address), slot[0], slot[1]] = slot[2], slot[3]
    return found


def movement(recipient: str, status: str = "RET", **more: Any) -> dict[str, Any]:
    """What a citizen does on the registry's site, for ``/_sim/movements``."""
    return {
        "brandCode": BRAND,
        "recipient": recipient,
        "type": "EPOSTA",
        "recipientType": "BIREYSEL",
        "status": status,
        "source": "IYS_WEB",
    } | more

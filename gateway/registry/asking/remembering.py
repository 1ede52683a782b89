"""The addresses behind keys, for a moment and in memory only: the index knows hashes, the registry addresses."""

from __future__ import annotations

from collections.abc import Iterable

from filters.consent_key import ConsentKeys

MOST_REMEMBERED = 100_000


class RememberingKeys(ConsentKeys):
    """Keys that remember the address behind each, for the brands in ``wanted`` only; those in ``always`` stay there."""

    __slots__ = ("addresses", "always", "wanted")

    def __init__(self, secret: bytes, always: Iterable[int] = ()) -> None:
        super().__init__(secret)
        self.always = frozenset(always)
        self.wanted: set[int] = set(self.always)
        self.addresses: dict[bytes, bytes] = {}

    def derive(self, brand: int, address_key: bytes) -> bytes:
        key = super().derive(brand, address_key)
        if brand in self.wanted:
            self._remember(((key, address_key),))
        return key

    def derive_many(self, brand: int, address_keys: Iterable[bytes]) -> list[bytes]:
        if brand not in self.wanted:
            return super().derive_many(brand, address_keys)
        addresses = list(address_keys)
        keys = super().derive_many(brand, addresses)
        self._remember(zip(keys, addresses, strict=True))
        return keys

    def _remember(self, found: Iterable[tuple[bytes, bytes]]) -> None:
        if len(self.addresses) > MOST_REMEMBERED:
            self.addresses.clear()
        self.addresses.update(found)

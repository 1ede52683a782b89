"""The key under which the index and the evidence know a recipient: never the address itself (KVKK, design D6)."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

KEY_BYTES = 10
"""80 bits: with 100 million records the chance that any two share a key is below one in a hundred million."""

MIN_SECRET_BYTES = 32


class ConsentKeys:
    """Derives keys with the installation's secret; without it a key cannot be tested against an address."""

    __slots__ = ("_secret", "fingerprint")

    fingerprint: bytes
    """8 bytes that tell two secrets apart and say nothing about either: the store keeps them, so that an index
    derived with another secret, in which nobody would ever be found, is noticed."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError(f"index secret: expected at least {MIN_SECRET_BYTES} bytes, found {len(secret)}")
        self._secret = blake2b(secret, digest_size=32, person=b"izin-index-key").digest()
        self.fingerprint = blake2b(secret, digest_size=8, person=b"izin-index-mark").digest()

    def derive(self, brand: int, address_key: bytes) -> bytes:
        """``KEY_BYTES`` bytes for ``address_key`` (canonical e-mail address or E.164 number) under ``brand``."""
        return blake2b(b"%d\0%s" % (brand, address_key), digest_size=KEY_BYTES, key=self._secret).digest()

    def derive_many(self, brand: int, address_keys: Iterable[bytes]) -> list[bytes]:
        """``derive`` for each of ``address_keys``, in half the time: key and brand are hashed once."""
        begun = blake2b(b"%d\0" % brand, digest_size=KEY_BYTES, key=self._secret)
        derived = []
        for address_key in address_keys:
            hashing = begun.copy()
            hashing.update(address_key)
            derived.append(hashing.digest())
        return derived

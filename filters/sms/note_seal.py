"""Notes that hold numbers, sealed while they lie in the store (KVKK): AES-GCM under the installation's outbox keys.

Sealed form: one byte key id, 12 bytes nonce, ciphertext with tag; the note's name is authenticated beside it, so that a
note cannot be moved to another name. The name is a keyed hash: whoever asks for a note has to know what it is about.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
NAME_BYTES = 16
MAX_NOTE_BYTES = 16 * 1024 * 1024
MAX_UNPACKED_BYTES = 512
_UNPACKED = b"\0"


class NoteSeal:
    """Names, seals and opens notes. ``secrets`` by key id as for reports of refusals; ``current`` seals."""

    __slots__ = ("_ciphers", "_current", "_name_secrets")

    def __init__(self, secrets: Mapping[int, bytes], current: int) -> None:
        self._current = current
        self._ciphers = {
            key_id: AESGCM(blake2b(secret, digest_size=32, person=b"izin-note-key").digest())
            for key_id, secret in secrets.items()
        }
        self._name_secrets = {
            key_id: blake2b(secret, digest_size=32, person=b"izin-note-name").digest()
            for key_id, secret in secrets.items()
        }

    def name(self, *words: str) -> bytes:
        """What a note about ``words`` is called: the first of ``names``."""
        return blake2b(_about(words), digest_size=NAME_BYTES, key=self._name_secrets[self._current]).digest()

    def names(self, *words: str) -> tuple[bytes, ...]:
        """What the note about ``words`` may be called: under the current key first, then under older ones."""
        about = _about(words)
        ids = [self._current, *(key_id for key_id in self._name_secrets if key_id != self._current)]
        return tuple(blake2b(about, digest_size=NAME_BYTES, key=self._name_secrets[key_id]).digest() for key_id in ids)

    def seal(self, name: bytes, plain: bytes, nonce: bytes) -> bytes:
        """``plain`` packed and sealed. ``nonce``: ``NONCE_BYTES`` random bytes, never used twice with one key."""
        # Packing costs a hundred microseconds however short it is. No packed form begins with this octet.
        packed = zlib.compress(plain, 1) if len(plain) > MAX_UNPACKED_BYTES else _UNPACKED + plain
        return bytes((self._current,)) + nonce + self._ciphers[self._current].encrypt(nonce, packed, name)

    def open(self, name: bytes, sealed: bytes) -> bytes:
        """What was sealed. Raises ``ValueError`` if it was altered, belongs to another name, or its key is missing."""
        cipher = self._ciphers.get(sealed[0]) if sealed else None
        if cipher is None:
            raise ValueError("note: sealed with a key that is not configured")
        try:
            packed = cipher.decrypt(sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :], name)
            if packed[:1] == _UNPACKED:
                return packed[1:]
            return zlib.decompressobj().decompress(packed, MAX_NOTE_BYTES)
        except (InvalidTag, ValueError, zlib.error) as error:
            raise ValueError("note: altered, or sealed for another name") from error


def _about(words: Sequence[str]) -> bytes:
    return b"\0".join([b"%d:%s" % (len(encoded), encoded) for encoded in map(_encode, words)])


def _encode(word: str) -> bytes:
    return word.encode("utf-8", "surrogatepass")

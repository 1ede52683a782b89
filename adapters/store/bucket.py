"""How Redis holds consents: packed buckets, because a key of its own costs 104 bytes there.

A bucket is one Redis string for all keys that begin with the same 18 bits; at 10 million records it holds 38 of them
in 15 bytes each, and stays small enough to be sent whole (570 bytes; 6 kB at 100 million). Sending it whole keeps
look-ups one MGET: no script runs in Redis while mail waits.

::

    number of keys N        2 bytes, big-endian
    key suffixes            N x 8 bytes   (bytes 2 to 9 of the key; the first 18 bits name the bucket)
    slot counts             N x 1 byte
    packed consents         6 bytes each, in the order of the suffixes

All keys of the store carry the hash tag ``{izin}``, so they share one slot: in a Cluster too, a change and its mark,
watermark and outbox stay one transaction, and the mark is read behind the records it vouches for.
"""

from __future__ import annotations

from filters.consent import ENTRY_BYTES
from filters.consent_key import KEY_BYTES

SUFFIX_BYTES = KEY_BYTES - 2
BUCKET_PREFIX = b"{izin}b"
_HEADER_BYTES = 2
_BITS_OF_THIRD_BYTE = 2  # 16 + 2 = 18 bits
_THIRD_BYTE = tuple(bytes([byte >> (8 - _BITS_OF_THIRD_BYTE) << (8 - _BITS_OF_THIRD_BYTE)]) for byte in range(256))


def bucket_of(key: bytes) -> bytes:
    """The three bytes that name the bucket of ``key``."""
    return key[:2] + _THIRD_BYTE[key[2]]


def find_in_bucket(bucket: bytes, key: bytes) -> bytes | None:
    """The packed consents of ``key``, None where the bucket does not have it. Raises ``ValueError`` if malformed."""
    number = int.from_bytes(bucket[:_HEADER_BYTES], "big")
    counts_at = _HEADER_BYTES + SUFFIX_BYTES * number
    entries_at = counts_at + number
    # Whatever is not a bucket must not pass for one that does not have the key.
    if len(bucket) != entries_at + ENTRY_BYTES * sum(bucket[counts_at:entries_at]) or not number:
        raise ValueError("bucket: not as long as its counts say")
    suffix = key[2:]
    at = bucket.find(suffix, _HEADER_BYTES, counts_at)
    # A match across two neighbours' bytes is not the key.
    while at >= 0 and (at - _HEADER_BYTES) % SUFFIX_BYTES:
        at = bucket.find(suffix, at + 1, counts_at)
    if at < 0:
        return None
    index = counts_at + (at - _HEADER_BYTES) // SUFFIX_BYTES
    first = entries_at + ENTRY_BYTES * sum(bucket[counts_at:index])
    return bucket[first : first + ENTRY_BYTES * bucket[index]]

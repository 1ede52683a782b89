"""A time-stamp response (RFC 3161) over a daily file: its shape and imprint are real, a signature it has not."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _integer(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_TST_INFO = bytes.fromhex("060b2a864886f70d0109100104")
_SHA384 = _der(0x30, bytes.fromhex("0609608648016503040202"))
_POLICY = bytes.fromhex("06032a0304")  # 1.2.3.4, the customary example


def render_timestamp(content: bytes, at: float, serial: int) -> bytes:
    """DER of a TimeStampResp with status granted whose token names SHA-384 of ``content`` and the instant ``at``."""
    imprint = _der(0x30, _SHA384, _der(0x04, hashlib.sha384(content).digest()))
    when = _der(0x18, datetime.fromtimestamp(int(at), UTC).strftime("%Y%m%d%H%M%SZ").encode())
    information = _der(0x30, _integer(1), _POLICY, imprint, _integer(serial), when)
    enclosed = _der(0x30, _TST_INFO, _der(0xA0, _der(0x04, information)))
    signed = _der(0x30, _integer(3), _der(0x31, _SHA384), enclosed, _der(0x31))
    token = _der(0x30, _SIGNED_DATA, _der(0xA0, signed))
    return _der(0x30, _der(0x30, _integer(0)), token)

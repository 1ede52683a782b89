"""Replies as they come over the wire (RFC 5321 4.2), read strictly and with a bound on their size."""

from __future__ import annotations

from typing import NamedTuple

MAX_LINE_BYTES = 2048  # RFC 5321 4.5.3.1.5 says 512; real servers put long links into their refusals
MAX_REPLY_BYTES = 64 * 1024

_CODES = {b"%03d" % code: code for code in range(200, 600)}
_LAST_LINES = {b"%03d " % code: code for code in range(200, 600)}


class GarbledReplyError(Exception):
    """The bytes are no SMTP reply, or one without end."""


class WireReply(NamedTuple):
    """``code`` 200..599; ``text`` the raw lines after the codes, joined by LF."""

    code: int
    text: bytes


class ReplyReader:
    """Bytes in any chunks in, whole replies out. After ``GarbledReplyError`` the reader is of no further use."""

    __slots__ = ("_buffer", "_code", "_lines", "_lines_bytes", "_position")

    def __init__(self) -> None:
        self._buffer = b""
        self._position = 0
        self._code = 0
        self._lines: list[bytes] = []
        self._lines_bytes = 0

    @property
    def has_rest(self) -> bool:
        """Whether bytes were fed that no returned reply contains."""
        return self._position < len(self._buffer) or bool(self._lines)

    def feed(self, data: bytes) -> None:
        """Add what the peer sent."""
        if self._position < len(self._buffer):
            data = self._buffer[self._position :] + data
        self._buffer = data
        self._position = 0

    def next_reply(self) -> WireReply | None:
        """The next whole reply, None if more bytes are needed; raises ``GarbledReplyError``.

        A bare LF ends a line too: some servers send it, and nothing of ours depends on the difference.
        """
        buffer = self._buffer
        while True:
            start = self._position
            end = buffer.find(b"\n", start)
            if end < 0:
                if len(buffer) - start > MAX_LINE_BYTES:
                    raise GarbledReplyError
                return None
            if end - start > MAX_LINE_BYTES:
                raise GarbledReplyError
            self._position = end + 1
            code = _LAST_LINES.get(buffer[start : start + 4])
            if code is not None and not self._lines:  # nearly all replies have one line
                return WireReply(code, buffer[start + 4 : end - 1 if buffer[end - 1] == 0x0D else end])
            line = buffer[start:end]
            if line.endswith(b"\r"):
                line = line[:-1]
            code = _CODES.get(line[:3])
            if code is None:
                raise GarbledReplyError
            separator = line[3:4]
            if self._lines and code != self._code:
                raise GarbledReplyError
            if separator == b" " or not separator:
                if not self._lines:
                    return WireReply(code, line[4:])
                self._lines.append(line[4:])
                text = b"\n".join(self._lines)
                self._lines = []
                self._lines_bytes = 0
                return WireReply(code, text)
            if separator != b"-":
                raise GarbledReplyError
            self._code = code
            self._lines.append(line[4:])
            self._lines_bytes += len(line)
            if self._lines_bytes > MAX_REPLY_BYTES:
                raise GarbledReplyError

"""Where the content of a DATA command ends, and whether its lines are lines (RFC 5321 2.3.8, 4.1.1.4, 4.5.2).

The end is CRLF "." CRLF and nothing else. A server that also ends content at LF "." LF or CR "." CR, while the next hop
does not (or the other way round), lets a sender hide a second message, with an envelope nobody checked, inside the
first ("SMTP smuggling"). So other forms never end anything here, and content that has a bare CR, a bare LF or a NUL
anywhere is refused as a whole once its true end is reached: what a next hop might read as an end never gets to it.

All work is done on blocks, at the speed of ``bytes`` methods; a loop over lines costs 500 to 700 µs for 50 kB.
A line over 998 octets is not refused: real senders write them (unwrapped HTML), next hops commonly take them, and
a gate that refused them would stop mail that flowed before it was put there. It is passed on as it came.
"""

from __future__ import annotations

_END = b"\r\n.\r\n"
_DOT = b"\r\n."


def has_clean_lines(content: bytes) -> bool:
    """Whether every CR and LF in ``content`` is part of a CRLF, and no NUL is in it.

    Taking all CR away and putting one before each LF gives the same bytes only then. Both replacements and the
    comparison run at memory speed: 18 µs for 51 kB of text lines, against 81 µs for comparing three counts.
    """
    return content.replace(b"\r", b"").replace(b"\n", b"\r\n") == content and b"\0" not in content


def unstuff(content: bytes) -> bytes:
    """``content`` without the dot that the client put before each line that began with one (RFC 5321 4.5.2)."""
    if content.startswith(b"."):
        content = content[1:]
    return content.replace(_DOT, b"\r\n")


class ContentReader:
    """Collects the content of one DATA command from blocks that are cut anywhere.

    Give it blocks with ``read`` until it returns the place in that block just behind the end. Then ``content`` is what
    stood before the final dot, un-stuffed; it keeps nothing after ``drop`` was called, but still finds the end.
    """

    __slots__ = ("_buffer", "_has_dots", "_is_dropped", "_scanned", "size_bytes")

    # The CRLF of the DATA command line: with it a dot in the first line is found like any other.
    _HEAD = b"\r\n"

    def __init__(self) -> None:
        self._buffer = bytearray(self._HEAD)
        self._scanned = 0
        self._has_dots = False
        self._is_dropped = False
        self.size_bytes = 0

    def read(self, block: bytes, at: int) -> int:
        """Take ``block`` from ``at`` on. Returns the place behind the final CRLF, or -1 if the end is not in it."""
        buffer = self._buffer
        before = len(buffer)
        buffer += memoryview(block)[at:] if at else block
        end = self._find_end()
        if end < 0:
            self.size_bytes += len(block) - at
            if self._is_dropped:
                # What could still be the beginning of an end is kept, the rest goes.
                del buffer[: -len(_END) + 1]
                self._scanned = 0
            return -1
        taken = end + len(_END) - before
        self.size_bytes += taken
        del buffer[end + 2 :]
        return at + taken

    def drop(self) -> None:
        """Forget what was read and keep nothing from now on; the end is found all the same."""
        self._is_dropped = True
        del self._buffer[: max(0, len(self._buffer) - len(_END) + 1)]
        self._scanned = 0

    def take_content(self) -> bytes:
        """The content after its end was found."""
        with memoryview(self._buffer) as view:
            content = bytes(view[len(self._HEAD) :])
        self._buffer = bytearray()
        return unstuff(content) if self._has_dots else content

    def _find_end(self) -> int:
        """Where the final CRLF "." CRLF begins, or -1.

        Most mail has no line that begins with a dot but the last, so one search for CRLF "." both finds the end and
        tells that there is nothing to un-stuff.
        """
        buffer = self._buffer
        if not self._has_dots:
            # From behind first: that search is three times as fast, and most blocks hold nothing or only the end.
            last = len(buffer) - len(_END)
            if last >= self._scanned and buffer.endswith(_END) and buffer.rfind(_DOT, self._scanned, last + 2) < 0:
                return last
            if buffer.rfind(_DOT, self._scanned) < 0:
                self._scanned = max(0, len(buffer) - len(_DOT) + 1)
                return -1
            dot = buffer.find(_DOT, self._scanned)
            if buffer.startswith(_END, dot):
                return dot
            self._scanned = dot
            if len(buffer) < dot + len(_END):
                return -1  # cut inside what may be the end
            self._has_dots = True
        end = buffer.find(_END, self._scanned)
        if end < 0:
            self._scanned = max(self._scanned, len(buffer) - len(_END) + 1)
        return end


def split_at_end(block: bytes, at: int) -> tuple[bytes, int] | None:
    """The common case in one step: content that lies whole in ``block`` from ``at`` on.

    Returns the content, un-stuffed, and the place behind the final CRLF; None if the end is not in this block, or the
    first line begins with a dot (then ``ContentReader`` has the room to look at it closely).
    """
    if block.startswith(b".", at):
        return None
    last = len(block) - len(_END)
    # Nothing but the end, and nothing behind it: the search from behind is two to four times as fast.
    if last >= at and block.endswith(_END) and block.rfind(_DOT, at, last + 2) < 0:
        return block[at : last + 2], len(block)
    dot = block.find(_DOT, at)
    if dot < 0:
        return None
    if block.startswith(_END, dot):
        return block[at : dot + 2], dot + len(_END)
    end = block.find(_END, dot)
    if end < 0:
        return None
    return block[at : end + 2].replace(_DOT, b"\r\n"), end + len(_END)

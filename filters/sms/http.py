"""HTTP requests and responses as values, so that codecs stay pure."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class HttpRequest(NamedTuple):
    """A request as it came in, or as it will go out.

    ``path`` begins with a slash and is percent-decoded nowhere; ``query`` is the raw string behind "?" or "". Header
    names are lower-case; a name may occur more than once. Going out, ``path`` is relative to the upstream's base URL,
    and headers that belong to one connection (host, content-length, connection …) are left to the client.
    """

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first value of ``name`` (lower-case), or None."""
        for found, value in self.headers:
            if found == name:
                return value
        return None


class HttpResponse(NamedTuple):
    """A response from upstream, or to the sender; header names are lower-case."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first value of ``name`` (lower-case), or None."""
        for found, value in self.headers:
            if found == name:
                return value
        return None


class UpstreamFault(StrEnum):
    """Why the upstream gave no answer that can be read. After the first three it has seen nothing of the request."""

    UNREACHABLE = "unreachable"
    NO_ROOM = "no_room"
    """Our own limits: connections, rate, or a breaker that is open."""
    EXPIRED = "expired"
    """Waited too long for its turn: the decision behind it has to be made again."""
    LOST = "lost"
    TIMED_OUT = "timed_out"
    GARBAGE = "garbage"

    @property
    def is_unknown(self) -> bool:
        """Whether the upstream may have taken the request."""
        return self in _UNKNOWN


_UNKNOWN = frozenset({UpstreamFault.LOST, UpstreamFault.TIMED_OUT, UpstreamFault.GARBAGE})

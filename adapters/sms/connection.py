"""One kept connection to a provider, with one request under way on it at most.

The library's own client makes half a dozen objects, a task and a timer context for each request: a quarter of
what a request with one recipient costs in the gateway. What is needed here is small: no redirects, cookies, packing or
proxies, and never a second attempt. The answer is still read by the library's parser, within its limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpResponseParser, RawResponseMessage
from aiohttp.streams import StreamReader

from filters.sms.http import HttpRequest, HttpResponse, UpstreamFault

MAX_FIELD_BYTES = 16 * 1024
_HEAD_ROOM = 1024 * 1024
"""What head and framing of an answer may take beside its body."""
_WITHOUT_BODY = frozenset({204, 304})
_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})


def write_head(request: HttpRequest, host: str, prefix: str) -> bytes:
    """The head of ``request`` as it goes over the wire. Raises ``ValueError`` for what would be two readers' two
    requests: line ends in a field, blanks in the address."""
    query = f"?{request.query}" if request.query else ""
    target = f"{prefix}{request.path}{query}"
    fields = "".join([f"{name}: {value}\r\n" for name, value in request.headers])
    number = len(request.headers)
    if fields.count("\n") != number or fields.count("\r") != number or "\0" in fields:
        raise ValueError("a line end in a header field")
    if not target.isascii() or not target.isprintable() or " " in target:
        raise ValueError("a blank in the address")
    length = len(request.body)
    if length or request.method in _WITH_LENGTH:
        fields = f"{fields}Content-Length: {length}\r\n"
    return f"{request.method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n".encode("utf-8", "surrogateescape")


class Connection(BaseProtocol):
    """Made by ``create_connection``. ``on_change`` hears 1 once it is open and -1 once it is closed."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, max_response_bytes: int, on_change: Callable[[Connection, int], None]
    ) -> None:
        super().__init__(loop)
        self._max_bytes = max_response_bytes
        self._on_change = on_change
        self._answer: asyncio.Future[HttpResponse | UpstreamFault] | None = None
        self._message: RawResponseMessage | None = None
        self._payload: StreamReader | None = None
        self._received = 0
        self._timer: asyncio.TimerHandle | None = None
        self.idle_since = 0.0

    @property
    def is_usable(self) -> bool:
        """Open, and with nothing under way."""
        return self.transport is not None and not self.transport.is_closing() and self._answer is None

    def ask(self, head: bytes, body: bytes, within_s: float) -> asyncio.Future[HttpResponse | UpstreamFault]:
        """The answer to come, or ``LOST``, ``TIMED_OUT`` or ``GARBAGE``; after those three the connection is closed.

        Who waits no longer has to call ``abort``.
        """
        assert self.transport is not None
        loop = self._loop
        self._answer = answer = loop.create_future()
        self._message = self._payload = None
        self._received = 0
        self._parser = HttpResponseParser(
            self,
            loop,
            self._max_bytes + _HEAD_ROOM,  # never paused: what is too much ends it
            read_until_eof=True,
            auto_decompress=False,
            max_line_size=MAX_FIELD_BYTES,
            max_field_size=MAX_FIELD_BYTES,
        )
        self._timer = loop.call_later(within_s, self._end, UpstreamFault.TIMED_OUT)
        if len(body) < MAX_FIELD_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)
        return answer

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._on_change(self, 1)

    def pause_reading(self) -> None:
        """Never: an answer is bounded, and read as a whole."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Nothing to resume; the library's own would feed the parser again while its answer is taken."""

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._parser is None:
            self.abort()  # nobody asked for this
            return
        self._received += len(data)
        try:
            messages, is_upgraded, _ = self._parser.feed_data(data)
        except Exception:  # the parser has several kinds, and whatever it is, it is not an answer
            self._end(UpstreamFault.GARBAGE)
            return
        for message, payload in messages:
            if self._message is None and 100 <= message.code < 200 and not is_upgraded:
                continue
            if self._message is not None or is_upgraded:
                self._end(UpstreamFault.GARBAGE)
                return
            self._message, self._payload = message, payload
        if self._received > self._max_bytes + _HEAD_ROOM:
            self._end(UpstreamFault.GARBAGE)
        elif self._is_whole():
            self._finish()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._answer is not None:
            if self._parser is not None and self._message is not None and exc is None:
                try:
                    self._parser.feed_eof()  # an answer without a length ends here
                except Exception:  # as above
                    self._message = None
            if self._is_whole():
                self._finish()
            else:
                self._end(UpstreamFault.LOST)
        super().connection_lost(exc)
        self._on_change(self, -1)

    def _is_whole(self) -> bool:
        if self._message is None or self._payload is None:
            return False
        if self._message.code in _WITHOUT_BODY:
            return True
        return self._payload.is_eof() and self._payload.exception() is None

    def _finish(self) -> None:
        message, payload, transport = self._message, self._payload, self.transport
        assert message is not None
        assert payload is not None
        body = b"" if message.code in _WITHOUT_BODY else payload.read_nowait(-1)
        if len(body) > self._max_bytes:
            self._end(UpstreamFault.GARBAGE)
            return
        if transport is not None and (message.should_close or transport.get_write_buffer_size()):
            transport.abort()
        headers = tuple([(name.lower(), value) for name, value in message.headers.items()])
        self._tell(HttpResponse(message.code, headers, body))

    def _end(self, fault: UpstreamFault) -> None:
        self._tell(fault)
        self.abort()

    def _tell(self, result: HttpResponse | UpstreamFault) -> None:
        answer, self._answer, self._parser = self._answer, None, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if answer is not None and not answer.done():
            answer.set_result(result)

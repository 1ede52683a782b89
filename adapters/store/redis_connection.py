"""One connection to Redis for look-ups: requests out, replies back in strictly the same order.

Written by hand because it is the path of every message: all look-ups of one turn of the loop are one write, and their
replies reach callbacks without a task or a future each. Measured, uvloop, 64 look-ups under way: 5 µs of a core each,
where redis-py needs 50 to 70. Everything else is ``redis_client``'s.

The invariant everything rests on: a connection on which a request timed out, was abandoned, or got a reply that
cannot be read is thrown away with all that is outstanding on it. It is never read again, so no late reply can be
taken for the answer to a later question, and one person's answer never reaches another.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard, cast

import hiredis

from adapters.store.errors import StoreTimedOutError, StoreUnreachableError
from filters.vocabulary import LookupFailure

Done = Callable[[list[Any] | LookupFailure], None]
"""Gets the replies of one request (a Redis error among them is a ``hiredis.ReplyError``), or why there are none."""


def pack_command(*words: bytes) -> bytes:
    """One command in the form Redis reads (RESP arrays of bulk strings)."""
    return b"*%d\r\n%s" % (len(words), b"".join([b"$%d\r\n%s\r\n" % (len(word), word) for word in words]))


class _Outstanding:
    __slots__ = ("deadline_at", "done", "expected", "replies", "size")

    def __init__(self, expected: int, done: Done, deadline_at: float, size: int) -> None:
        self.expected = expected
        self.done = done
        self.deadline_at = deadline_at
        self.size = size
        self.replies: list[Any] = []


class RedisConnection(asyncio.Protocol):
    """Made by ``loop.create_connection``; works on asyncio's and uvloop's transports alike."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._outstanding: deque[_Outstanding] = deque()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.is_open = False
        self.outstanding_bytes = 0

    def send(self, request: bytes, expected: int, done: Done, deadline_s: float) -> None:
        """Write ``request`` (one or more packed commands); ``done`` gets its ``expected`` replies, exactly once.

        Deadlines run from the oldest outstanding request: later ones cannot be answered before it.
        """
        if not self.is_open or self._transport is None:
            done(LookupFailure.UNREACHABLE)
            return
        deadline_at = self._loop.time() + deadline_s
        self._outstanding.append(_Outstanding(expected, done, deadline_at, len(request)))
        self.outstanding_bytes += len(request)
        if len(self._outstanding) == 1 and (self._timer is None or deadline_at < self._timer_at):
            self._set_timer(deadline_at)
        self._transport.write(request)

    async def ask(self, *commands: bytes, deadline_s: float) -> list[Any]:
        """The replies to ``commands``; cancelled, it discards the connection.

        Raises ``StoreUnreachableError`` or ``StoreTimedOutError``.
        """
        answered: asyncio.Future[list[Any] | LookupFailure] = self._loop.create_future()

        def keep(answer: list[Any] | LookupFailure) -> None:
            if not answered.done():
                answered.set_result(answer)

        self.send(b"".join(commands), len(commands), keep, deadline_s)
        try:
            answer = await answered
        except asyncio.CancelledError:
            self.discard(LookupFailure.UNREACHABLE)
            raise
        if answer is LookupFailure.TIMED_OUT:
            raise StoreTimedOutError("Redis did not answer in time")
        if isinstance(answer, LookupFailure):
            raise StoreUnreachableError("the connection to Redis was lost")
        return answer

    def discard(self, failure: LookupFailure) -> None:
        """Throw the connection away; all that is outstanding on it gets ``failure``."""
        if not self.is_open:
            return
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        outstanding, self._outstanding = self._outstanding, deque()
        self.outstanding_bytes = 0
        if not self.lost.done():
            self.lost.set_result(None)
        for request in outstanding:
            self._finish(request, failure)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self.is_open = True

    def connection_lost(self, error: Exception | None) -> None:
        self.discard(LookupFailure.UNREACHABLE)

    def data_received(self, data: bytes) -> None:
        if not self.is_open:
            return
        reader, outstanding = self._reader, self._outstanding
        try:
            reader.feed(data)
            while self.is_open:
                reply = reader.gets()
                if reply is False:
                    break
                if not outstanding:
                    # A reply nobody asked for: what else this connection would say cannot be trusted.
                    self.discard(LookupFailure.BROKEN)
                    return
                request = outstanding[0]
                request.replies.append(reply)
                if len(request.replies) == request.expected:
                    outstanding.popleft()
                    self.outstanding_bytes -= request.size
                    if outstanding and outstanding[0].deadline_at < self._timer_at:
                        self._set_timer(outstanding[0].deadline_at)
                    self._finish(request, request.replies)
        except hiredis.HiredisError:
            self.discard(LookupFailure.BROKEN)

    def _finish(self, request: _Outstanding, answer: list[Any] | LookupFailure) -> None:
        try:
            request.done(answer)
        except Exception as error:  # the caller's, of any kind
            # One caller's bug must not take the connection, and with it everybody else's answers, down.
            self._loop.call_exception_handler({"message": "error in a Redis callback", "exception": error})

    def _check_deadline(self) -> None:
        self._timer = None
        if not self._outstanding:
            return
        oldest = self._outstanding[0]
        if self._loop.time() >= oldest.deadline_at:
            self.discard(LookupFailure.TIMED_OUT)
        else:
            self._set_timer(oldest.deadline_at)

    def _set_timer(self, at: float) -> None:
        # One that is due earlier than needed is left to find that out: most requests are answered long before, and
        # setting and cancelling a timer for each would cost more than sending it.
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._check_deadline)


def error_in(replies: Sequence[Any]) -> str | None:
    """The text of the first Redis error among ``replies``."""
    return next((str(reply) for reply in replies if isinstance(reply, hiredis.ReplyError)), None)


def is_answered(replies: list[Any] | LookupFailure) -> TypeGuard[list[Any]]:
    """Whether Redis answered, and with no error."""
    return not isinstance(replies, LookupFailure) and error_in(replies) is None

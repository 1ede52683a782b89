"""Writing to the disk without a thread: the kernel's own queue (io_uring), where there is one for us.

A thread that comes back from the disk takes the interpreter from the loop in the middle of other messages: at full load
that cost about 70 µs of CPU a mail. The kernel instead wakes the loop as a socket does. Containers and old kernels
often have no io_uring; there the writer's thread does all the work.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import ModuleType

Done = Callable[[int], None]
"""How many bytes are on the disk; fewer than were given where the disk is full or failed."""

_REQUESTS = 4


class RingError(Exception):
    """The kernel took nothing: it has no memory left for the request, or does not allow the call any more."""


class DiskRing:
    """Asynchronous writes to files opened with ``O_DSYNC | O_APPEND``; belongs to the running loop."""

    def __init__(self, uring: ModuleType) -> None:
        self._loop = asyncio.get_running_loop()
        self._operation = uring.Operation
        self._context = uring.Context(max_requests=_REQUESTS)
        self._loop.add_reader(self._context.fileno, self._take_completions)

    def write(self, descriptor: int, data: bytes, done: Done) -> None:
        """Append ``data``; ``done`` once, in the loop's thread, possibly before this returns.

        Raises ``RingError`` where nothing of it was taken. The request may stand in the queue all the same, and would
        go out with the next: do not use the ring again, only close it.
        """
        operation = self._operation.write(data, descriptor, 0)  # the place does not count in a file for appending
        operation.set_callback(lambda result: done(max(result, 0)))
        try:
            self._context.submit(operation)
            self._context.flush()
        except (OSError, OverflowError, SystemError) as error:  # the library's words for a refusal by the kernel
            raise RingError from error

    def close(self) -> None:
        """Only when nothing is under way."""
        self._loop.remove_reader(self._context.fileno)

    def _take_completions(self) -> None:
        with contextlib.suppress(BlockingIOError):  # the counter may read zero though completions are there
            self._context.poll()
        while self._context.process_events():
            pass


def open_ring() -> DiskRing | None:
    """A ring for the running loop, or None where the kernel has none for us."""
    uring: ModuleType | None = None
    with contextlib.suppress(ImportError):
        import caio  # tries the kernel while it is imported, and has no such module where that failed

        uring = getattr(caio, "linux_uring", None)
    if uring is None:
        return None
    try:
        return DiskRing(uring)
    except (OSError, SystemError):  # the library's word for a refusal by the kernel
        return None

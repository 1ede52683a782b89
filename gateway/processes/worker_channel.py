"""What a worker, or the sync process, tells its supervisor: one JSON line a second over an inherited socket.

The channel is also the worker's lifeline: when the supervisor dies, however it dies, the channel closes and the worker
drains and ends, so that no gateway without an owner keeps sending.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import orjson

REPORT_INTERVAL_S = 1.0
_LINE_LIMIT = 1 << 20


class WorkerReport(TypedDict, total=False):
    """The state of one worker. ``state``: starting, ready, waiting (something it needs is missing), draining."""

    state: str
    reasons: list[str]
    sessions: int
    buffered_bytes: int
    upstreams: dict[str, Any]
    store: dict[str, Any]
    evidence: dict[str, Any]
    brands: dict[str, dict[str, Any]]
    outbox: dict[str, dict[str, int | None]]
    rss_bytes: int


class ReportSender:
    """The worker's end."""

    def __init__(self, channel: socket.socket, on_supervisor_gone: Callable[[], None]) -> None:
        self._channel = channel
        self._on_supervisor_gone = on_supervisor_gone
        self._writer: asyncio.StreamWriter | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        reader, self._writer = await asyncio.open_connection(sock=self._channel)
        self._watch = asyncio.create_task(self._watch_for_end(reader), name="supervisor-watch")

    def send(self, report: Mapping[str, Any]) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(orjson.dumps(report) + b"\n")

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()

    async def _watch_for_end(self, reader: asyncio.StreamReader) -> None:
        try:
            while await reader.read(4096):
                pass  # the supervisor speaks by signals; only the end of the channel means something
        except OSError:
            pass
        self._on_supervisor_gone()


async def receive_reports(channel: socket.socket, on_report: Callable[[Any], None]) -> None:
    """The supervisor's end: calls ``on_report`` for each report until the worker closes the channel."""
    reader, writer = await asyncio.open_connection(sock=channel, limit=_LINE_LIMIT)
    try:
        while line := await reader.readline():
            on_report(orjson.loads(line))
    except (OSError, ValueError):
        pass  # a killed worker resets the channel or leaves half a line; its end is noticed by its process
    finally:
        writer.close()

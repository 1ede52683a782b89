"""Stands between a store and its Redis and makes replies late."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class SlowProxy:
    """Passes bytes on, and holds replies back while ``is_holding``: a Redis whose answers come late, not never."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._may_reply = asyncio.Event()
        self._may_reply.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.delay_s = 0.0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        finally:
            server.close()
            self._may_reply.set()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()

    def hold(self) -> None:
        self._may_reply.clear()

    def release(self) -> None:
        self._may_reply.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        redis_reader, redis_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        for source, sink, is_reply in ((reader, redis_writer, False), (redis_reader, writer, True)):
            self._tasks.add(asyncio.create_task(self._pass_on(source, sink, is_reply)))

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_reply: bool) -> None:
        try:
            while block := await source.read(65536):
                if is_reply:
                    await asyncio.sleep(self.delay_s)
                    await self._may_reply.wait()
                sink.write(block)
                with contextlib.suppress(ConnectionError):
                    await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()

"""The operators' listener: ``/metrics``, ``/health``, ``/ready``, ``/status``. It runs in the supervisor.

It has no login: bind it to an address that only operators reach. Nothing on it names a person.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from gateway.status import Readiness

METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class AdminServer:
    """Serves what the four functions say at the moment of each request."""

    def __init__(
        self,
        *,
        render_metrics: Callable[[], bytes],
        is_healthy: Callable[[], bool],
        readiness: Callable[[], Readiness],
        status: Callable[[], dict[str, Any]],
    ) -> None:
        self._render_metrics = render_metrics
        self._is_healthy = is_healthy
        self._readiness = readiness
        self._status = status
        application = web.Application()
        application.add_routes(
            [
                web.get("/metrics", self._get_metrics),
                web.get("/health", self._get_health),
                web.get("/ready", self._get_ready),
                web.get("/status", self._get_status),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self, listening: socket.socket) -> None:
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _get_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._render_metrics(), headers={"Content-Type": METRICS_CONTENT_TYPE})

    async def _get_health(self, _request: web.Request) -> web.Response:
        healthy = self._is_healthy()
        return _json({"healthy": healthy}, 200 if healthy else 503)

    async def _get_ready(self, _request: web.Request) -> web.Response:
        ready = self._readiness()
        return _json({"ready": ready.is_ready, "reasons": list(ready.reasons)}, 200 if ready.is_ready else 503)

    async def _get_status(self, _request: web.Request) -> web.Response:
        return _json(self._status(), 200)


def _json(value: dict[str, Any], status: int) -> web.Response:
    return web.Response(
        body=orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS) + b"\n",
        status=status,
        content_type="application/json",
    )

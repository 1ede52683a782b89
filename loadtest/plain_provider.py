"""A provider that speaks our own JSON interface: takes messages, gives ids, reports, cancels; or fails as it is told.

A second implementation: it reads requests its own way, so that what it has heard says what really left the gateway.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from aiohttp import web


class Fault(StrEnum):
    """What goes wrong with requests to send."""

    NONE = "none"
    SLOW = "slow"
    """Takes the messages and never answers."""
    GARBAGE = "garbage"
    """Takes the messages and answers what nobody can read."""
    CLOSES = "closes"
    """Takes the messages and closes the connection in the middle of its answer."""
    BUSY = "busy"
    """Takes nothing: 503."""
    WRONG_KEY = "wrong_key"
    """Takes nothing: 401."""


@dataclass
class Taken:
    """One message that the provider took for one number."""

    job_id: str
    to: str
    text: str
    reference: str = ""


@dataclass
class PlainProvider:
    """``heard`` holds every request to send as it came; ``taken`` what was accepted."""

    fault: Fault = Fault.NONE
    heard: list[dict[str, Any]] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    other_calls: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def numbers(self) -> list[str]:
        """Every number in every request to send, in order, taken or not."""
        return [entry["to"] for request in self.heard for entry in request["recipients"]]

    def send(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to one request to send."""
        asked = json.loads(body)
        self.heard.append(asked)
        if self.fault is Fault.BUSY:
            return 503, b'{"error":{"code":"unavailable","detail":"busy"}}'
        if self.fault is Fault.WRONG_KEY:
            return 401, b'{"error":{"code":"unauthenticated","detail":"wrong key"}}'
        job_id = f"job-{next(self._ids)}"
        entries: list[dict[str, str]] = []
        for entry in asked["recipients"]:
            text = entry.get("text", asked.get("text"))
            self.taken.append(Taken(job_id, entry["to"], text, entry.get("reference", "")))
            entries.append({"to": entry["to"], "outcome": "relayed", "id": f"{job_id}.{len(entries)}"})
        if self.fault is Fault.GARBAGE:
            return 200, b"<html>welcome</html>"
        return 200, json.dumps({"id": job_id, "recipients": entries}).encode()

    def report(self, job_id: str) -> tuple[int, bytes]:
        entries: list[dict[str, str]] = [
            {"to": taken.to, "outcome": "relayed"} for taken in self.taken if taken.job_id == job_id
        ]
        if not entries:
            return 404, b'{"error":{"code":"not_found","detail":"no such message"}}'
        return 200, json.dumps({"id": job_id, "recipients": entries}).encode()

    # -- over HTTP ------------------------------------------------------------------------------------------------

    def build_app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.add_routes(
            [
                web.post("/v1/messages", self._send),
                web.get("/v1/messages/{job_id}", self._report),
                web.delete("/v1/messages/{job_id}", self._cancel),
                web.get("/_sim/sent", self._show_taken),
                web.route("*", "/{path:.*}", self._other),
            ]
        )
        return app

    async def _send(self, request: web.Request) -> web.StreamResponse:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        status, body = self.send(await request.read())
        if self.fault is Fault.SLOW:
            await asyncio.sleep(3600)
        if self.fault is Fault.CLOSES:
            response = web.StreamResponse(status=200, headers={"Content-Length": str(len(body) + 100)})
            await response.prepare(request)
            await response.write(body[:10])
            if request.transport is not None:
                request.transport.close()
            return response
        return web.Response(status=status, body=body, content_type="application/json")

    async def _report(self, request: web.Request) -> web.Response:
        status, body = self.report(request.match_info["job_id"])
        return web.Response(status=status, body=body, content_type="application/json")

    async def _cancel(self, request: web.Request) -> web.Response:
        self.cancelled.append(request.match_info["job_id"])
        return web.json_response({"id": request.match_info["job_id"], "cancelled": 1})

    async def _show_taken(self, request: web.Request) -> web.Response:
        """For people: as the other simulators have it."""
        return web.json_response([asdict(taken) for taken in self.taken])

    async def _other(self, request: web.Request) -> web.Response:
        self.other_calls.append(f"{request.method} {request.path_qs}")
        return web.json_response({"heard": request.path_qs})


def main() -> None:
    """``python -m loadtest.plain_provider --port 8081``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--fault", type=Fault, default=Fault.NONE, choices=list(Fault))
    options = parser.parse_args()
    web.run_app(PlainProvider(options.fault).build_app(), host=options.host, port=options.port, print=None)


if __name__ == "__main__":
    main()

"""A simulated registry on a free port with a clock that stands still, and a caller that is logged in to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp

from loadtest.registry.book.world import DEFAULT_PASSWORD, DEFAULT_USERNAME
from loadtest.registry.clock import Clock
from loadtest.registry.registry import Registry
from loadtest.registry.rules.dates import parse_instant, render_instant
from loadtest.registry.server import RegistryServer
from loadtest.registry.settings import Settings

NOON = "2026-11-18 12:00:00"  # a Wednesday; nothing of Law 2429 is near
BRAND = "/sps/600123/brands/600123"
CONSENTS = BRAND + "/consents"


def item(**changes: Any) -> dict[str, Any]:
    """A consent that is in order at NOON, with ``changes``; None takes a field away."""
    made = {
        "recipient": "ayse@example.com",
        "type": "EPOSTA",
        "recipientType": "BIREYSEL",
        "status": "ONAY",
        "source": "HS_WEB",
        "consentDate": "2026-11-18 10:00:00",
    } | changes
    return {name: value for name, value in made.items() if value is not ...}


def key(**changes: Any) -> dict[str, Any]:
    """What a status query asks for."""
    return {
        name: value
        for name, value in (
            {"recipient": "ayse@example.com", "recipientType": "BIREYSEL", "type": "EPOSTA"} | changes
        ).items()
        if value is not ...
    }


def retailer(**changes: Any) -> dict[str, Any]:
    """A dealer that is in order."""
    made: dict[str, Any] = {
        "title": "Örnek Bayi Ltd.",
        "name": "Örnek Bayi",
        "tckn": "10000000146",
        "tin": "1234567890",
        "city": {"name": "Yalova", "code": 77},
        "town": {"name": "Termal", "code": 945},
    } | changes
    return {name: value for name, value in made.items() if value is not ...}


@dataclass
class Reply:
    """What came back. ``body`` is parsed JSON, or bytes."""

    status: int
    body: Any

    @property
    def codes(self) -> list[str]:
        """Codes of all entries, in either shape of error."""
        if not isinstance(self.body, dict):
            return []
        return [each["code"] for each in self.body.get("errors", [self.body]) if "code" in each]


class RegistryWorld:
    """``call`` speaks as the provider that is logged in; ``sim`` turns the simulator's own knobs."""

    def __init__(
        self, path: Path | None = None, *, at: str = NOON, speed: float = 0.0, is_limiting: bool = False, **options: Any
    ) -> None:
        trusts = options.pop("push_trusts", None)
        self.clock = Clock(float(parse_instant(at)), speed)
        self.registry = Registry(path, clock=self.clock, settings=Settings(is_limiting=is_limiting), **options)
        self.server = RegistryServer(self.registry, push_trusts=trusts)
        self.token = ""
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        await self.server.start()
        self._client = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._client is not None
        await self._client.close()
        await self.server.stop()

    async def login(self, username: str = DEFAULT_USERNAME) -> None:
        reply = await self.call(
            "POST", "/oauth2/token", {"grant_type": "password", "username": username, "password": DEFAULT_PASSWORD}
        )
        assert reply.status == 200, reply
        self.token = reply.body["access_token"]

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> Reply:
        """``body`` as JSON, bytes as they are."""
        assert self._client is not None
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"} | more.pop(
            "headers", {}
        )
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        async with self._client.request(
            method, self.server.url + path, data=content, headers=headers, **more
        ) as answer:
            raw = await answer.read()
            return Reply(answer.status, json.loads(raw) if raw and "json" in answer.content_type else raw)

    async def sim(self, method: str, what: str, body: Any = None) -> Any:
        reply = await self.call(method, f"/_sim/{what}", body)
        assert reply.status < 300, reply
        return reply.body

    async def advance(self, seconds: float) -> None:
        await self.sim("PUT", "clock", {"advance_s": seconds})

    async def citizen(self, **movement: Any) -> None:
        """Something a citizen did, by default a refusal on the registry's site."""
        await self.sim(
            "POST",
            "movements",
            {"brandCode": 600123, "source": "IYS_WEB", "status": "RET"} | key() | movement,
        )

    def ago(self, seconds: float) -> str:
        """That long before the registry's present."""
        return render_instant(self.clock.now() - seconds)

"""What simulated worldwide providers add to ``simulator``: ids that look random, calls to each message's address.

``POST /_sim/push`` with ``{"url": …}`` tells the address of every message that has one about its final status, and
``url`` (may be absent) about incoming SMS; each once. It answers the statuses. Only loopback addresses are called.

A number ending in 9902 is taken and not reached; one in ``/_sim/refusing`` is refused at once.
"""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from aiohttp import ClientSession, ClientTimeout, web

from loadtest.providers.simulator import Incoming, Sent, Simulator, Window, ten_digits

NOT_REACHED = "9902"


@dataclass
class Taken(Sent):
    """A message with an id of its own, and where its fate is told."""

    sid: str = ""
    callback: str = ""
    status: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    is_told: bool = False


class Post(NamedTuple):
    """One call to a customer's address."""

    url: str
    headers: dict[str, str]
    body: bytes


class WorldwideSimulator(Simulator):
    """Base of the worldwide ones. ``per_second``: requests before the provider's "too many" (0: any number)."""

    def __init__(self, seed: int | None = None, *, per_second: int = 0) -> None:
        super().__init__(seed)
        self.taken: list[Taken] = []
        self._rate = Window(per_second or 10**9, 1.0)
        self._told: set[int] = set()

    def windows(self) -> list[Window]:
        return [self._rate]

    def report(self, message: Taken) -> Post | None:
        """What ``message.callback`` is told, now that the message is mature."""
        return None

    def told_incoming(self, url: str, incoming: Incoming) -> Post | None:
        """What ``url`` is told of a person's SMS."""
        return None

    def take(self, message: Taken) -> Taken:
        self.taken.append(message)
        self.sent.append(message)
        return message

    def is_too_fast(self) -> bool:
        return not self._rate.take("", self.now())

    def is_refusing(self, spelled: str) -> bool:
        return ten_digits(spelled) in self.refusing

    def random_hex(self, digits: int) -> str:
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"

    def random_digits(self, digits: int) -> str:
        return str(self.random.randrange(10 ** (digits - 1), 10**digits))

    async def _push(self, request: web.Request) -> web.Response:
        url = str((await request.json()).get("url") or "")
        posts: list[Post | None] = []
        for message in self.taken:
            if message.callback and self.is_mature(message) and not message.is_told:
                message.is_told = True
                posts.append(self.report(message))
        for incoming in self.incoming:
            if url and incoming.message_id not in self._told:
                self._told.add(incoming.message_id)
                posts.append(self.told_incoming(url, incoming))
        statuses = []
        async with ClientSession(timeout=ClientTimeout(total=10)) as session:
            for post in posts:
                if post is not None and is_loopback(post.url):
                    async with session.post(post.url, data=post.body, headers=post.headers) as answer:
                        statuses.append(answer.status)
        return web.json_response(statuses)

    async def _reset(self, request: web.Request) -> web.Response:
        self.taken.clear()
        self._told.clear()
        return await super()._reset(request)


def fails_later(number: str) -> bool:
    return number.endswith(NOT_REACHED)


def basic_login(request: web.Request) -> tuple[str, str] | None:
    """User and password of HTTP Basic."""
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    with suppress(ValueError):
        user, _, password = base64.b64decode(rest, validate=True).decode("utf-8").partition(":")
        return user, password
    return None


async def json_object(request: web.Request) -> dict[str, Any]:
    """The JSON object in the body; raises ``ValueError``."""
    found = json.loads(await request.read())
    if not isinstance(found, dict):
        raise ValueError("expected an object")  # noqa: TRY004  # one error for all that is wrong with a body
    return found


def json_post(url: str, value: Any, headers: Mapping[str, str] | None = None) -> Post:
    return Post(url, {"Content-Type": "application/json", **(headers or {})}, json.dumps(value).encode())


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"

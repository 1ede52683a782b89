"""Push: registration with a check of the receiver, and delivery of citizens' movements.

How the real registry delivers, repeats and orders is not documented. Here: at once, in order, several movements in
one call where several wait; any answer but 2xx within the time is repeated later, twice as late each time, until the
attempts are used up. Loss, repetition and disorder come by switch (``door.faults``).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from loadtest.registry.api.call import Answer, Call
from loadtest.registry.book.connections import MAX_ACTIVE_PER_TYPE, Connection, Delivery
from loadtest.registry.book.consents import Movement
from loadtest.registry.registry import Registry
from loadtest.registry.rules.codes import fail
from loadtest.registry.rules.dates import render_instant
from loadtest.registry.rules.words import TYPES

_LONGEST_NAP_S = 1.0
_UNAUTHORISED = frozenset({401, 403})
_TEST_CODE = 121212
TEST_RECORD: dict[str, Any] = {
    "iysCode": _TEST_CODE,
    "brandCode": _TEST_CODE,
    "consentDate": "2015-05-01 00:00:00",
    "creationDate": "2015-05-01 00:00:00",
    "source": "IYS_WEB",
    "recipient": "test@iys.org.tr",
    "recipientType": "BIREYSEL",
    "status": "ONAY",
    "type": "EPOSTA",
    "transactionId": "0" * 64,
}
"""What a new receiver gets first; it is for no brand."""


class Push:
    """Registrations, and the task that delivers. ``trusted``: PEM of authorities to trust instead of the system's."""

    def __init__(self, registry: Registry, trusted: Path | None = None) -> None:
        self._registry = registry
        self._woken = asyncio.Event()
        self._trusted = trusted
        self._client: aiohttp.ClientSession | None = None
        self._task: asyncio.Task[None] | None = None
        self.delivered = 0
        self.given_up = 0
        registry.consents.on_citizen = self.tell

    @functools.cached_property
    def _context(self) -> ssl.SSLContext:
        """Made for the first call: reading all of a system's authorities takes longer than most tests."""
        return ssl.create_default_context(cafile=None if self._trusted is None else str(self._trusted))

    async def start(self) -> None:
        # The receiver's own proxy settings are of no concern here: it is dialled as it was registered.
        self._client = aiohttp.ClientSession(trust_env=False)
        self._task = asyncio.create_task(self._run(), name="registry push")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._client is not None:
            await self._client.close()

    def wake(self) -> None:
        """Look at the queue now: something was put there, or the clock was moved."""
        self._woken.set()

    def tell(self, movement: Movement) -> None:
        """Queue one movement for all who listen."""
        registry = self._registry
        brand = registry.world.brands.get(movement.brand)
        if brand is None:
            return
        for connection in registry.connections.active(movement.brand, movement.type):
            faults = {each.kind: each for each in registry.faults.for_push()}
            if "push-lost" in faults:
                continue
            now_ms = registry.clock.now_ms()
            for _ in range(2 if "push-twice" in faults else 1):
                late = faults.get("push-late")
                late_ms = 0 if late is None else int(registry.faults.lateness(late) * 1000)
                registry.connections.queue(connection, brand.iys_code, movement, now_ms + late_ms)
        self.wake()

    # Registration

    async def register(self, call: Call) -> Answer:
        """Each connection is checked by calling it: it must refuse a stranger and take the test record."""
        given = call.json_object("H095").get("connection")
        if not isinstance(given, list) or not given:
            raise fail("H530", ["connection"])
        checked = [self._read(each) for each in given]
        for url, channel, username, password in checked:
            others = [each for each in self._registry.connections.active(call.brand, channel) if each.url != url]
            if len(others) >= MAX_ACTIVE_PER_TYPE:
                raise fail("H530", ["connection"])
            await self._check(url, username, password)
            self._registry.connections.register(call.brand, url, channel, username, password, call.now_ms)
        return Answer(200, {"message": "Bağlantı kaydedildi."})

    def show(self, call: Call) -> Answer:
        return Answer(
            200,
            [
                {
                    "url": each.url,
                    "type": TYPES[each.type],
                    "status": "Bağlı" if each.is_active else "Bağlı değil",
                    "registerTime": render_instant(each.registered_ms / 1000),
                }
                for each in self._registry.connections.all(call.brand)
            ],
        )

    def unregister(self, call: Call) -> Answer:
        url, channel, username, password = self._read(call.json_object("H095"))
        for each in self._registry.connections.active(call.brand, channel):
            if (each.url, each.username, each.password) == (url, username, password):
                self._registry.connections.unregister(each)
                return Answer(200, {"message": "Bağlantı kaldırıldı."})
        raise fail("H530", ["url"])

    def _read(self, given: object) -> tuple[str, int, str, str]:
        if not isinstance(given, dict):
            raise fail("H530", ["connection"])
        url, channel = given.get("url"), given.get("type")
        scheme = _scheme_of(url)
        if not isinstance(url, str) or scheme is None:
            raise fail("H530", ["url"])
        allowed = {"https", "http"} if self._registry.is_http_push_allowed else {"https"}
        if scheme not in allowed:
            raise fail("H531", ["url"], url)
        if "type" not in given:
            raise fail("H111", ["type"])
        if channel not in TYPES:
            raise fail("H117", ["type"], channel)
        for name in ("username", "password"):
            if not isinstance(given.get(name), str) or not given[name]:
                raise fail("H093", [name])
        return url, TYPES.index(channel), given["username"], given["password"]

    async def _check(self, url: str, username: str, password: str) -> None:
        body = orjson.dumps({"list": [TEST_RECORD]})
        try:
            stranger = await self._post(url, body, None)
            friend = await self._post(url, body, aiohttp.encode_basic_auth(username, password))
        except TimeoutError as error:
            raise fail("H191", ["url"], url) from error
        except (aiohttp.ClientError, OSError) as error:
            raise fail("H530", ["url"], url) from error
        if stranger not in _UNAUTHORISED or not 200 <= friend < 300:
            raise fail("H530", ["url"], url)

    # Delivery

    async def _run(self) -> None:
        registry = self._registry
        while True:
            due = registry.connections.due(registry.clock.now_ms(), 10 * registry.settings.push_batch)
            by_connection: dict[int, list[Delivery]] = {}
            for each in due:
                by_connection.setdefault(each.connection, []).append(each)
            size = registry.settings.push_batch
            for number, waiting in by_connection.items():
                for start in range(0, len(waiting), size):
                    await self._deliver(registry.connections.find(number), waiting[start : start + size])
            if not due:
                await self._nap()

    async def _nap(self) -> None:
        next_ms = self._registry.connections.next_due_ms()
        wait_s = _LONGEST_NAP_S
        if next_ms is not None:
            left_s = (next_ms - self._registry.clock.now_ms()) / 1000
            wait_s = min(max(self._registry.clock.real_s(left_s), 0.005), _LONGEST_NAP_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._woken.wait()
        self._woken.clear()

    async def _deliver(self, connection: Connection | None, deliveries: list[Delivery]) -> None:
        registry = self._registry
        if connection is None or not connection.is_active:
            registry.connections.done(deliveries)
            return
        body = b'{"list":[' + b",".join(each.body.encode() for each in deliveries) + b"]}"
        try:
            status = await self._post(
                connection.url, body, aiohttp.encode_basic_auth(connection.username, connection.password)
            )
        except (aiohttp.ClientError, OSError):
            status = 0
        if 200 <= status < 300:
            self.delivered += len(deliveries)
            registry.connections.done(deliveries)
            return
        spent = [each for each in deliveries if each.attempts + 1 >= registry.settings.push_attempts]
        self.given_up += len(spent)
        registry.connections.done(spent)
        registry.connections.again(
            [each for each in deliveries if each not in spent], registry.clock.now_ms(), registry.settings.push_retry_s
        )

    async def _post(self, url: str, body: bytes, login: str | None) -> int:
        """The status of the answer; ``TimeoutError`` beyond five seconds, aiohttp's errors as they are."""
        assert self._client is not None
        async with self._client.post(
            url,
            data=body,
            ssl=self._context,
            allow_redirects=False,
            headers={"Content-Type": "application/json"} | ({} if login is None else {"Authorization": login}),
            timeout=aiohttp.ClientTimeout(total=self._registry.settings.push_answer_s),
        ) as answer:
            return answer.status


def _scheme_of(url: object) -> str | None:
    """None for what is no address of a host."""
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts.scheme if parts.hostname else None

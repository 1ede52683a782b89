"""What the real registry does not have: everything under ``/_sim``, for tests and for people who try things out.

``GET`` shows, ``PUT`` changes, ``DELETE`` empties; all in JSON:

    /_sim/clock      ``{"at": seconds or "2026-11-21 09:00:00" (Turkish time), "advance_s": 3600, "speed": 10}``
    /_sim/faults     ``{"seed": 1, "faults": [{"kind": "code", "code": "H124", "rate": 0.1}, …]}`` (door/faults.py)
    /_sim/requests   log and counts of calls, and all breaches of documented limits; ``?after=NUMBER&limit=100``
    /_sim/settings   settings.py
    /_sim/limits     who is blocked; DELETE forgets
    /_sim/holidays   ``["05-01", "2026-05-27"]``
    /_sim/world      accounts: providers, brands, users (book/world.py)
    /_sim/state      counts of consents, of what is queued for push and in bulk requests
    /_sim/consents   ``?brandCode=600123``: all consents as CSV, as an import takes it
    POST /_sim/movements      what citizens did: a list of ``{brandCode, recipient, type, recipientType, status, source,
                              consentDate?, citizenName?}``
    POST /_sim/tokens/revoke  ``{"refresh": true}`` to end refresh tokens too
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from loadtest.registry.book.consents import CitizenError
from loadtest.registry.push import Push
from loadtest.registry.registry import Registry
from loadtest.registry.rules.dates import DateError, parse_instant, render_instant, utc_text
from loadtest.registry.rules.recipients import find_recipient_fault, normalise
from loadtest.registry.rules.words import RECIPIENT_TYPES, STATUSES, TYPES

_CHUNK = 10_000
_CSV_HEADER = "recipient,type,recipientType,status,source,consentDate,retailerCode,retailerAccess\n"


class Control:
    """The handlers."""

    def __init__(self, registry: Registry, push: Push) -> None:
        self._registry = registry
        self._push = push

    def add_to(self, app: web.Application) -> None:
        """Every path of the module's list."""
        for name, show, change, empty in (
            ("clock", self._clock, self._move_clock, None),
            ("faults", self._faults, self._set_faults, self._no_faults),
            ("settings", lambda: vars(self._registry.settings), self._set_settings, None),
            ("limits", lambda: self._registry.limits.render(), None, self._registry.limits.reset),
            ("holidays", lambda: self._registry.workdays.render(), self._set_holidays, None),
            ("world", lambda: self._registry.world.render(), self._set_world, None),
            ("state", self._state, None, None),
        ):
            path = f"/_sim/{name}"
            app.router.add_get(path, _showing(show))
            if change is not None:
                app.router.add_put(path, _changing(change, show))
            if empty is not None:
                app.router.add_delete(path, _emptying(empty, show))
        app.router.add_get("/_sim/requests", self._requests)
        app.router.add_delete("/_sim/requests", self._clear_requests)
        app.router.add_get("/_sim/consents", self._dump)
        app.router.add_post("/_sim/movements", self._move)
        app.router.add_post("/_sim/tokens/revoke", self._revoke)

    def _clock(self) -> dict[str, Any]:
        now = self._registry.clock.now()
        return {"at": now, "utc": utc_text(now), "turkey": render_instant(now), "speed": self._registry.clock.speed}

    def _move_clock(self, given: dict[str, Any]) -> None:
        clock = self._registry.clock
        at = given.get("at", clock.now())
        target = float(parse_instant(at)) if isinstance(at, str) else float(at)
        target += float(given.get("advance_s", 0))
        if target < clock.now():
            self._registry.reconciliation.forget_files()
        speed = given.get("speed")
        clock.move(target, None if speed is None else float(speed))
        self._registry.keep_clock()
        self._registry.settle()
        self._push.wake()

    def _faults(self) -> list[dict[str, Any]]:
        return self._registry.faults.render()

    def _set_faults(self, given: dict[str, Any]) -> None:
        self._registry.faults.replace(given.get("faults", []))
        if "seed" in given:
            self._registry.faults.seed(int(given["seed"]))

    def _no_faults(self) -> None:
        self._registry.faults.replace([])

    def _set_settings(self, given: dict[str, Any]) -> None:
        self._registry.settings.update(given)
        self._registry.apply_settings()

    def _set_holidays(self, given: Any) -> None:
        self._registry.workdays.replace(given)
        self._registry.database.write("holidays", self._registry.workdays.render())

    def _set_world(self, given: dict[str, Any]) -> None:
        self._registry.world.load(given)

    def _state(self) -> dict[str, Any]:
        registry = self._registry
        registry.settle()
        brands = {str(code): registry.consents.counts(code) for code in registry.world.brands}
        return {
            "consents": {code: {"ONAY": approved, "RET": refused} for code, (approved, refused) in brands.items()},
            "bulk_waiting": registry.database.connection.execute(
                "SELECT COUNT(*) FROM bulk_items WHERE due_ms IS NOT NULL"
            ).fetchone()[0],
            "push": {
                "waiting": registry.connections.waiting(),
                "delivered": self._push.delivered,
                "given_up": self._push.given_up,
            },
            "limits": registry.limits.render(),
        }

    async def _requests(self, request: web.Request) -> web.Response:
        after, limit = int(request.query.get("after", 0)), int(request.query.get("limit", 1000))
        return _json(self._registry.traffic.render(after, limit))

    async def _clear_requests(self, _request: web.Request) -> web.Response:
        self._registry.traffic.clear()
        return web.Response(status=204)

    async def _revoke(self, request: web.Request) -> web.Response:
        content = await request.read()
        given = orjson.loads(content) if content else {}
        self._registry.tokens.revoke_all(refresh_too=bool(given.get("refresh", False)))
        return web.Response(status=204)

    async def _move(self, request: web.Request) -> web.Response:
        try:
            given = orjson.loads(await request.read())
            for each in given if isinstance(given, list) else [given]:
                self._move_one(each)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            return _json({"error": f"{type(error).__name__}: {error}"}, 400)
        return web.Response(status=204)

    def _move_one(self, given: dict[str, Any]) -> None:
        brand, recipient, channel = given["brandCode"], given["recipient"], given["type"]
        if brand not in self._registry.world.brands:
            raise CitizenError("no such brand")
        if find_recipient_fault(recipient, channel) is not None:
            raise CitizenError("not an address of this channel")
        kind = RECIPIENT_TYPES.index(given.get("recipientType", "BIREYSEL"))
        text = given.get("consentDate")
        self._registry.consents.move(
            brand,
            (TYPES.index(channel), kind, normalise(recipient)),
            STATUSES.index(given["status"]),
            given.get("source", "IYS_WEB"),
            self._registry.settle(),
            None if text is None else parse_instant(text),
            given.get("citizenName"),
        )

    async def _dump(self, request: web.Request) -> web.StreamResponse:
        self._registry.settle()
        response = web.StreamResponse(headers={"Content-Type": "text/csv; charset=utf-8"})
        await response.prepare(request)
        await response.write(_CSV_HEADER.encode())
        rows = self._registry.database.connection.execute(
            "SELECT recipient, type, recipient_type, status, source, consent_at, retailer, access FROM consents"
            " WHERE brand = ? ORDER BY type, recipient_type, recipient",
            (int(request.query["brandCode"]),),
        )
        while chunk := rows.fetchmany(_CHUNK):
            await response.write("".join(map(_csv_line, chunk)).encode())
        await response.write_eof()
        return response


def _csv_line(row: tuple[Any, ...]) -> str:
    recipient, channel, kind, status, source, consent_at, retailer, access = row
    at = "" if consent_at is None else render_instant(consent_at)
    codes = f'"{",".join(map(str, orjson.loads(access)))}"' if access else ""
    return (
        f"{recipient},{TYPES[channel]},{RECIPIENT_TYPES[kind]},{STATUSES[status]},{source},{at},"
        f"{'' if retailer is None else retailer},{codes}\n"
    )


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")


def _showing(show: Callable[[], object]) -> Callable[[web.Request], Any]:
    async def handle(_request: web.Request) -> web.Response:
        return _json(show())

    return handle


def _changing(change: Callable[[Any], None], show: Callable[[], object]) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.Response:
        try:
            change(orjson.loads(await request.read()))
        except (DateError, ValueError, TypeError, KeyError, AttributeError) as error:
            return _json({"error": f"{type(error).__name__}: {error}"}, 400)
        return _json(show())

    return handle


def _emptying(empty: Callable[[], None], show: Callable[[], object]) -> Callable[[web.Request], Any]:
    async def handle(_request: web.Request) -> web.Response:
        empty()
        return _json(show())

    return handle

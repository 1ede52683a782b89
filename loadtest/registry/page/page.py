"""``/``: look up an address, see its consents, change them as the citizen would, follow an opt-out link.

Plain forms, no script. State changes are POSTs from the page itself: another site's form is refused by its Origin.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import jinja2
from aiohttp import web

from loadtest.registry.api.links import PATH as LINK_PATH
from loadtest.registry.api.links import follow
from loadtest.registry.book.consents import CitizenError, Movement
from loadtest.registry.page.sentences import SENTENCES
from loadtest.registry.registry import Registry
from loadtest.registry.rules.dates import render_instant
from loadtest.registry.rules.recipients import is_email, is_phone, normalise
from loadtest.registry.rules.words import CITIZEN_SOURCES, RECIPIENT_TYPES, STATUSES, TYPES

_FOLDER = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_RECENT = 20
_MAX_INPUT = 265


class Page:
    """The handlers."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._style = (_FOLDER / "style.css").read_text(encoding="utf-8")

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/", self._show)
        app.router.add_post("/", self._change)
        app.router.add_get("/style.css", self._show_style)
        app.router.add_get(LINK_PATH + "{mark}", self._show_link)
        app.router.add_post(LINK_PATH + "{mark}", self._follow_link)

    async def _show_style(self, _request: web.Request) -> web.Response:
        return web.Response(text=self._style, content_type="text/css", headers=_HEADERS)

    async def _show(self, request: web.Request) -> web.Response:
        registry, query = self._registry, request.query
        now_ms = registry.settle()
        brand = self._brand(query.get("brand", ""))
        text = query.get("recipient", "").strip()[:_MAX_INPUT]
        recipient = normalise(text) if is_email(text) or is_phone(text) else ""
        problem = "not-an-address" if text and not recipient else ""
        if query.get("problem") in {"nothing-to-refuse", "unchanged"}:
            problem = query["problem"]
        return self._render(
            request,
            "page.html",
            brands=list(registry.world.brands.values()),
            brand=brand,
            text=text,
            recipient=recipient,
            rows=self._rows(brand, recipient) if recipient else [],
            movements=[_render(each) for each in self._recent(brand, recipient)],
            sources=CITIZEN_SOURCES,
            problem=problem,
            is_done="done" in query,
            now=render_instant(now_ms / 1000),
        )

    async def _change(self, request: web.Request) -> web.Response:
        self._refuse_strangers(request)
        form = {name: str(value) for name, value in (await request.post()).items()}
        brand = self._brand(form.get("brand", ""))
        recipient = form.get("recipient", "")
        if not (is_email(recipient) or is_phone(recipient)) or form.get("source") not in CITIZEN_SOURCES:
            raise web.HTTPBadRequest
        try:
            channel, kind = TYPES.index(form["type"]), RECIPIENT_TYPES.index(form["recipientType"])
            status = STATUSES.index(form["status"])
        except (KeyError, ValueError) as error:
            raise web.HTTPBadRequest from error
        back = {"brand": str(brand), "recipient": recipient, "lang": _language(request)}
        stored = self._registry.consents.find(brand, channel, kind, normalise(recipient))
        try:
            self._registry.consents.move(
                brand,
                (channel, kind, normalise(recipient)),
                status,
                form["source"],
                self._registry.settle(),
                citizen=form.get("citizen", "").strip()[:100] or None,
            )
            back["done"] = "1"
        except CitizenError:
            back["problem"] = "nothing-to-refuse" if stored is None else "unchanged"
        raise web.HTTPSeeOther(f"/?{urlencode(back)}")

    async def _show_link(self, request: web.Request) -> web.Response:
        return self._render(request, "link.html", is_done=None)

    async def _follow_link(self, request: web.Request) -> web.Response:
        self._refuse_strangers(request)
        is_done = follow(self._registry, request.match_info["mark"], self._registry.settle())
        return self._render(request, "link.html", is_done=is_done)

    def _refuse_strangers(self, request: web.Request) -> None:
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden

    def _brand(self, text: str) -> int:
        brands = self._registry.world.brands
        if text.isdecimal() and len(text) <= 15 and int(text) in brands:
            return int(text)
        return next(iter(brands), 0)

    def _rows(self, brand: int, recipient: str) -> list[dict[str, Any]]:
        """One for each channel that fits the address, and each recipient type."""
        found = self._registry.consents.find_all(brand, recipient)
        channels = ["EPOSTA"] if "@" in recipient else ["MESAJ", "ARAMA"]
        rows = []
        for channel in channels:
            for number, kind in enumerate(RECIPIENT_TYPES):
                stored = found.get((TYPES.index(channel), number))
                rows.append(
                    {
                        "type": channel,
                        "recipient_type": kind,
                        "status": "" if stored is None else STATUSES[stored.status],
                        "source": "" if stored is None else stored.source,
                        "date": ""
                        if stored is None or stored.consent_at is None
                        else render_instant(stored.consent_at),
                    }
                )
        return rows

    def _recent(self, brand: int, recipient: str) -> list[Movement]:
        where, values = ("AND recipient = ?", (brand, recipient)) if recipient else ("", (brand,))
        rows = self._registry.database.connection.execute(
            f"SELECT * FROM movements WHERE brand = ? {where} ORDER BY id DESC LIMIT {_RECENT}",
            values,
        )
        return [Movement(*row) for row in rows]

    def _render(self, request: web.Request, template: str, **values: object) -> web.Response:
        language = _language(request)
        text = self._templates.get_template(template).render(say=SENTENCES[language], language=language, **values)
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)


def _render(movement: Movement) -> dict[str, Any]:
    made = movement.render()
    return made | {"side": "IYS" if movement.is_iys else "HS"}


def _language(request: web.Request) -> str:
    asked = request.query.get("lang", "")
    if asked in SENTENCES:
        return asked
    wanted = request.headers.get("Accept-Language", "").lower()
    return "en" if wanted.startswith("en") else "tr"

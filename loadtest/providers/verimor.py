"""Verimor as its documents describe it.

Usage: ``python -m loadtest.providers.verimor --port 8103``
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

from aiohttp import web

from loadtest.providers.simulator import RefusedError, Sent, Simulator, Window, serve, ten_digits

ISTANBUL = timezone(timedelta(hours=3))
LOGIN = "user 908500000001, password sifre-1; title ORNEK"
MAX_MESSAGES = 50_000
MAX_BYTES = 10_000_000
LIMITS = {0: 1071, 1: 1043, 2: 469}
"""Characters of seven parts: plain, Turkish, Unicode."""

STATUSES = {"UNAUTHORIZED": 401, "FORBIDDEN_IP": 401, "TOO_LARGE": 413, "TOO_MANY": 429}
PAGE_ROWS = 100


class VerimorSimulator(Simulator):
    """A simulated Verimor. It answers sends in plain text, or with ``is_json`` as its newer site shows."""

    def __init__(self, seed: int | None = None, *, is_json: bool = False) -> None:
        super().__init__(seed)
        self.passwords = {"908500000001": "sifre-1", "908500000002": "sifre-2"}
        self.titles = ("ORNEK", "ORNEKMARKA")
        self.without_brand = {"908500000002"}
        self.blocked: set[str] = set()
        self.is_json = is_json
        self._campaigns = 0
        self._sends = Window(240, 60)
        self._queries = Window(20, 60)
        self._same = Window(1, 86_400)

    def windows(self) -> list[Window]:
        return [self._sends, self._queries, self._same]

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v2/send.json", self._send_json),
            web.get("/v2/send", self._send_get),
            web.get("/v2/status", self._status_rows),
            web.post("/v2/cancel/{id}", self._cancel),
            web.get("/v2/headers", self._headers),
            web.get("/v2/balance", self._balance),
            web.get("/v2/inbound_messages", self._inbound),
            web.route("*", "/v2/blacklists", self._blacklists),
            web.post("/v2/iys_consents.json", self._consents),
        ]

    def refusal(self, request: web.Request, code: str) -> web.Response:
        return web.Response(status=STATUSES.get(code, 400), text=code)

    def pushes(self) -> list[Any]:
        outbound = [{"type": "outbound", **self._row(message)} for message in self.sent if self.is_mature(message)]
        inbound = [
            {
                "type": "inbound",
                "message_id": message.message_id,
                "created_at": _written(message.at),
                "network": "TURKCELL",
                "source_addr": message.sender,
                "destination_addr": message.destination,
                "keyword": message.text.split(" ")[0] if message.text else "",
                "content": message.text,
                "received_at": _written(message.at),
            }
            for message in self.incoming
        ]
        return [rows for rows in (outbound, inbound) if rows]

    # -- sending --------------------------------------------------------------------------------------------------

    async def _send_json(self, request: web.Request) -> web.Response:
        body = await request.read()
        if len(body) > MAX_BYTES:
            raise RefusedError("TOO_LARGE")
        try:
            asked = json.loads(body.decode("utf-8"))
        except UnicodeDecodeError:
            raise RefusedError("INVALID_UTF8") from None
        except ValueError:
            raise RefusedError("INVALID_JSON") from None
        if not isinstance(asked, dict):
            raise RefusedError("INVALID_JSON")
        return self._take(asked, asked.get("messages"))

    async def _send_get(self, request: web.Request) -> web.Response:
        asked: dict[str, Any] = dict(request.query)
        asked["is_commercial"] = asked.get("is_commercial") == "true"
        message = {name: asked[name] for name in ("msg", "dest", "id") if name in asked}
        return self._take(asked, [message])

    def _take(self, asked: dict[str, Any], messages: Any) -> web.Response:
        user = self._user(asked)
        if not self._sends.take(user, self.now()):
            raise RefusedError("TOO_MANY")
        title = asked.get("source_addr") or self.titles[0]
        if title not in self.titles:
            raise RefusedError("INVALID_SOURCE_ADDRESS")
        coding = asked.get("datacoding", 0)
        if str(coding) not in ("0", "1", "2"):
            raise RefusedError("INVALID_DATACODING")
        if asked.get("valid_for") and not re.fullmatch(r"[0-4][0-9]:[0-5][0-9]", str(asked["valid_for"])):
            raise RefusedError("INVALID_PERIOD")
        is_commercial = asked.get("is_commercial") is True
        if is_commercial and user in self.without_brand:
            raise RefusedError("MISSING_IYS_BRAND_CODE")
        rows = [row for message in _listed(messages) for row in _read(message, asked, LIMITS[int(coding)])]
        if len(rows) > MAX_MESSAGES:
            raise RefusedError("MESSAGE_COUNT_LIMIT_EXCEEDED")
        if is_commercial and any(kind not in ("BIREYSEL", "TACIR") for *_, kind in rows):
            raise RefusedError("INVALID_IYS_RECIPIENT_TYPE")
        due_at = self._due(asked.get("send_at"))
        if not self._same.take(f"{user} {title} {rows}", self.now()):
            raise RefusedError("MUKERRER_RAPORLAMA")
        self._campaigns += 1
        job = str(5_000_000 + self._campaigns)
        custom_id = str(asked.get("custom_id") or "")
        for text, number, own_id, kind in rows:
            tag = f"commercial {kind}" if is_commercial else ""
            reference = f"{custom_id}/{own_id}"
            self.sent.append(
                Sent(user, job, number, text, title, tag, reference, self.now(), due_at, self.next_message_id())
            )
        if self.is_json:
            return web.json_response({"campaign_id": int(job), "custom_id": custom_id or None, "status": "OK"})
        return web.Response(text=job)

    def _user(self, asked: Any) -> str:
        user = str(asked.get("username", ""))
        if user not in self.passwords or self.passwords[user] != str(asked.get("password", "")):
            raise RefusedError("UNAUTHORIZED")
        return user

    def _due(self, value: Any) -> float:
        if not value:
            return self.now()
        try:
            found = datetime.fromisoformat(str(value))
        except ValueError:
            raise RefusedError("INVALID_DELIVERY_TIME") from None
        return (found if found.tzinfo else found.replace(tzinfo=ISTANBUL)).timestamp()

    # -- what became of it ----------------------------------------------------------------------------------------

    def _row(self, message: Sent) -> dict[str, Any]:
        custom_id, _, own_id = message.reference.partition("/")
        return {
            "campaign_id": int(message.job),
            "campaign_custom_id": custom_id or None,
            "message_id": message.message_id,
            "message_custom_id": own_id or None,
            "dest": f"90{message.number}" if len(message.number) == 10 else message.number,
            "size": 1 + (len(message.text) - 1) // 153,
            "international_multiplier": 1,
            "credits": 1,
            "status": self._status(message),
            "gsm_error": None,
            "sent_at": _written(message.due_at),
            "done_at": _written(message.due_at) if self.is_mature(message) else None,
        }

    def _status(self, message: Sent) -> str:
        if message.number.startswith("?"):
            return "INVALID_DESTINATION_ADDRESS"
        if message.is_cancelled:
            return "NOT_DELIVERED"
        if not self.is_mature(message):
            return "WAITING" if message.due_at > self.now() else "SENT"
        if message.number in self.blocked:
            return "BLACKLISTED_DESTINATION_ADDRESS"
        is_refused = message.tag.startswith("commercial") and message.number in self.refusing
        return "NOT_ALLOWED_BY_IYS" if is_refused else "DELIVERED"

    async def _status_rows(self, request: web.Request) -> web.Response:
        asked = request.query
        user = self._user(asked)
        if not self._queries.take(user, self.now()):
            raise RefusedError("TOO_MANY")
        campaign, custom_id = asked.get("id", ""), asked.get("custom_id", "")
        wanted = {ten_digits(number) for number in asked.get("dest", "").split(",") if number}
        rows = [
            self._row(message)
            for message in self.sent
            if message.account == user
            and (message.job == campaign if campaign else custom_id and message.reference.startswith(f"{custom_id}/"))
            and (not wanted or message.number in wanted)
            and message.message_id > int(asked.get("greater_than") or 0)
        ]
        return web.json_response(rows[:PAGE_ROWS])

    async def _cancel(self, request: web.Request) -> web.Response:
        asked = {**request.query, **(await request.post())}
        if "json" in request.headers.get("Content-Type", ""):
            asked = json.loads(await request.read())
        user = self._user(asked)
        found = [m for m in self.sent if m.job == request.match_info["id"] and m.account == user]
        if not found or found[0].due_at <= self.now():
            raise RefusedError("INVALID_CAMPAIGN")
        for message in found:
            message.is_cancelled = True
        return web.Response(text="OK")

    # -- the account ----------------------------------------------------------------------------------------------

    async def _headers(self, request: web.Request) -> web.Response:
        self._user(request.query)
        return web.json_response(list(self.titles))

    async def _balance(self, request: web.Request) -> web.Response:
        self._user(request.query)
        return web.Response(text="100000")

    async def _inbound(self, request: web.Request) -> web.Response:
        self._user(request.query)
        return web.json_response(
            [{"source_addr": message.sender, "content": message.text} for message in self.incoming]
        )

    async def _blacklists(self, request: web.Request) -> web.Response:
        self._user(request.query)
        return web.json_response(sorted(self.blocked))

    async def _consents(self, request: web.Request) -> web.Response:
        self._user(json.loads(await request.read()))
        return web.Response(text="OK")


def _listed(messages: Any) -> list[dict[str, Any]]:
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise RefusedError("MISSING_MESSAGE")
    return messages


def _read(message: dict[str, Any], asked: dict[str, Any], limit: int) -> list[tuple[str, str, str, str]]:
    """Text, number, own id and recipient type for each number."""
    text, dest = str(message.get("msg") or ""), str(message.get("dest") or "")
    if not text:
        raise RefusedError("MISSING_MESSAGE")
    if len(text) > limit:
        raise RefusedError("MESSAGE_TOO_LONG")
    if not dest:
        raise RefusedError("MISSING_DESTINATION_ADDRESS")
    numbers = [number.strip() for number in dest.split(",")]
    ids = str(message.get("id") or "").split(",") if message.get("id") else [""] * len(numbers)
    kind = str(message.get("iys_recipient_type") or asked.get("iys_recipient_type") or "")
    return [
        (text, ten_digits(number) or f"?{number}", own_id, kind) for number, own_id in zip(numbers, ids, strict=False)
    ]


def _written(at: float) -> str:
    return datetime.fromtimestamp(at, ISTANBUL).strftime("%Y-%m-%d %H:%M:%S")


if __name__ == "__main__":
    serve(VerimorSimulator(), 8103)

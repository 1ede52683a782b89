"""VatanSMS: requests as its documents describe them; the answers are our guess, as those are not documented.

Usage: ``python -m loadtest.providers.vatansms --port 8109``

``api_id`` vatan, ``api_key`` anahtar; sender title ORNEK. Numbers in ``/_sim/refusing`` become ``iys_red`` in the
report where ``message_content_type`` is "ticari".
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from aiohttp import web

from loadtest.providers.simulator import RefusedError, Sent, Simulator, serve, ten_digits

ISTANBUL = timezone(timedelta(hours=3))
LOGIN = "api_id vatan, api_key anahtar; title ORNEK"
STATUSES = {"credentials": 401, "not_found": 404}


class VatanSmsSimulator(Simulator):
    """A simulated VatanSMS."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self.passwords = {"vatan": "anahtar"}
        self.titles = ("ORNEK",)
        self._reports = 500_000

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/v1/1toN", self._one_to_many),
            web.post("/api/v1/otp", self._one_to_many),
            web.post("/api/v1/NtoN", self._many_to_many),
            web.post("/api/v1/senders", self._senders),
            web.post("/api/v1/user/information", self._account),
            web.post("/api/v1/report/detail", self._report),
            web.post("/api/v1/report/single", self._report),
            web.post("/api/v1/cancel/future-sms", self._cancel),
        ]

    def refusal(self, request: web.Request, code: str) -> web.Response:
        return web.json_response({"status": "error", "message": code}, status=STATUSES.get(code, 422))

    async def _asked(self, request: web.Request) -> dict[str, Any]:
        try:
            asked = json.loads(await request.read())
        except ValueError:
            raise RefusedError("json") from None
        if not isinstance(asked, dict) or self.passwords.get(str(asked.get("api_id"))) != asked.get("api_key"):
            raise RefusedError("credentials")
        return asked

    async def _one_to_many(self, request: web.Request) -> web.Response:
        asked = await self._asked(request)
        return self._take(asked, [(str(phone), str(asked.get("message") or "")) for phone in asked.get("phones") or ()])

    async def _many_to_many(self, request: web.Request) -> web.Response:
        asked = await self._asked(request)
        return self._take(asked, [(str(row["phone"]), str(row["message"])) for row in asked.get("phones") or ()])

    def _take(self, asked: dict[str, Any], pairs: list[tuple[str, str]]) -> web.Response:
        if asked.get("sender") not in self.titles:
            raise RefusedError("sender")
        if not pairs or not all(text and ten_digits(phone) for phone, text in pairs):
            raise RefusedError("phones")
        if asked.get("message_content_type", "bilgi") not in ("bilgi", "ticari"):
            raise RefusedError("message_content_type")
        start = asked.get("send_time")
        due_at = datetime.strptime(start, "%Y-%m-%d %H:%M:%S").replace(tzinfo=ISTANBUL).timestamp() if start else 0.0
        self._reports += 1
        for phone, text in pairs:
            self.sent.append(
                Sent(
                    str(asked["api_id"]), str(self._reports), phone, text, str(asked["sender"]),
                    str(asked.get("message_content_type") or ""), at=self.now(), due_at=due_at,
                    message_id=self.next_message_id(),
                )
            )  # fmt: skip
        return web.json_response(
            {"status": "success", "id": self._reports, "quantity": len(pairs), "message": "Gönderim başarılı"}
        )

    async def _report(self, request: web.Request) -> web.Response:
        asked = await self._asked(request)
        rows = [
            {"phone": message.number, "status": self._status(message)}
            for message in self.sent
            if message.job == str(asked.get("report_id"))
        ]
        if not rows:
            raise RefusedError("not_found")
        return web.json_response({"status": "success", "data": rows})

    def _status(self, message: Sent) -> str:
        if not self.is_mature(message):
            return "bekliyor"
        is_refused = message.tag == "ticari" and ten_digits(message.number) in self.refusing
        return "iys_red" if is_refused else "iletildi"

    async def _cancel(self, request: web.Request) -> web.Response:
        asked = await self._asked(request)
        found = [message for message in self.sent if message.job == str(asked.get("id"))]
        for message in found:
            message.is_cancelled = True
        if not found:
            raise RefusedError("not_found")
        return web.json_response({"status": "success"})

    async def _senders(self, request: web.Request) -> web.Response:
        await self._asked(request)
        return web.json_response({"status": "success", "data": [{"sender": title} for title in self.titles]})

    async def _account(self, request: web.Request) -> web.Response:
        await self._asked(request)
        return web.json_response({"status": "success", "data": {"credit": 1000}})


if __name__ == "__main__":
    serve(VatanSmsSimulator(), 8109)

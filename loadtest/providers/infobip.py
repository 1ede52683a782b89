"""Infobip's SMS API, v3 and v2.

Usage: ``python -m loadtest.providers.infobip --port 8106``

``Authorization: App key``. A number in ``/_sim/refusing`` is rejected at once (14) under ``turkeyIys``, the provider's
own check; one ending in 9902 becomes undeliverable with error 4140. Reports are handed out once.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from loadtest.providers.simulator import Incoming, serve, ten_digits
from loadtest.providers.worldwide import Post, Taken, WorldwideSimulator, fails_later, json_object, json_post

KEY = "key"
LOGIN = f"Authorization: App {KEY}"

_STATUSES = {
    "PENDING_ACCEPTED": (1, "PENDING", 26, "Pending Accepted"),
    "DELIVERED_TO_HANDSET": (3, "DELIVERED", 5, "Message delivered to handset"),
    "UNDELIVERABLE_NOT_DELIVERED": (2, "UNDELIVERABLE", 9, "Message sent not delivered"),
    "REJECTED_DESTINATION": (5, "REJECTED", 14, "Destination is on the blocklist"),
    "REJECTED_DESTINATION_INVALID": (5, "REJECTED", 52, "Invalid destination address"),
    "REJECTED_CANCELLED": (5, "REJECTED", 8, "Message canceled by user"),
    "REJECTED_TOO_LONG": (5, "REJECTED", 25, "Message too long"),
}


class InfobipSimulator(WorldwideSimulator):
    """Send, report, log, scheduled bulks, balance, preview; delivery reports pushed; incoming SMS."""

    def __init__(self, seed: int | None = None, *, per_second: int = 0) -> None:
        super().__init__(seed, per_second=per_second)
        self.passwords = {"App": KEY}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/sms/3/messages", self._send_v3),
            web.post("/sms/2/text/advanced", self._send_v2),
            web.get("/sms/3/reports", self._reports),
            web.get("/sms/1/reports", self._reports),
            web.get("/sms/3/logs", self._logs),
            web.get("/sms/1/bulks/status", self._bulk_status),
            web.put("/sms/1/bulks/status", self._bulk_status),
            web.put("/sms/1/bulks/status/", self._bulk_status),  # as its Node client writes it
            web.get("/account/1/balance", self._balance),
            web.post("/sms/1/preview", self._preview),
        ]

    def report(self, message: Taken) -> Post:
        return json_post(message.callback, {"results": [self._row(message)]})

    def told_incoming(self, url: str, incoming: Incoming) -> Post:
        row = {
            "messageId": str(10**18 + incoming.message_id), "from": incoming.sender, "to": incoming.destination,
            "text": incoming.text, "cleanText": incoming.text, "keyword": incoming.text.split(" ")[0].upper(),
            "receivedAt": self._time(), "smsCount": 1, "price": {"pricePerMessage": 0, "currency": "EUR"},
            "callbackData": None,
        }  # fmt: skip
        return json_post(url, {"results": [row], "messageCount": 1, "pendingMessageCount": 0})

    async def _send_v3(self, request: web.Request) -> web.Response:
        return await self._send(request, is_v3=True)

    async def _send_v2(self, request: web.Request) -> web.Response:
        return await self._send(request, is_v3=False)

    async def _send(self, request: web.Request, *, is_v3: bool) -> web.Response:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if not key or self.passwords.get(scheme) != key:
            return _failure(401, "Invalid login details", "")
        if self.is_too_fast():
            return _failure(429, "Too many requests", "")
        try:
            body = await json_object(request)
            messages = body["messages"]
            is_empty = not messages or any(not message["destinations"] for message in messages)
        except (ValueError, KeyError, TypeError):
            is_empty = True
        if is_empty:
            return _failure(400, "Bad request", "messages")
        schedule = (body.get("options") or {}).get("schedule") or {}
        bulk_id = str(body.get("bulkId") or schedule.get("bulkId") or self.random_digits(19))
        due = schedule.get("sendAt") if is_v3 else messages[0].get("sendAt")
        due_at = datetime.fromisoformat(due).timestamp() if due else 0.0
        rows = [
            self._take_one(bulk_id, message, destination, due_at, is_v3=is_v3)
            for message in messages
            for destination in message["destinations"]
        ]
        return web.json_response({"bulkId": bulk_id, "messages": rows})

    def _take_one(
        self, bulk_id: str, message: dict[str, Any], destination: dict[str, Any], due_at: float, *, is_v3: bool
    ) -> dict[str, Any]:
        text = str((message["content"] if is_v3 else message).get("text") or "")
        holder = (message.get("options") or {}) if is_v3 else message
        is_promotion = "turkeyIys" in (holder.get("regional") or {})
        to = str(destination.get("to", ""))
        message_id = str(destination.get("messageId") or self.random_digits(19))
        status = "PENDING_ACCEPTED"
        if ten_digits(to) is None:
            status = "REJECTED_DESTINATION_INVALID"
        elif is_promotion and self.is_refusing(to):
            status = "REJECTED_DESTINATION"
        elif len(text) > 4000:
            status = "REJECTED_TOO_LONG"
        else:
            hooks = message.get("webhooks") or {}
            url = (hooks.get("delivery") or {}).get("url") if is_v3 else message.get("notifyUrl")
            self.take(
                Taken(
                    account=KEY,
                    job=bulk_id,
                    number=to,
                    text=text,
                    title=str(message.get("sender" if is_v3 else "from") or ""),
                    tag="turkeyIys" if is_promotion else "",
                    reference=str(destination.get("messageId") or ""),
                    at=self.now(),
                    due_at=due_at,
                    message_id=self.next_message_id(),
                    sid=message_id,
                    callback=str(url or ""),
                )
            )
        return {
            "messageId": message_id,
            "status": _status(status),
            "destination" if is_v3 else "to": to,
            "details": {"messageCount": 1 + len(text) // 161},
        }

    async def _reports(self, request: web.Request) -> web.Response:
        rows = []
        for message in self._asked(request):
            if self.is_mature(message) and not message.fields.get("is_reported"):
                message.fields["is_reported"] = True
                rows.append(self._row(message))
        return web.json_response({"results": rows})

    async def _logs(self, request: web.Request) -> web.Response:
        rows = [{**self._row(message), "destination": message.number} for message in self._asked(request)]
        return web.json_response({"results": rows})

    def _asked(self, request: web.Request) -> list[Taken]:
        bulk_id, message_id = request.query.get("bulkId"), request.query.get("messageId")
        return [m for m in self.taken if bulk_id in (None, m.job) and message_id in (None, m.sid)]

    async def _bulk_status(self, request: web.Request) -> web.Response:
        bulk_id = request.query.get("bulkId", "")
        status = "PENDING"
        if request.method == "PUT":
            status = str((await json_object(request)).get("status"))
            for message in self.taken:
                if message.job == bulk_id and status == "CANCELED":
                    message.is_cancelled = True
        return web.json_response({"bulkId": bulk_id, "status": status})

    async def _balance(self, request: web.Request) -> web.Response:
        return web.json_response({"balance": 47.79, "currency": "EUR"})

    async def _preview(self, request: web.Request) -> web.Response:
        text = str((await json_object(request)).get("text"))
        return web.json_response({"originalText": text, "previews": [{"textPreview": text, "messageCount": 1}]})

    def _row(self, message: Taken) -> dict[str, Any]:
        is_lost = fails_later(message.number)
        error = 4140 if is_lost and self.is_mature(message) else 0
        name = {0: "NO_ERROR", 4140: "EC_CONSENT_FAILED"}[error]
        return {
            "bulkId": message.job, "messageId": message.sid, "to": message.number, "sentAt": self._time(),
            "doneAt": self._time(), "smsCount": 1, "price": {"pricePerMessage": 0.01, "currency": "EUR"},
            "status": _status(self._status_of(message)),
            "error": {"groupId": 0 if not error else 2, "groupName": "OK" if not error else "USER_ERRORS", "id": error,
                      "name": name, "description": name, "permanent": bool(error)},
        }  # fmt: skip

    def _status_of(self, message: Taken) -> str:
        if message.is_cancelled:
            return "REJECTED_CANCELLED"
        if not self.is_mature(message):
            return "PENDING_ACCEPTED"
        return "UNDELIVERABLE_NOT_DELIVERED" if fails_later(message.number) else "DELIVERED_TO_HANDSET"

    def _time(self) -> str:
        return datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def _status(name: str) -> dict[str, Any]:
    group, group_name, number, description = _STATUSES[name]
    return {"groupId": group, "groupName": group_name, "id": number, "name": name, "description": description}


def _failure(status: int, description: str, field: str) -> web.Response:
    violations = [{"property": field, "violation": "must not be empty"}] if field else []
    return web.json_response(
        {
            "errorCode": f"E{status}", "description": description, "action": "Check the request.",
            "violations": violations, "resources": [],
        },
        status=status,
    )  # fmt: skip


if __name__ == "__main__":
    serve(InfobipSimulator(), 8106)

"""Twilio as its customers see it.

Usage: ``python -m loadtest.providers.twilio --port 8104``

Account ``AC`` + 32 times "0", token ``token``; API key ``SK`` + 32 times "0", secret ``secret``. A number in
``/_sim/refusing`` has unsubscribed (21610); one ending in 9902 becomes undelivered with 30005.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, formatdate
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from loadtest.providers.simulator import Incoming, serve
from loadtest.providers.worldwide import Post, Taken, WorldwideSimulator, basic_login, fails_later

ACCOUNT = "AC" + "0" * 32
TOKEN = "token"
KEY, SECRET = "SK" + "0" * 32, "secret"
LOGIN = f"account {ACCOUNT}, token {TOKEN}"

LONGEST_LEAD_S = 35 * 86400
SHORTEST_LEAD_S = 15 * 60


class TwilioSimulator(WorldwideSimulator):
    """The messages resource: create, fetch, list, update (cancel, redact), delete; status callbacks; incoming SMS."""

    def __init__(self, seed: int | None = None, *, per_second: int = 0) -> None:
        super().__init__(seed, per_second=per_second)
        self.passwords = {ACCOUNT: TOKEN, KEY: SECRET}

    def routes(self) -> list[web.RouteDef]:
        root = "/2010-04-01/Accounts/{account}"
        return [
            web.post(root + "/Messages.json", self._create),
            web.get(root + "/Messages.json", self._list),
            web.get(root + "/Messages/{sid}.json", self._fetch),
            web.post(root + "/Messages/{sid}.json", self._update),
            web.delete(root + "/Messages/{sid}.json", self._delete),
            web.get(root + "/Balance.json", self._balance),
        ]

    def report(self, message: Taken) -> Post:
        told = {
            "MessageSid": message.sid, "SmsSid": message.sid, "MessageStatus": self._status(message),
            "To": message.number, "From": message.title, "AccountSid": ACCOUNT, "ApiVersion": "2010-04-01",
        }  # fmt: skip
        if told["MessageStatus"] == "undelivered":
            told["ErrorCode"] = "30005"
        return _signed(message.callback, told)

    def told_incoming(self, url: str, incoming: Incoming) -> Post:
        sid = f"SM{incoming.message_id:032x}"
        form = {
            "MessageSid": sid, "SmsSid": sid, "AccountSid": ACCOUNT, "From": incoming.sender,
            "To": incoming.destination, "Body": incoming.text, "NumSegments": "1", "NumMedia": "0",
            "ApiVersion": "2010-04-01",
        }  # fmt: skip
        if incoming.text.strip().upper() in ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"):
            form["OptOutType"] = "STOP"
        return _signed(url, form)

    def _error_code(self, message: Taken) -> int | None:
        return 30005 if self._status(message) == "undelivered" else None

    def _status(self, message: Taken) -> str:
        if message.is_cancelled or not self.is_mature(message):
            return "canceled" if message.is_cancelled else message.status
        return "undelivered" if fails_later(message.number) else "delivered"

    def _refusal(self, request: web.Request) -> web.Response | None:
        user, password = basic_login(request) or ("", "")
        if not password or self.passwords.get(user) != password:
            return _error(401, 20003, "Authenticate")
        if self.is_too_fast():
            return _error(429, 20429, "Too Many Requests")
        if request.match_info["account"] != ACCOUNT:
            return _error(404, 20404, "The requested resource was not found")
        return None

    async def _create(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        form = {name: str(value) for name, value in (await request.post()).items()}
        to, body = form.get("To", ""), form.get("Body", "")
        if not to:
            return _error(400, 21604, "A 'To' phone number is required.")
        if not form.get("From") and not form.get("MessagingServiceSid"):
            return _error(400, 21603, "A 'From' phone number is required.")
        if not body and not form.get("ContentSid") and not form.get("MediaUrl"):
            return _error(400, 21602, "Message body is required.")
        if len(body) > 1600:
            return _error(400, 21617, "The concatenated message body exceeds the 1600 character limit")
        if not (to.startswith("+") and to[1:].isascii() and to[1:].isdigit() and len(to) > 8):
            return _error(400, 21211, "Invalid 'To' Phone Number")
        if self.is_refusing(to):
            return _error(400, 21610, "Attempt to send to unsubscribed recipient")
        if form.get("ScheduleType"):
            wrong = self._wrong_schedule(form)
            if wrong is not None:
                return wrong
        sid = "SM" + self.random_hex(32)
        has_service = "MessagingServiceSid" in form
        at = datetime.fromisoformat(form["SendAt"]) if form.get("ScheduleType") else None
        message = Taken(
            account=ACCOUNT,
            job=sid,
            number=to,
            text=body,
            title=form.get("From", ""),
            at=self.now(),
            due_at=_seconds(at) if at is not None else 0.0,
            message_id=self.next_message_id(),
            sid=sid,
            callback=form.get("StatusCallback", ""),
            status="scheduled" if at is not None else ("accepted" if has_service else "queued"),
            fields=form,
        )
        return web.json_response(self._show(self.take(message)), status=201)

    def _wrong_schedule(self, form: Mapping[str, str]) -> web.Response | None:
        if form["ScheduleType"] != "fixed" or "MessagingServiceSid" not in form:
            return _error(400, 35114, "Scheduling needs ScheduleType fixed and a Messaging Service")
        try:
            at = datetime.fromisoformat(form.get("SendAt", ""))
        except ValueError:
            return _error(400, 35111, "SendAt is missing or no time")
        lead = _seconds(at) - self.now()
        if not SHORTEST_LEAD_S <= lead <= LONGEST_LEAD_S:
            return _error(400, 35114, "SendAt time must be between 15 minutes and 35 days ahead")
        return None

    def _find(self, request: web.Request) -> Taken | None:
        return next((message for message in self.taken if message.sid == request.match_info["sid"]), None)

    async def _fetch(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        message = self._find(request)
        if refusal is not None or message is None:
            return refusal or _error(404, 20404, "The requested resource was not found")
        return web.json_response(self._show(message))

    async def _update(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        message = self._find(request)
        if refusal is not None or message is None:
            return refusal or _error(404, 20404, "The requested resource was not found")
        form = await request.post()
        if form.get("Status") == "canceled":
            if self._status(message) not in ("scheduled", "accepted", "queued"):
                return _error(400, 30409, "Message cannot be canceled in its state")
            message.is_cancelled = True
        if form.get("Body") == "":
            message.text = ""
        return web.json_response(self._show(message))

    async def _delete(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        message = self._find(request)
        if refusal is not None or message is None:
            return refusal or _error(404, 20404, "The requested resource was not found")
        self.taken.remove(message)
        return web.Response(status=204)

    async def _list(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        shown = [self._show(message) for message in self.taken]
        path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
        return web.json_response(
            {"messages": shown, "page": 0, "page_size": 50, "next_page_uri": None, "uri": path, "start": 0}
        )

    async def _balance(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        return refusal or web.json_response({"account_sid": ACCOUNT, "balance": "12.34", "currency": "USD"})

    def _show(self, message: Taken) -> dict[str, Any]:
        form = message.fields
        at = format_datetime(datetime.fromtimestamp(message.at, UTC))
        path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{message.sid}"
        parts = "0" if "MessagingServiceSid" in form else str(1 + len(message.text) // 161)
        return {
            "sid": message.sid, "account_sid": ACCOUNT, "messaging_service_sid": form.get("MessagingServiceSid"),
            "from": message.title or None, "to": message.number, "body": message.text, "status": self._status(message),
            "num_segments": parts, "num_media": "0", "direction": "outbound-api",
            "error_code": self._error_code(message), "error_message": None, "price": None, "price_unit": "USD",
            "date_created": at, "date_updated": at, "date_sent": formatdate(message.at), "uri": path + ".json",
            "subresource_uris": {"media": path + "/Media.json"}, "api_version": "2010-04-01",
        }  # fmt: skip


def _seconds(at: datetime) -> float:
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _signed(url: str, form: Mapping[str, str]) -> Post:
    whole = url + "".join(name + form[name] for name in sorted(form))
    mac = hmac.new(TOKEN.encode(), whole.encode(), hashlib.sha1).digest()
    headers = {
        "X-Twilio-Signature": base64.b64encode(mac).decode(),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return Post(url, headers, urlencode(form).encode())


def _error(status: int, code: int, message: str) -> web.Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return web.json_response({"code": code, "message": message, "more_info": more, "status": status}, status=status)


if __name__ == "__main__":
    serve(TwilioSimulator(), 8104)

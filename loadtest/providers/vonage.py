"""Vonage's SMS and Messages APIs, on one address.

Usage: ``python -m loadtest.providers.vonage --port 8105``

Key ``key``, secret ``secret`` (Basic or in the request); a Bearer token of any application is believed. A number in
``/_sim/refusing`` is barred (status 7; problem 1050), one ending in 9902 is rejected in the receipt. Incoming SMS are
told in the way of the SMS API (``sig``), or of the Messages API (a JWT) where the address ends in ``/messages``; both
are signed with ``signature-secret``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from loadtest.providers.simulator import Incoming, serve, ten_digits
from loadtest.providers.worldwide import (
    Post,
    Taken,
    WorldwideSimulator,
    basic_login,
    fails_later,
    json_object,
    json_post,
)

KEY, SECRET = "key", "secret"
SIGNATURE_SECRET = "signature-secret"
LOGIN = f"key {KEY}, secret {SECRET}"


class VonageSimulator(WorldwideSimulator):
    """A simulated Vonage; the real hosts differ by name only."""

    def __init__(self, seed: int | None = None, *, per_second: int = 0) -> None:
        super().__init__(seed, per_second=per_second)
        self.passwords = {KEY: SECRET}

    def _is_known(self, login: tuple[str, str] | None) -> bool:
        return login is not None and bool(login[1]) and self.passwords.get(login[0]) == login[1]

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/sms/json", self._send_sms),
            web.get("/sms/json", self._send_sms),
            web.get("/account/get-balance", self._balance),
            web.post("/v1/messages", self._send_message),
        ]

    def report(self, message: Taken) -> Post:
        is_failed = fails_later(message.number)
        now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(self.now()))
        if message.tag == "sms":
            receipt = {
                "msisdn": message.number, "to": message.title, "network-code": "28601", "messageId": message.sid,
                "price": "0.03330000", "status": "failed" if is_failed else "delivered", "scts": "2001011400",
                "err-code": "9" if is_failed else "0", "api-key": KEY, "message-timestamp": now,
            }  # fmt: skip
            return json_post(message.callback, receipt)
        event: dict[str, Any] = {
            "message_uuid": message.sid, "to": message.number, "from": message.title, "channel": "sms",
            "timestamp": now.replace(" ", "T") + "Z", "status": "rejected" if is_failed else "delivered",
            "usage": {"currency": "EUR", "price": "0.0333"},
        }  # fmt: skip
        if is_failed:
            event["error"] = {"type": "https://developer.vonage.com/api-errors/messages#1240", "title": 1240}
        return json_post(message.callback, event)

    def told_incoming(self, url: str, incoming: Incoming) -> Post:
        now = time.gmtime(incoming.at)
        message_id = f"{incoming.message_id:08x}-0000-4000-a000-000000000000"
        keyword = incoming.text.split(" ")[0].upper()
        if url.endswith("/messages"):
            told = {
                "to": incoming.destination, "from": incoming.sender, "channel": "sms", "message_uuid": message_id,
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", now), "message_type": "text",
                "text": incoming.text, "sms": {"num_messages": "1", "keyword": keyword},
            }  # fmt: skip
            post = json_post(url, told)
            return post._replace(headers={**post.headers, "Authorization": f"Bearer {_jwt(post.body)}"})
        form = {
            "msisdn": incoming.sender, "to": incoming.destination, "messageId": message_id, "text": incoming.text,
            "type": "text", "keyword": keyword, "api-key": KEY, "timestamp": str(int(self.now())),
            "message-timestamp": time.strftime("%Y-%m-%d %H:%M:%S", now),
        }  # fmt: skip
        whole = "".join(f"&{name}={form[name].replace('&', '_').replace('=', '_')}" for name in sorted(form))
        form["sig"] = hmac.new(SIGNATURE_SECRET.encode(), whole.encode(), hashlib.sha256).hexdigest()
        return Post(url, {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(form).encode())

    async def _send_sms(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            fields: dict[str, Any] = dict(request.query)
        elif request.content_type == "application/json":
            try:
                fields = await json_object(request)
            except ValueError:
                return _sms_error("3", "Invalid JSON")
        else:
            fields = dict(await request.post())
        in_fields = (str(fields.get("api_key") or ""), str(fields.get("api_secret") or ""))
        if not self._is_known(basic_login(request)) and not self._is_known(in_fields):
            return _sms_error("4", "Bad Credentials")
        if self.is_too_fast():
            return _sms_error("1", "Throughput Rate Exceeded - please wait [ 1 ] and retry")
        to = str(fields.get("to") or "")
        text = str(fields.get("text") or fields.get("body") or "")
        for name, value in (("to", to), ("from", fields.get("from")), ("text", text)):
            if not value:
                return _sms_error("2", f"Missing {name} param")
        if len(text) > 3200:
            return _sms_error("12", "Message too long")
        if ten_digits(to) is None:
            return _sms_error("3", "Invalid value for parameter: to")
        if self.is_refusing(to):
            return _sms_error("7", "Number barred")
        size = 160 if fields.get("type", "text") == "text" else 70
        parts = max(1, -(-len(text) // size))
        job_id = self._uuid()
        entries = []
        for part in range(parts):
            message_id = job_id if part == 0 else self._uuid()
            entries.append(
                {
                    "to": to.lstrip("+"), "message-id": message_id, "status": "0", "remaining-balance": "3.14159265",
                    "message-price": "0.03330000", "network": "28601",
                }
            )  # fmt: skip
        callback = str(fields.get("callback") or "")
        self._keep(job_id, "sms", to, text, str(fields["from"]), callback)
        return web.json_response({"message-count": str(parts), "messages": entries})

    async def _send_message(self, request: web.Request) -> web.Response:
        authorization = request.headers.get("Authorization", "")
        if not self._is_known(basic_login(request)) and authorization.count(".") != 2:
            return _problem(401, "unauthorized", "You did not provide correct credentials.", "Check your JWT.")
        if self.is_too_fast():
            return _problem(429, "1000", "Throttled", "You have exceeded the submission capacity allowed.")
        try:
            fields = await json_object(request)
        except ValueError:
            return _problem(422, "1010", "Invalid params", "The body is no JSON object.")
        to, text = fields.get("to"), fields.get("text")
        for name in ("to", "from", "text", "channel", "message_type"):
            if not isinstance(fields.get(name), str) or not fields[name]:
                return _problem(422, "1010", "Missing params", f"The {name} parameter is missing.")
        assert isinstance(to, str)
        assert isinstance(text, str)
        if fields["channel"] != "sms" or not to.isdigit() or ten_digits(to) is None:
            return _problem(422, "1020", "Invalid params", "The value of one or more parameters is invalid.")
        if len(text) > 3200:
            return _problem(422, "1090", "Message too long", "The text is too long.")
        if self.is_refusing(to):
            return _problem(403, "1050", "Number barred", "The number is barred.")
        message_id = self._uuid()
        callback = str(fields.get("webhook_url") or "")
        self._keep(message_id, "messages", to, text, fields["from"], callback)
        return web.json_response({"message_uuid": message_id}, status=202)

    async def _balance(self, request: web.Request) -> web.Response:
        return web.json_response({"value": 10.28, "autoReload": False})

    def _keep(self, sid: str, interface: str, to: str, text: str, title: str, callback: str) -> None:
        number = self.next_message_id()
        at = self.now()
        self.take(Taken(KEY, sid, to, text, title, interface, at=at, message_id=number, sid=sid, callback=callback))

    def _uuid(self) -> str:
        digits = self.random_hex(32)
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _jwt(body: bytes) -> str:
    claims = {
        "iat": int(time.time()), "jti": "1", "iss": "Vonage", "api_key": KEY,
        "payload_hash": hashlib.sha256(body).hexdigest(),
    }  # fmt: skip
    parts = [_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    mac = hmac.new(SIGNATURE_SECRET.encode(), ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, _base64url(mac)])


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def _sms_error(status: str, text: str) -> web.Response:
    return web.json_response({"message-count": "1", "messages": [{"status": status, "error-text": text}]})


def _problem(status: int, number: str, title: str, detail: str) -> web.Response:
    kind = f"https://developer.vonage.com/api-errors/messages#{number}"
    return web.json_response(
        {"type": kind, "title": title, "detail": detail, "instance": "bf0ca0bf927b3b52e3cb03217e1a1ddf"},
        status=status,
        content_type="application/problem+json",
    )


if __name__ == "__main__":
    serve(VonageSimulator(per_second=30), 8105)

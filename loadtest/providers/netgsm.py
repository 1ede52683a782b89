"""Netgsm as its OpenAPI file and its clients describe it: REST v2 here, the older calls in ``netgsm_legacy``.

Usage: ``python -m loadtest.providers.netgsm --port 8101``
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from aiohttp import web

from loadtest.providers.netgsm_legacy import legacy_refusal, legacy_routes
from loadtest.providers.simulator import RefusedError, Sent, Simulator, Window, serve, ten_digits

ISTANBUL = timezone(timedelta(hours=3))
LOGIN = "user 8500000001, password sifre-1; title ORNEK"
MAX_PART_CHARACTERS = 917
TEXTS = {
    "20": "message text or length",
    "30": "username, password or API permission",
    "40": "message header is not defined",
    "50": "no IYS controlled sending with this account",
    "51": "no IYS brand",
    "60": "not found",
    "70": "parameter",
    "80": "sending limit",
    "85": "duplicate sending limit",
    "100": "system error",
}


@dataclass
class Account:
    """``has_iys`` and ``has_brand`` false make codes 50 and 51."""

    password: str
    titles: tuple[str, ...] = ("ORNEK", "ORNEKMARKA")
    has_iys: bool = True
    has_brand: bool = True


class NetgsmSimulator(Simulator):
    """A simulated Netgsm."""

    def __init__(self, seed: int | None = None, sends_a_minute: int = 6000) -> None:
        super().__init__(seed)
        self.accounts = {
            "8500000001": Account("sifre-1"),
            "8500000002": Account("sifre-2", has_iys=False),
            "8500000003": Account("sifre-3", has_brand=False),
        }
        self.blocked: set[str] = set()
        self._sends = Window(sends_a_minute, 60)
        self._reports = Window(10, 60)
        self._same_number = Window(20, 60)

    def refusal(self, request: web.Request, code: str) -> web.Response:
        if request.path.startswith("/sms/rest/") or request.path == "/balance":
            body = {"code": code, "jobid": None, "description": TEXTS.get(code, "error")}
            return web.json_response(body, status=406)
        return legacy_refusal(request, code)

    def windows(self) -> list[Window]:
        return [self._sends, self._reports, self._same_number]

    def routes(self) -> list[web.RouteDef]:
        base = "/sms/rest/v2"
        return [
            web.post(f"{base}/send", self._send),
            web.post(f"{base}/otp", self._otp),
            web.post(f"{base}/report", self._report),
            web.post(f"{base}/cancel", self._cancel),
            web.get(f"{base}/msgheader", self._titles),
            web.get(f"{base}/inbox", self._inbox),
            web.post(f"{base}/stats", self._stats),
            web.post(f"{base}/length", self._length),
            web.post("/balance", self._balance),
            *(
                web.route(method, f"{base}/{name}", self._webhook)
                for name in ("inboxwebhook", "reportwebhook")
                for method in ("POST", "DELETE")
            ),
            *legacy_routes(self),
        ]

    # -- what REST and the older calls share ----------------------------------------------------------------------

    def account(self, user: str, password: str) -> Account:
        account = self.accounts.get(user)
        if account is None or account.password != password:
            raise RefusedError("30")
        return account

    def take(
        self,
        user: str,
        password: str,
        *,
        title: str,
        pairs: list[tuple[str, str]],
        tag: str,
        start: str = "",
        stop: str = "",
        reference: str = "",
    ) -> tuple[str, str]:
        """Takes (text, number) pairs; code 00, 01 or 02 and the job's id."""
        account = self.account(user, password)
        if title not in account.titles:
            raise RefusedError("40")
        if tag not in ("", "0", "11", "12") or not pairs:
            raise RefusedError("70")
        if tag in ("11", "12") and not account.has_iys:
            raise RefusedError("50")
        if tag in ("11", "12") and not account.has_brand:
            raise RefusedError("51")
        if any(not text or len(text) > MAX_PART_CHARACTERS for text, _ in pairs):
            raise RefusedError("20")
        now = self.now()
        if not self._sends.take(user, now):
            raise RefusedError("80")
        numbers = [ten_digits(number) or f"?{number}" for _, number in pairs]
        if not all(self._same_number.take(number, now) for number in dict.fromkeys(numbers)):
            raise RefusedError("85")
        code, due_at = "00", now
        if start:
            due_at = self._minute(start) or now
            code = "01" if due_at == now else "00"
        if stop and self._minute(stop) is None:
            code = "02"
        job = f"{int(now * 1000):013d}{self.random.randrange(10**13):013d}"
        for (text, _), number in zip(pairs, numbers, strict=True):
            self.sent.append(Sent(user, job, number, text, title, tag, reference, now, due_at, self.next_message_id()))
        return code, job

    def status_of(self, message: Sent) -> int:
        if message.number.startswith("?"):
            return 3
        if message.is_cancelled:
            return 4
        if not self.is_mature(message):
            return 0
        if message.number in self.blocked:
            return 15
        return 16 if message.tag in ("11", "12") and message.number in self.refusing else 1

    def _minute(self, text: str) -> float | None:
        return self._time(text, "%d%m%Y%H%M") if re.fullmatch("[0-9]{12}", text) else None

    @staticmethod
    def _time(text: str, form: str) -> float | None:
        try:
            return datetime.strptime(text, form).replace(tzinfo=ISTANBUL).timestamp()
        except ValueError:
            return None

    # -- REST v2 --------------------------------------------------------------------------------------------------

    async def _read(self, request: web.Request) -> tuple[str, str, dict[str, Any]]:
        kind, _, packed = request.headers.get("Authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(packed, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            raise RefusedError("30") from None
        if kind != "Basic":
            raise RefusedError("30")
        self.account(user, password)
        if request.method == "GET":
            return user, password, dict(request.query)
        try:
            body = json.loads(await request.read())
        except ValueError:
            raise RefusedError("70") from None
        if not isinstance(body, dict):
            raise RefusedError("70")
        return user, password, body

    async def _send(self, request: web.Request) -> web.Response:
        user, password, body = await self._read(request)
        messages = body.get("messages")
        if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
            raise RefusedError("70")
        pairs = [(str(each.get("msg", "")), str(each.get("no", ""))) for each in messages]
        if any("," in number for _, number in pairs):
            raise RefusedError("70")
        code, job = self.take(
            user,
            password,
            title=str(body.get("msgheader", "")),
            pairs=pairs,
            tag=str(body.get("iysfilter", "")),
            start=str(body.get("startdate", "")),
            stop=str(body.get("stopdate", "")),
            reference=str(body.get("referansID", "")),
        )
        return web.json_response({"code": code, "jobid": job, "description": "queued"})

    async def _otp(self, request: web.Request) -> web.Response:
        user, password, body = await self._read(request)
        text, number = str(body.get("msg", "")), ten_digits(str(body.get("no", "")))
        if not re.fullmatch(r"[\x20-\x7e\n]{1,160}", text):
            raise RefusedError("20")
        if number is None:
            raise RefusedError("50")
        _, job = self.take(
            user, password, title=str(body.get("msgheader", "")), pairs=[(text, number)], tag="", reference="otp"
        )
        return web.json_response({"code": "00", "jobId": job, "description": "success"})

    async def _report(self, request: web.Request) -> web.Response:
        user, _, body = await self._read(request)
        if not self._reports.take(user, self.now()):
            raise RefusedError("80")
        jobs = [str(job) for job in body.get("jobids") or ()]
        start, stop = (self._time(str(body.get(name)), "%d.%m.%Y %H:%M:%S") for name in ("startdate", "stopdate"))
        if not jobs and (start is None or stop is None):
            raise RefusedError("70")
        size = int(body.get("pagesize") or 100)
        first = int(body.get("pagenumber") or 0) * size
        found = [
            message
            for message in self.sent
            if message.account == user
            and (message.job in jobs if jobs else (start or 0) <= message.at < (stop or 0) + 1)
        ][first : first + size]
        if not 1 <= size <= 100:
            raise RefusedError("70")
        if not found:
            raise RefusedError("60")
        rows = [
            {
                "jobid": message.job,
                "number": message.number,
                "status": self.status_of(message),
                "operator": 30,
                "msglen": 1 + (len(message.text) - 1) // 153,
                "deliveredDate": datetime.fromtimestamp(message.at, ISTANBUL).strftime("%d.%m.%Y %H:%M:%S"),
                "errorCode": 0,
                "referansID": message.reference,
            }
            for message in found
        ]
        return web.json_response({"code": "00", "description": "success", "jobs": rows})

    async def _cancel(self, request: web.Request) -> web.Response:
        user, _, body = await self._read(request)
        job = str(body.get("jobid", ""))
        found = [message for message in self.sent if message.job == job and message.account == user]
        if not found or found[0].due_at <= self.now():
            raise RefusedError("60")
        for message in found:
            message.is_cancelled = True
        return web.json_response({"code": "00", "jobid": job, "description": "cancelled"})

    async def _titles(self, request: web.Request) -> web.Response:
        user, _, _ = await self._read(request)
        return web.json_response({"code": "00", "msgheaders": list(self.accounts[user].titles)})

    async def _inbox(self, request: web.Request) -> web.Response:
        _, _, asked = await self._read(request)
        start, stop = (self._time(asked.get(name, ""), "%d%m%Y%H%M%S") for name in ("startdate", "stopdate"))
        found = [
            message
            for message in self.incoming
            if (not message.is_listed if start is None or stop is None else start <= message.at < stop + 1)
        ]
        if not found:
            raise RefusedError("40")
        for message in found:
            message.is_listed = message.is_listed or start is None or stop is None
        rows = [
            {
                "message": message.text,
                "sender": message.sender,
                "receiver": message.destination,
                "datetime": datetime.fromtimestamp(message.at, ISTANBUL).strftime("%d%m%Y%H%M%S"),
            }
            for message in found
        ]
        return web.json_response({"code": "00", "messages": rows})

    async def _stats(self, request: web.Request) -> web.Response:
        user, _, body = await self._read(request)
        count = sum(message.job == str(body.get("jobid")) and message.account == user for message in self.sent)
        if not count:
            raise RefusedError("60")
        return web.json_response({"code": "00", "stats": [{"status": "1", "totalSms": count}]})

    async def _length(self, request: web.Request) -> web.Response:
        _, _, body = await self._read(request)
        return web.json_response({"code": "00", "length": 1 + (len(str(body.get("context", ""))) - 1) // 153})

    async def _webhook(self, request: web.Request) -> web.Response:
        await self._read(request)
        return web.json_response({"code": "00", "description": "success"})

    async def _balance(self, request: web.Request) -> web.Response:
        try:
            body = json.loads(await request.read())
            self.account(str(body.get("usercode")), str(body.get("password")))
        except ValueError:
            raise RefusedError("70") from None
        return web.json_response({"code": "00", "balance": "1000,00"})


if __name__ == "__main__":
    serve(NetgsmSimulator(), 8101)

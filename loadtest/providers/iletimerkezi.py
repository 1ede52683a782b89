"""İleti Merkezi as its documents describe it: JSON calls, their XML twins, and the query call that sends.

Usage: ``python -m loadtest.providers.iletimerkezi --port 8102``
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from aiohttp import web

from loadtest.providers import iletimerkezi_xml
from loadtest.providers.simulator import RefusedError, Sent, Simulator, Window, serve, ten_digits

ISTANBUL = timezone(timedelta(hours=3))
LOGIN = "key anahtar-1, hash ozet-1; title ORNEK"
MAX_PART_CHARACTERS = 1066
TEST_SENDER = "APITEST"
TEST_TEXT = "Bu bir test mesajidir."
REPEAT_WITHIN_S = 600

Call = Callable[[str, dict[str, Any]], dict[str, Any]]


@dataclass
class Account:
    """``has_brand`` false makes code 470, ``credits`` 0 code 402."""

    hash: str
    titles: tuple[str, ...] = ("ORNEK", "ORNEKMARKA", TEST_SENDER)
    has_brand: bool = True
    credits: int = 1_000_000


class IletiMerkeziSimulator(Simulator):
    """A simulated İleti Merkezi."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self.accounts = {
            "anahtar-1": Account("ozet-1"),
            "anahtar-2": Account("ozet-2", has_brand=False),
            "anahtar-3": Account("ozet-3", credits=0),
        }
        self.blocked: dict[str, set[str]] = {}
        self._orders = 0
        self._same = Window(1, REPEAT_WITHIN_S)

    def windows(self) -> list[Window]:
        return [self._same]

    def routes(self) -> list[web.RouteDef]:
        calls: dict[str, Call] = {
            "send-sms": self._send,
            "get-report": self._report,
            "get-reports": self._reports,
            "cancel-order": self._cancel,
            "get-sender": self._titles,
            "get-balance": self._balance,
            "get-blacklist": self._list_blocked,
            "add-blacklist": self._block,
            "delete-blacklist": self._unblock,
            "consent/create": self._consent,
            "consent/show": self._consent,
            "get-inbox": self._inbox,
        }
        ways = [
            *((f"/v1/{name}/json", self._answering(call)) for name, call in calls.items()),
            *((f"/v1/{name}", self._answering_xml(call)) for name, call in calls.items()),
        ]
        return [
            *(web.post(f"{path}{end}", answer) for path, answer in ways for end in ("", "/")),
            web.get("/v1/send-sms/get/", self._answering_xml(self._send)),
        ]

    def refusal(self, request: web.Request, code: str) -> web.Response:
        is_json = request.path.removesuffix("/").endswith("/json")
        return _envelope(int(code), {}) if is_json else _xml_envelope(int(code), {})

    def pushes(self) -> list[Any]:
        words = {110: "accepted", 111: "delivered", 112: "undelivered"}
        return [
            {
                "report": {
                    "id": message.message_id,
                    "packet_id": int(message.job),
                    "status": words[self._status(message)],
                    "to": f"+90{message.number}",
                    "body": message.text,
                }
            }
            for message in self.sent
        ]

    def _answering(self, call: Call) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            if "json" not in request.headers.get("Content-Type", "json"):
                raise RefusedError(400)
            try:
                body = json.loads(await request.read())
                asked = body["request"]
                key, secret = asked["authentication"]["key"], asked["authentication"]["hash"]
            except (ValueError, KeyError, TypeError):
                raise RefusedError(400) from None
            self._check_login(key, secret)
            return _envelope(200, call(key, asked))

        return answer

    def _answering_xml(self, call: Call) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            if request.method == "GET":
                asked = iletimerkezi_xml.read_query(request.query)
            else:
                asked = iletimerkezi_xml.read_body(await request.read())
            login = _part(asked, "authentication")
            self._check_login(key := str(login.get("key", "")), str(login.get("hash", "")))
            return _xml_envelope(200, call(key, asked))

        return answer

    def _check_login(self, key: str, secret: str) -> None:
        account = self.accounts.get(key)
        if account is None or account.hash != secret:
            raise RefusedError(401)

    # -- sending --------------------------------------------------------------------------------------------------

    def _send(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        order, account = _part(asked, "order"), self.accounts[key]
        title, tag, kind = order.get("sender"), str(order.get("iys", "")), str(order.get("iysList", ""))
        if title not in account.titles:
            raise RefusedError(450)
        if tag not in ("0", "1"):
            raise RefusedError(468)
        if tag == "1" and kind not in ("BIREYSEL", "TACIR"):
            raise RefusedError(469)
        if tag == "1" and title == TEST_SENDER:
            raise RefusedError(450)
        if tag == "1" and not account.has_brand:
            raise RefusedError(470)
        due_at = self._due(order.get("sendDateTime"))
        pairs = self._pairs(key, order)
        if len(pairs) > account.credits:
            raise RefusedError(402)
        if not self._same.take(f"{key} {sorted(pairs)}", self.now()):
            raise RefusedError(451)
        self._orders += 1
        job = str(41_000_000 + self._orders)
        account.credits -= len(pairs)
        tag = f"{tag} {kind}" if tag == "1" else tag
        for text, number in pairs:
            shown = TEST_TEXT if title == TEST_SENDER else text
            self.sent.append(Sent(key, job, number, shown, title, tag, "", self.now(), due_at, self.next_message_id()))
        return {"order": {"id": job}}

    def _pairs(self, key: str, order: dict[str, Any]) -> list[tuple[str, str]]:
        messages = order.get("message")
        pairs: list[tuple[str, str]] = []
        listed: list[Any] = messages if isinstance(messages, list) else [messages]
        for message in listed:
            try:
                text, numbers = message["text"], message["receipents"]["number"]
            except (KeyError, TypeError):
                raise RefusedError(422) from None
            if not isinstance(text, str) or not isinstance(numbers, list):
                raise RefusedError(422)
            if not text.strip():
                raise RefusedError(454)
            if len(text) > MAX_PART_CHARACTERS:
                raise RefusedError(453)
            found = [ten_digits(str(number)) for number in numbers]
            pairs += [(text, number) for number in found if number and number not in self.blocked.get(key, set())]
        if not pairs:
            raise RefusedError(452)
        if len(pairs) > 50_000:
            raise RefusedError(422)
        return pairs

    def _due(self, value: Any) -> float:
        if isinstance(value, list):
            value = value[0] if value else ""
        if not value:
            return self.now()
        try:
            return datetime.strptime(str(value), "%d/%m/%Y %H:%M").replace(tzinfo=ISTANBUL).timestamp()
        except ValueError:
            raise RefusedError(457) from None

    def _status(self, message: Sent) -> int:
        if message.is_cancelled:
            return 112
        if not self.is_mature(message):
            return 110
        return 112 if message.tag.startswith("1") and message.number in self.refusing else 111

    # -- what became of it ----------------------------------------------------------------------------------------

    def _found(self, key: str, asked: dict[str, Any]) -> list[Sent]:
        job = str(_part(asked, "order").get("id", ""))
        found = [message for message in self.sent if message.job == job and message.account == key]
        if not found:
            raise RefusedError(455)
        return found

    def _report(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        found = self._found(key, asked)
        if found[0].due_at > self.now():
            raise RefusedError(456)
        order = _part(asked, "order")
        size, page = int(order.get("rowCount") or 1000), int(order.get("page") or 1)
        if not 1 <= size <= 1000 or page < 1:
            raise RefusedError(422)
        statuses = [self._status(message) for message in found]
        rows = [
            {"number": f"+90{message.number}", "status": status}
            for message, status in zip(found, statuses, strict=True)
        ]
        return {
            "order": {
                "id": found[0].job,
                "status": 113 if 110 in statuses else 114,
                "total": len(found),
                "delivered": statuses.count(111),
                "undelivered": statuses.count(112),
                "waiting": statuses.count(110),
                "message": rows[(page - 1) * size : page * size],
            }
        }

    def _reports(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        order = _part(asked, "order")
        try:
            start, end = (datetime.fromisoformat(str(order.get(name))) for name in ("start", "end"))
        except ValueError:
            raise RefusedError(457) from None
        if end - start > timedelta(days=10):
            raise RefusedError(458)
        jobs = dict.fromkeys(message.job for message in self.sent if message.account == key)
        return {"orders": [{"id": job, "status": 114} for job in jobs]}

    def _cancel(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        found = self._found(key, asked)
        if found[0].due_at <= self.now():
            raise RefusedError(455)
        for message in found:
            message.is_cancelled = True
        return {}

    # -- the account ----------------------------------------------------------------------------------------------

    def _titles(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        return {"senders": {"sender": list(self.accounts[key].titles)}}

    def _balance(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        return {"balance": {"amount": "0.00", "sms": str(self.accounts[key].credits)}}

    def _list_blocked(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        return {"blacklist": {"number": sorted(f"+90{number}" for number in self.blocked.get(key, ()))}}

    def _block(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        self.blocked.setdefault(key, set()).add(self._number(asked))
        return {}

    def _unblock(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        self.blocked.get(key, set()).discard(self._number(asked))
        return {}

    @staticmethod
    def _number(asked: dict[str, Any]) -> str:
        number = ten_digits(str(_part(asked, "blacklist").get("number", "")))
        if number is None:
            raise RefusedError(466)
        return number

    def _consent(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        return {"consent": asked.get("consent") or {}}

    def _inbox(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        return {"inbox": [{"sender": message.sender, "body": message.text} for message in self.incoming]}


def _part(asked: dict[str, Any], name: str) -> dict[str, Any]:
    found = asked.get(name)
    if not isinstance(found, dict):
        raise RefusedError(422)
    return found


def _envelope(code: int, more: dict[str, Any]) -> web.Response:
    body = {"response": {"status": {"code": code, "message": _sentence(code)}, **more}}
    return web.json_response(body, status=code)


def _xml_envelope(code: int, more: dict[str, Any]) -> web.Response:
    return iletimerkezi_xml.write_answer(code, _sentence(code), more)


def _sentence(code: int) -> str:
    return "İşlem başarılı" if code == 200 else "İşlem başarısız"


if __name__ == "__main__":
    serve(IletiMerkeziSimulator(), 8102)

"""JetSMS (Biotekno) as far as its documents go.

Usage: ``python -m loadtest.providers.jetsms --port 8107``

Users ``jet-1`` / ``sifre-1`` and ``jet-2`` / ``sifre-2``. A number in ``/_sim/refusing`` gets status 7 in the answer
where ``iysfilter`` is on; one that is no number gets 3. Which numbers the real service uses is not known, only that 0
means taken.
"""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

from aiohttp import web

from loadtest.providers.simulator import RefusedError, Sent, Simulator, serve, ten_digits

MAX_TEXT = 1071
LOGIN = "user jet-1, password sifre-1"


class JetSmsSimulator(Simulator):
    """A simulated JetSMS. With ``is_capital`` its answers spell their names with capitals, as some have seen."""

    def __init__(self, seed: int | None = None, *, is_capital: bool = False) -> None:
        super().__init__(seed)
        self.passwords = {"jet-1": "sifre-1", "jet-2": "sifre-2"}
        self.is_capital = is_capital

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/SendSms", self._send),
            web.post("/SMS-Web8/xmlsms", self._send_xml),
            web.post("/api/CancelSms", self._cancel),
            web.post("/api/ReportSms", self._report),
            web.post("/api/reportoriginator", self._originators),
        ]

    def refusal(self, request: web.Request, code: str) -> web.Response:
        if code == "401":
            return web.Response(status=401, text="Unauthorized")
        if request.path.endswith("xmlsms"):
            return web.Response(text=code)
        return web.json_response(self._spell({"responseCode": code, "responseMessage": "Error"}), status=400)

    async def _asked(self, request: web.Request) -> dict[str, Any]:
        try:
            asked = json.loads(await request.read())
        except ValueError:
            raise RefusedError("10") from None
        if not isinstance(asked, dict):
            raise RefusedError("10")
        if self.passwords.get(str(asked.get("user"))) != asked.get("password"):
            raise RefusedError("401")
        return asked

    async def _send(self, request: web.Request) -> web.Response:
        asked = await self._asked(request)
        if not asked.get("originator") or not asked.get("smsmessages"):
            raise RefusedError("11")
        checks_consent = asked.get("iysfilter") in (1, "1", True, "true")
        rows = []
        for message in asked["smsmessages"]:
            spelled = str(message.get("recipient") or message.get("receipent") or "")
            text = str(message.get("messagetext") or asked.get("broadcastmessage") or "")
            number = ten_digits(spelled)
            status = "0"
            if number is None or not text or len(text) > MAX_TEXT:
                status = "3"
            elif checks_consent and number in self.refusing:
                status = "7"
            message_id = str(message.get("messageid") or self.next_message_id())
            if status == "0":
                self.sent.append(
                    Sent(
                        str(asked["user"]), message_id, spelled, text, str(asked["originator"]),
                        "iys" if checks_consent else "", message_id, self.now(), message_id=self.next_message_id(),
                    )
                )  # fmt: skip
            rows.append(self._spell({"gsmNumber": spelled, "messageid": message_id, "status": status}))
        answer = {"responseCode": "00", "responseMessage": "OK", "responseGroupIdArray": rows}
        return web.json_response(self._spell(answer))

    async def _send_xml(self, request: web.Request) -> web.Response:
        """The older service: one word for all of a group; which codes it has beside 00 is not known."""
        try:
            root = ElementTree.fromstring(await request.read())
        except ElementTree.ParseError:
            raise RefusedError("10") from None
        user = root.findtext("username") or ""
        if self.passwords.get(user) != root.findtext("password"):
            raise RefusedError("401")
        shared, title = root.findtext("text"), root.findtext("outbox-name") or ""
        pairs = [
            (number.strip(), shared or message.findtext("text") or "")
            for message in [root, *root.findall("message")]
            for number in (message.findtext("gsmnos") or message.findtext("gsmno") or "").split(",")
            if number.strip()
        ]
        if not pairs or not title or any(not text or len(text) > MAX_TEXT for _, text in pairs):
            raise RefusedError("11")
        group = str(self.next_message_id())
        for number, text in pairs:
            self.sent.append(
                Sent(user, group, number, text, title, "", "", self.now(), message_id=self.next_message_id())
            )
        return web.Response(text=f"00 {group}")

    async def _cancel(self, request: web.Request) -> web.Response:
        asked = await self._asked(request)
        found = [message for message in self.sent if message.job in (asked.get("processid"), asked.get("messageid"))]
        for message in found:
            message.is_cancelled = True
        return web.json_response({"status": "0" if found else "1"})

    async def _report(self, request: web.Request) -> web.Response:
        asked = await self._asked(request)
        wanted = {str(asked.get("groupid")), *map(str, asked.get("messageIds") or ())}
        rows = [
            {"GsmNumber": message.number, "Status": "1" if self.is_mature(message) else "0", "MessageId": message.job}
            for message in self.sent
            if message.job in wanted
        ]
        return web.json_response({"ResponseCode": "00", "ResponseMessage": "OK", "MessageReportArray": rows})

    async def _originators(self, request: web.Request) -> web.Response:
        await self._asked(request)
        return web.json_response({"originators": [{"channel": "VF", "messagetitle": "ORNEK"}]})

    def _spell(self, answer: dict[str, Any]) -> dict[str, Any]:
        if not self.is_capital:
            return answer
        names = {"messageid": "MessageId"}
        return {names.get(name, name[0].upper() + name[1:]): value for name, value in answer.items()}


if __name__ == "__main__":
    serve(JetSmsSimulator(), 8107)

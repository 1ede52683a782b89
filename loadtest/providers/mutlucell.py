"""Mutlucell as its documents describe it.

Usage: ``python -m loadtest.providers.mutlucell --port 8108``

User ``mutlu`` with password ``anahtar``; sender titles ORNEK and ORNEKMARKA. Answers are always HTTP 200. The provider
is not known to check consent; numbers in ``/_sim/refusing`` become 7, rejected, in the report.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from xml.etree import ElementTree

from aiohttp import web

from loadtest.providers.simulator import RefusedError, Sent, Simulator, Window, serve, ten_digits

ISTANBUL = timezone(timedelta(hours=3))
LOGIN = "ka mutlu, pwd anahtar; title ORNEK"


class MutlucellSimulator(Simulator):
    """A simulated Mutlucell with 1000 credits to begin with."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self.passwords = {"mutlu": "anahtar"}
        self.titles = ("ORNEK", "ORNEKMARKA")
        self.credits = 1000
        self._packages = 1_200_000
        self._at_once = Window(50, 1)

    def windows(self) -> list[Window]:
        return [self._at_once]

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/smsgw-ws/sndblkex", self._send),
            web.post("/smsgw-ws/gtblkrprtex", self._report),
            web.post("/smsgw-ws/gtcrdtex", self._credits),
            web.post("/smsgw-ws/gtorgex", self._originators),
        ]

    def refusal(self, request: web.Request, code: str) -> web.Response:
        return web.Response(text=code)

    async def _asked(self, request: web.Request, name: str) -> ElementTree.Element:
        try:
            root = ElementTree.fromstring(await request.read())
        except ElementTree.ParseError:
            raise RefusedError(20) from None
        if root.tag != name:
            raise RefusedError(20)
        if self.passwords.get(root.get("ka", "")) != root.get("pwd"):
            raise RefusedError(23)
        if not self._at_once.take(root.get("ka", ""), self.now()):
            raise RefusedError(24)
        return root

    async def _send(self, request: web.Request) -> web.Response:
        root = await self._asked(request, "smspack")
        if root.get("org") not in self.titles:
            raise RefusedError(21)
        pairs = []
        for message in root.findall("mesaj"):
            text = message.findtext("metin") or ""
            numbers = [number.strip() for number in (message.findtext("nums") or "").split(",")]
            if not text or not all(numbers):
                raise RefusedError(20)
            pairs += [(number, text) for number in numbers]
        if not pairs:
            raise RefusedError(20)
        if len(pairs) > self.credits:
            raise RefusedError(22)
        start = root.get("tarih")
        due_at = datetime.strptime(start, "%Y-%m-%d %H:%M").replace(tzinfo=ISTANBUL).timestamp() if start else 0.0
        self.credits -= len(pairs)
        self._packages += 1
        ending = "\nkvkk.example/x" if root.get("addLinkToEnd") == "true" else ""
        for number, text in pairs:
            self.sent.append(
                Sent(
                    root.get("ka", ""), str(self._packages), number, text + ending, root.get("org", ""),
                    at=self.now(), due_at=due_at, message_id=self.next_message_id(),
                )
            )  # fmt: skip
        return web.Response(text=f"${self._packages}#{len(pairs)}.0")

    async def _report(self, request: web.Request) -> web.Response:
        root = await self._asked(request, "smsrapor")
        lines = [f"{message.number} {self._status(message)}" for message in self.sent if message.job == root.get("id")]
        if not lines:
            raise RefusedError(20)
        return web.Response(text="\n".join(lines) + "\n")

    def _status(self, message: Sent) -> int:
        if ten_digits(message.number) is None:
            return 13
        if not self.is_mature(message):
            return 1
        return 7 if ten_digits(message.number) in self.refusing else 3

    async def _credits(self, request: web.Request) -> web.Response:
        await self._asked(request, "smskredi")
        return web.Response(text=f"${self.credits}.0")

    async def _originators(self, request: web.Request) -> web.Response:
        await self._asked(request, "smsorig")
        return web.Response(text="\t".join(self.titles))


if __name__ == "__main__":
    serve(MutlucellSimulator(), 8108)

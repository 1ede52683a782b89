"""Turkcell Mesajüssü as third parties' code tells of it.

Usage: ``python -m loadtest.providers.turkcell --port 8110``

User ``turkcell`` with password ``sifre``; a token lapses after ten idle minutes or a day. ``etkFlag`` (by default true)
makes it append a cancel text. A number in ``/_sim/refusing`` refuses the whole request with 996.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from loadtest.providers.simulator import RefusedError, Sent, Simulator, serve, ten_digits

IDLE_S, WHOLE_S = 600, 86_400
CANCEL_TEXT = " Iptal icin IPTAL yazip 2222'ye gonderin."
LOGIN = "username turkcell, password sifre; title ORNEK"


class TurkcellSimulator(Simulator):
    """A simulated Mesajüssü."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self.passwords = {"turkcell": "sifre"}
        self.titles = ("ORNEK",)
        self.is_night = False
        self._tokens: dict[str, tuple[str, float, float]] = {}

    def routes(self) -> list[web.RouteDef]:
        root = "/api/api/integration/v2"
        return [web.post(root + "/login", self._login), web.post(root + "/sms/send/oton", self._send)]

    def refusal(self, request: web.Request, code: str) -> web.Response:
        return web.json_response({"message": f"error {code}"}, status=int(code))

    async def _asked(self, request: web.Request) -> dict[str, Any]:
        try:
            asked = json.loads(await request.read())
        except ValueError:
            raise RefusedError(400) from None
        if not isinstance(asked, dict):
            raise RefusedError(400)
        return asked

    async def _login(self, request: web.Request) -> web.Response:
        asked = await self._asked(request)
        if self.passwords.get(str(asked.get("username"))) != asked.get("password"):
            raise RefusedError(982)
        token = f"API{self.random.getrandbits(128):032x}"
        self.allow(token, str(asked["username"]))
        return web.json_response({"token": token})

    def allow(self, token: str, user: str = "turkcell") -> None:
        """What a login does."""
        self._tokens[token] = (user, self.now(), self.now())

    def _check_token(self, token: str) -> None:
        user, made_at, used_at = self._tokens.get(token, ("", 0.0, 0.0))
        if user not in self.passwords or self.now() - made_at > WHOLE_S or self.now() - used_at > IDLE_S:
            raise RefusedError(918)
        self._tokens[token] = (user, made_at, self.now())

    async def _send(self, request: web.Request) -> web.Response:
        asked = await self._asked(request)
        self._check_token(request.headers.get("token", ""))
        is_commercial = asked.get("etkFlag", True) is not False
        receivers = [str(receiver) for receiver in asked.get("receivers") or ()]
        if asked.get("sender") not in self.titles:
            raise RefusedError(971)
        if not receivers:
            raise RefusedError(932)
        if not asked.get("message") or not all(ten_digits(receiver) for receiver in receivers):
            raise RefusedError(400)
        if is_commercial and self.is_night:
            raise RefusedError(938)
        if is_commercial and any(ten_digits(receiver) in self.refusing for receiver in receivers):
            raise RefusedError(996)
        job = str(self.next_message_id())
        text = str(asked["message"]) + (CANCEL_TEXT if is_commercial else "")
        for receiver in receivers:
            self.sent.append(
                Sent(
                    "turkcell", job, receiver, text, str(asked["sender"]), "etk" if is_commercial else "",
                    at=self.now(), message_id=self.next_message_id(),
                )
            )  # fmt: skip
        return web.json_response({"messageId": job})


if __name__ == "__main__":
    serve(TurkcellSimulator(), 8110)

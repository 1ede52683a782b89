"""One call on its way to a handler, and the answer that comes back."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from loadtest.registry.book.world import Right
from loadtest.registry.door.tokens import Session
from loadtest.registry.registry import Registry
from loadtest.registry.rules.codes import CODES, RegistryError, fail
from loadtest.registry.rules.words import MAX_PAGE


class Answer(NamedTuple):
    """``body``: None for none, bytes as they are, anything else as JSON."""

    status: int
    body: object = None
    content_type: str = "application/json"


NO_CONTENT = Answer(204)
MAX_DIGITS = 9
"""Of a number in a path or query: a longer one is none of ours."""


@dataclass
class Call:
    """What a handler gets: who asks, about which provider and brand, with what. Rights to the codes are checked."""

    registry: Registry
    session: Session
    source: str
    iys_code: int
    brand: int
    parts: Mapping[str, str]
    query: Mapping[str, str]
    content: bytes
    path: str
    is_v2: bool
    now_ms: int

    def json(self) -> object:
        """The body. Raises H014."""
        return parse_json(self.content)

    def json_object(self, code: str) -> dict[str, Any]:
        """The body, which must be an object. Raises H014, or ``code`` for another kind of thing."""
        given = self.json()
        if not isinstance(given, dict):
            raise fail(code)
        return given

    def recipients(self, given: dict[str, Any], most: int, rule: str = "") -> list[Any]:
        """The list of recipients in ``given``. Raises H168, H478, H164, H127; more than ``most`` breaks ``rule``."""
        if "recipients" not in given:
            raise fail("H168", ["recipients"])
        recipients = given["recipients"]
        if not isinstance(recipients, list):
            raise fail("H478", ["recipients"])
        if not recipients:
            raise fail("H164", ["recipients"])
        if len(recipients) > most:
            if rule:
                self.registry.breach(rule, str(len(recipients)))
            raise fail("H127", ["recipients"])
        return recipients

    def right(self) -> Right | None:
        """The caller's right to the brand; None for the brand's own provider, who may do everything."""
        if self.session.user.role != "partner":
            return None
        return next((each for each in self.session.user.rights if each.brand == self.brand), None)

    def need_channel(self, channel: str) -> None:
        """Raises H355 if a partner has no right to the channel."""
        right = self.right()
        if right is not None and channel not in right.channels:
            raise fail("H355", ["type"], channel)

    def limit(self, code: str | None) -> None:
        """Raises the code of a limit that this call is beyond."""
        if code is not None:
            raise RegistryError(CODES[code].status, [{"code": code, "message": CODES[code].message}])

    def page(self) -> tuple[int, int]:
        """Offset and limit of a list. Raises H182, H183, H186, H187."""
        offset = self._number("offset", 0, "H182")
        limit = self._number("limit", MAX_PAGE, "H183")
        if limit == 0:
            raise fail("H187", ["limit"], limit)
        if limit > MAX_PAGE:
            self.registry.breach("page", self.path)
            raise fail("H186", ["limit"], limit)
        return offset, limit

    def flag(self, name: str, code: str) -> bool:
        text = self.query.get(name, "false").lower()
        if text not in {"true", "false", "1", "0"}:
            raise fail(code, [name], text)
        return text in {"true", "1"}

    def _number(self, name: str, default: int, code: str) -> int:
        text = self.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS):
            raise fail(code, [name], text)
        return int(text)


def parse_json(content: bytes) -> object:
    """Raises H014. The byte order mark that some platforms write before UTF-8 is passed over."""
    try:
        return orjson.loads(content.removeprefix(codecs.BOM_UTF8))
    except orjson.JSONDecodeError as error:
        raise fail("H014") from error

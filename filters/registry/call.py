"""One call of the registry's API as a value: what to send, how to read the answer, which limit it counts under."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import orjson

from filters.registry.error_codes import advise
from filters.registry.failures import CallFailure, Limited, Refused, ServerFault, Unreadable
from filters.registry.reading import UnreadableError, read_errors
from filters.registry.values import RegistryBrand

Result = TypeVar("Result")


class Quota(StrEnum):
    """What a request counts under, beside the ten a second that count for all (İYS API reference, 1.2)."""

    NONE = "none"
    TOKEN = "token"  # noqa: S105 - a word, not a secret
    STATUS = "status"
    HISTORY = "history"


class Priority(IntEnum):
    """Who goes first when requests wait for their turn; smaller is sooner."""

    LOGIN = 0
    REFUSAL = 1
    """Reports of refusals, which have a legal deadline."""
    QUERY = 2
    """A question about somebody who is being written to now."""
    ROUTINE = 3
    """Changes, polls, reconciliation, commands."""
    BULK = 4
    """Verification of whole lists, in what is left of the rate."""


MAX_ANSWER_BYTES = 8 << 20
"""A page of 1000 movements has about 400 kB; whatever is larger than this is no answer of the registry's."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Result]):
    """A request and its reader.

    ``path`` is quoted and starts with a slash; ``query`` holds no reserved characters unquoted. ``read`` takes status
    (2xx, or 404 if ``reads_404``) and body, and raises ``UnreadableError``. ``is_repeatable``: sending it twice does
    what sending it once does, so an unknown outcome may be sent again. ``answer_within_s``: where the client's own
    patience is too long. ``name`` is for metrics and logs.
    """

    name: str
    method: str
    path: str
    read: Callable[[int, bytes], Result]
    query: str = ""
    body: bytes | None = field(default=None, repr=False)
    quota: Quota = Quota.NONE
    priority: Priority = Priority.ROUTINE
    is_repeatable: bool = True
    reads_404: bool = False
    answer_within_s: float | None = None
    max_answer_bytes: int = MAX_ANSWER_BYTES

    @property
    def target(self) -> str:
        """Path with query."""
        return f"{self.path}?{self.query}" if self.query else self.path


def brand_path(brand: RegistryBrand, rest: str, version: str = "") -> str:
    """The path of a brand's call. Raises ``ValueError`` on numbers that cannot be codes."""
    if brand.iys_code <= 0 or brand.brand_code <= 0:
        raise ValueError("registry brand: expected positive codes")
    return f"{version}/sps/{brand.iys_code}/brands/{brand.brand_code}/{rest}"


def query_of(**values: str | int | bool | None) -> str:
    """A query string of the values given; booleans as ``true`` and ``false``, None left out."""
    return urlencode(
        [
            (name, str(value).lower() if isinstance(value, bool) else value)
            for name, value in values.items()
            if value is not None
        ],
        quote_via=quote,
        safe="",
    )


def segment(text: str) -> str:
    """``text`` as one segment of a path. Raises ``ValueError`` on what could be read as several, or as none."""
    if not text or len(text) > 255 or text in (".", ".."):
        raise ValueError("path segment: expected 1 to 255 characters")
    return quote(text, safe="")


def json_body(value: Mapping[str, Any] | list[Any]) -> bytes:
    """``value`` as JSON in UTF-8. Raises ``ValueError`` on text that is none (lone surrogates)."""
    try:
        return orjson.dumps(value)
    except TypeError:
        raise ValueError("request: expected text that can be written in UTF-8") from None


def interpret(call: Call[Result], status: int, body: bytes) -> Result | CallFailure:
    """What an answer to ``call`` says. Never raises, whatever the bytes."""
    may_be_done = not call.is_repeatable
    if 200 <= status < 300 or (status == 404 and call.reads_404):
        try:
            return call.read(status, body)
        except UnreadableError as error:
            if status == 404 and (errors := read_errors(body)):
                return Refused(status, errors)
            return Unreadable(status, str(error), may_be_done)
    errors = read_errors(body)
    if status == 429:
        code = errors[0].code if errors else ""
        return Limited(float(advise(status, (code,) if code else ())[1]), code)
    if status >= 500:
        return ServerFault(status, errors, may_be_done)
    if 300 <= status < 500:
        return Refused(status, errors)
    return Unreadable(status, "status: not one of HTTP's final ones", may_be_done)


def read_nothing(status: int, body: bytes) -> None:
    """For calls whose success says nothing more."""
    return

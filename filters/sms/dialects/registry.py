"""The dialects there are, by the name that ``[[upstreams.sms]] dialect`` gives them."""

from __future__ import annotations

from collections.abc import Callable

from filters.sms.dialect import Dialect
from filters.sms.dialects.plain import PlainDialect

DIALECTS: dict[str, Callable[[], Dialect]] = {
    "plain": PlainDialect,
}
"""One line each; the configuration accepts exactly these names."""


def make_dialect(name: str) -> Dialect:
    """The codec called ``name``. Raises ``KeyError`` for a name that is not in ``DIALECTS``."""
    return DIALECTS[name]()

"""The dialects there are, by the name that ``[[upstreams.sms]] dialect`` gives them."""

from __future__ import annotations

from collections.abc import Callable

from filters.sms.dialect import Dialect
from filters.sms.dialects.iletimerkezi import IletiMerkeziDialect
from filters.sms.dialects.netgsm import NetgsmDialect
from filters.sms.dialects.netgsm_legacy import NetgsmLegacyDialect
from filters.sms.dialects.plain import PlainDialect
from filters.sms.dialects.verimor import VerimorDialect

DIALECTS: dict[str, Callable[[], Dialect]] = {
    "iletimerkezi": IletiMerkeziDialect,
    "netgsm": NetgsmDialect,
    "netgsm_legacy": NetgsmLegacyDialect,
    "plain": PlainDialect,
    "verimor": VerimorDialect,
}
"""One line each; the configuration accepts exactly these names."""


def make_dialect(name: str) -> Dialect:
    """The codec called ``name``. Raises ``KeyError`` for a name that is not in ``DIALECTS``."""
    return DIALECTS[name]()

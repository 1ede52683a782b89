"""The dialects there are, by the name that ``[[upstreams.sms]] dialect`` gives them."""

from __future__ import annotations

from collections.abc import Callable

from filters.sms.dialect import Dialect, TwinnedDialect
from filters.sms.dialects.iletimerkezi import IletiMerkeziDialect
from filters.sms.dialects.infobip import InfobipDialect
from filters.sms.dialects.jetsms import JetSmsDialect
from filters.sms.dialects.mutlucell import MutlucellDialect
from filters.sms.dialects.netgsm import NetgsmDialect
from filters.sms.dialects.netgsm_legacy import NetgsmLegacyDialect
from filters.sms.dialects.plain import PlainDialect
from filters.sms.dialects.turkcell import TurkcellDialect
from filters.sms.dialects.twilio import TwilioDialect
from filters.sms.dialects.vatansms import VatanSmsDialect
from filters.sms.dialects.verimor import VerimorDialect
from filters.sms.dialects.vonage_messages import VonageMessagesDialect
from filters.sms.dialects.vonage_sms import VonageSmsDialect

DIALECTS: dict[str, Callable[[], Dialect]] = {
    "iletimerkezi": IletiMerkeziDialect,
    "infobip": InfobipDialect,
    "jetsms": JetSmsDialect,
    "mutlucell": MutlucellDialect,
    "netgsm": NetgsmDialect,
    "netgsm_legacy": NetgsmLegacyDialect,
    "plain": PlainDialect,
    "turkcell": TurkcellDialect,
    "twilio": TwilioDialect,
    "vatansms": VatanSmsDialect,
    "verimor": VerimorDialect,
    "vonage_messages": VonageMessagesDialect,
    "vonage_sms": VonageSmsDialect,
}
"""One line each; the configuration accepts exactly these names."""


def make_dialect(name: str) -> Dialect:
    """The codec called ``name``. Raises ``KeyError`` for a name that is not in ``DIALECTS``."""
    return DIALECTS[name]()


def make_family(name: str) -> tuple[Dialect, ...]:
    """The codec called ``name`` and its twins, where the provider has the same calls in other syntaxes; itself last.
    Raises ``KeyError`` as ``make_dialect``."""
    dialect = make_dialect(name)
    return (*dialect.twins, dialect) if isinstance(dialect, TwinnedDialect) else (dialect,)

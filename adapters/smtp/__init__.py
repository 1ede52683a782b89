"""The upstream side of e-mail: hands messages to the SMTP or LMTP relay and says truthfully what became of them.

Five nouns. ``settings`` says where the relay is and how patient we are. ``dialogue`` is the client side of one
connection without any I/O: reply bytes in, events out. ``connection`` joins one dialogue to one socket and keeps its
deadlines. ``health`` remembers which host may be tried when. ``pool`` (``SmtpUpstream``) lends connections to
messages and answers each exactly once; it is the only class the program needs.
"""

from __future__ import annotations

from adapters.smtp.outcomes import TransactionResult
from adapters.smtp.pool import HostStatus, SmtpUpstream, UpstreamObserver, UpstreamStatus
from adapters.smtp.settings import Timeouts, TlsMode, UpstreamSettings, UpstreamSettingsError

__all__ = [
    "HostStatus",
    "SmtpUpstream",
    "Timeouts",
    "TlsMode",
    "TransactionResult",
    "UpstreamObserver",
    "UpstreamSettings",
    "UpstreamSettingsError",
    "UpstreamStatus",
]

"""The upstream side of SMPP: hands messages to the SMSC and says truthfully what became of them.

``settings`` says where the SMSC is and how patient we are; ``link`` joins one pure session
(``filters.smpp.client_session``) to one socket; ``upstream`` (``SmscUpstream``) keeps the links bound, lends their
windows to messages and answers each message exactly once. ``sender`` puts it into the shape of all SMS upstreams.
"""

from __future__ import annotations

from adapters.smpp.life import SmscLife
from adapters.smpp.sender import SmscSender
from adapters.smpp.settings import SmscSettings, SmscSettingsError
from adapters.smpp.upstream import LinkEvent, SmscStatus, SmscUpstream

__all__ = ["LinkEvent", "SmscLife", "SmscSender", "SmscSettings", "SmscSettingsError", "SmscStatus", "SmscUpstream"]

"""SMPP listeners: clients (ESMEs) bind to us as if we were their provider's SMSC.

``listener`` has the sessions of one socket and one timer for all of them; ``session`` joins one pure session
(``filters.smpp.server_session``) to one connection; ``admission`` says who may bind; ``long_messages`` collects the
parts of long texts; ``receipts`` remembers whose message an SMSC's id is; ``deliveries`` carries receipts and people's
messages from the SMSC to clients; ``handler`` runs the SMS pipeline for them. ``ports`` says what is asked of the
outside.
"""

from __future__ import annotations

from gateway.smpp.deliveries import Deliveries
from gateway.smpp.handler import PipelineHandler
from gateway.smpp.listener import SmppListener
from gateway.smpp.receipts import ReceiptBook
from gateway.smpp.settings import SmppListenerSettings

__all__ = ["Deliveries", "PipelineHandler", "ReceiptBook", "SmppListener", "SmppListenerSettings"]

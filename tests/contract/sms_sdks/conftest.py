"""Providers' own client libraries, unmodified, told another address: the simulator itself, or the codec in front."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from filters.sms.dialects.infobip import InfobipDialect
from filters.sms.dialects.twilio import TwilioDialect
from filters.sms.dialects.vonage_messages import VonageMessagesDialect
from filters.sms.dialects.vonage_sms import VonageSmsDialect
from loadtest.providers.infobip import InfobipSimulator
from loadtest.providers.twilio import TwilioSimulator
from loadtest.providers.vonage import VonageSimulator
from tests.support.certificates import server_context
from tests.support.codec_bridge import CodecBridge
from tests.support.sms_provider import RunningProvider


@pytest.fixture
async def twilio_provider() -> AsyncIterator[RunningProvider]:
    async with RunningProvider(TwilioSimulator(1)) as running:
        yield running


@pytest.fixture
async def twilio_gate(twilio_provider: RunningProvider) -> AsyncIterator[CodecBridge]:
    async with CodecBridge([TwilioDialect()], twilio_provider.base_url) as bridge:
        yield bridge


@pytest.fixture
async def infobip_provider() -> AsyncIterator[RunningProvider]:
    async with RunningProvider(InfobipSimulator(1)) as running:
        yield running


@pytest.fixture
async def infobip_gate(infobip_provider: RunningProvider) -> AsyncIterator[CodecBridge]:
    async with CodecBridge([InfobipDialect()], infobip_provider.base_url) as bridge:
        yield bridge


@pytest.fixture
async def vonage_provider() -> AsyncIterator[RunningProvider]:
    async with RunningProvider(VonageSimulator(1)) as running:
        yield running


@pytest.fixture
async def vonage_gate(
    vonage_provider: RunningProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[CodecBridge]:
    """The library insists on TLS; it trusts the test's certificate by the variable its HTTP library reads."""
    context: Any = server_context(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
    dialects = [VonageSmsDialect(), VonageMessagesDialect()]
    async with CodecBridge(dialects, vonage_provider.base_url, context) as bridge:
        yield bridge

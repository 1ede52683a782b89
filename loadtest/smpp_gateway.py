"""A whole gateway between an SMPP client and an SMSC, as real processes on loopback, for ``bench_smpp``."""

from __future__ import annotations

import time
from pathlib import Path

from filters.consent import Change, Consent, pack_change
from filters.consent_key import KEY_BYTES
from filters.vocabulary import Channel, RecipientType, Status
from gateway import app
from loadtest.gateway_configuration import SMS_OPT_OUT, render_configuration
from loadtest.whole_gateway import BRAND, Serving, free_ports

_CONSENT_AT = 1_711_000_000
_WAY = """\
[[upstreams.smpp]]
name = "smsc"
address = "127.0.0.1:{smsc}"
tls = "none"
system_id = "gate"
password_file = "smsc.txt"
window = {window}

[[listeners.smpp]]
address = "127.0.0.1:{smpp}"
upstream = "smsc"
"""


class SmppGateway(Serving):
    """One worker before the SMSC on ``smsc_port``. The client binds as ``shop``, known by its network."""

    def __init__(self, directory: Path, smsc_port: int, window: int) -> None:
        self.port, admin_port = free_ports(2)
        super().__init__(directory / "izinkapi.toml", admin_port, directory / "gateway.log")
        way = _WAY.format(smsc=smsc_port, smpp=self.port, window=window)
        text = render_configuration(BRAND, admin_port, brand_settings=SMS_OPT_OUT)
        self.config.write_text(text + way, encoding="utf-8")
        secret = directory / "smsc.txt"
        secret.write_text("secret\n", encoding="ascii")
        secret.chmod(0o600)


async def seed_numbers(config: Path, numbers: list[str]) -> None:
    """All ``numbers`` (E.164) have consented to SMS."""
    configuration = app.load(config)
    keys = app.consent_keys(configuration)
    store = app.open_store(configuration)
    consent = Consent(Status.APPROVED, _CONSENT_AT, "HS_WEB")
    change = pack_change(Change(bytes(KEY_BYTES), Channel.SMS, RecipientType.INDIVIDUAL, consent))
    try:
        await store.start()
        await store.initialise()
        await store.load(BRAND, sorted(keys.derive(BRAND, number.encode()) + change for number in numbers))
        await store.apply(BRAND, [], watermark_at=int(time.time()))
    finally:
        await store.close()

"""A whole gateway between an SMPP client and an SMSC, as real processes on loopback, for ``bench_smpp``."""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from filters.consent import Change, Consent, pack_change
from filters.consent_key import KEY_BYTES
from filters.vocabulary import Channel, RecipientType, Status
from gateway import app
from loadtest.whole_gateway import BRAND, Program, free_ports

_CONSENT_AT = 1_711_000_000
_READY_WITHIN_S = 30.0
_CONFIGURATION = """\
[gateway]
hostname = "kapi.example"
workers = 1

[log]
format = "json"

[store]
url = "lmdb:var/store"

[[brands]]
code = {brand}
iys_code = {brand}
name = "Örnek Mağaza"
title = "Örnek Mağaza A.Ş."
mersis = "0123456789012345"
contact = "iletisim@shop.example"
opt_out_url = "https://izin.example"
sms_opt_out = {{ keyword = "RET ORNEK", number = "3338" }}

[[clients]]
name = "shop"
brands = [{brand}]
networks = ["127.0.0.1/32"]

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

[admin]
address = "127.0.0.1:{admin}"
"""


class SmppGateway(Program):
    """One worker before the SMSC on ``smsc_port``. The client binds as ``shop``, known by its network."""

    def __init__(self, directory: Path, smsc_port: int, window: int) -> None:
        self.port, self._admin_port = free_ports(2)
        self.config = directory / "izinkapi.toml"
        self.config.write_text(
            _CONFIGURATION.format(brand=BRAND, smsc=smsc_port, smpp=self.port, admin=self._admin_port, window=window),
            encoding="utf-8",
        )
        secret = directory / "smsc.txt"
        secret.write_text("secret\n", encoding="ascii")
        secret.chmod(0o600)
        command = [sys.executable, "-m", "gateway.cli", "serve", "-c", str(self.config)]
        super().__init__(command, directory / "gateway.log")

    def wait_until_ready(self) -> None:
        """Until ``/ready`` says that commercial messages would be decided."""
        give_up_at = time.monotonic() + _READY_WITHIN_S
        while not self._is_ready():
            if time.monotonic() > give_up_at or not self.is_running:
                raise RuntimeError(f"the gateway is not ready: see {self.log}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._admin_port}/status", timeout=5) as answer:
                status = json.load(answer)
        except (OSError, urllib.error.URLError):
            return False
        workers = status.get("workers", [])
        return bool(workers) and all(worker.get("state") == "ready" for worker in workers)


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

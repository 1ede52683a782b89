"""A whole gateway between SMS clients and a provider on loopback, for ``bench_sms``: one worker, everything on."""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from loadtest.whole_gateway import BRAND, Program, free_ports

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

[[upstreams.sms]]
name = "netgsm"
dialect = "netgsm"
base_url = "http://127.0.0.1:{provider}"
connections = {connections}

[[upstreams.sms]]
name = "infobip"
dialect = "infobip"
base_url = "http://127.0.0.1:{provider}"
connections = {connections}

[[listeners.http]]
address = "127.0.0.1:{port}"
sms = ["netgsm", "infobip"]

[admin]
address = "127.0.0.1:{admin}"
"""


class SmsGateway(Program):
    """Before the provider on ``provider_port``. Clients are known by their network."""

    def __init__(self, directory: Path, provider_port: int, connections: int) -> None:
        self.port, self._admin_port = free_ports(2)
        self.config = directory / "izinkapi.toml"
        self.config.write_text(
            _CONFIGURATION.format(
                brand=BRAND,
                provider=provider_port,
                port=self.port,
                admin=self._admin_port,
                connections=connections,
            ),
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "gateway.cli", "serve", "-c", str(self.config)]
        super().__init__(command, directory / "gateway.log")

    def wait_until_ready(self) -> None:
        """Until ``/status`` says that each worker would decide commercial messages."""
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

"""A whole gateway between SMS clients and a provider on loopback, for ``bench_sms``: one worker, everything on."""

from __future__ import annotations

from pathlib import Path

from loadtest.gateway_configuration import SMS_OPT_OUT, render_configuration
from loadtest.whole_gateway import BRAND, Serving, free_ports

_WAYS = """\
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
"""


class SmsGateway(Serving):
    """Before the provider on ``provider_port``. Clients are known by their network."""

    def __init__(self, directory: Path, provider_port: int, connections: int) -> None:
        self.port, admin_port = free_ports(2)
        super().__init__(directory / "izinkapi.toml", admin_port, directory / "gateway.log")
        ways = _WAYS.format(provider=provider_port, port=self.port, connections=connections)
        text = render_configuration(BRAND, admin_port, brand_settings=SMS_OPT_OUT)
        self.config.write_text(text + ways, encoding="utf-8")

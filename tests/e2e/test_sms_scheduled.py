"""A message scheduled at the provider is called off for who refuses, also when the gateway is restarted in between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from loadtest.providers.netgsm import ISTANBUL, NetgsmSimulator
from loadtest.providers.simulator import Fault
from tests.support.gateway_process import GatewayProcess, free_ports, wait_until
from tests.support.http_thread import HttpThread

SECRET = "gizli-yolun-sonu-netgsm-123456"
AUTH = ("8500000001", "sifre-1")
PEOPLE = ("5350000001", "5350000002")


def test_a_restart_forgets_neither_who_refused_nor_who_may_yet(
    make_gateway: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    """One refuses while the provider is down, the other after the restart, at the registry: both are called off."""
    simulator = NetgsmSimulator(seed=1)
    server = HttpThread(simulator.app())
    (port,) = free_ports(1)
    secret_file = tmp_path / "inbound"
    secret_file.write_text(SECRET + "\n", encoding="utf-8")
    secret_file.chmod(0o600)

    def change(settings: dict[str, Any]) -> None:
        settings["brands"][0]["sms_opt_out"] = {"keyword": "RET ORNEK", "number": "3338"}
        settings["upstreams"]["sms"] = [
            {
                "name": "netgsm",
                "dialect": "netgsm",
                "base_url": server.url,
                "inbound_secret_file": str(secret_file),
            }
        ]
        settings["listeners"]["http"].append(
            {"address": f"127.0.0.1:{port}", "sms": ["netgsm"], "opt_out_pages": False}
        )

    rows = "".join(f"+90{number},MESAJ,BIREYSEL,ONAY,HS_WEB,2025-03-04 10:15:00\r\n" for number in PEOPLE)
    head = "recipient,type,recipientType,status,source,consentDate\r\n"
    gateway = make_gateway(change=change, consents=head + rows)
    url = f"http://127.0.0.1:{port}"
    try:
        start = (datetime.now(ISTANBUL) + timedelta(hours=2)).strftime("%d%m%Y%H%M")
        for number in PEOPLE:
            asked = {
                "msgheader": "ORNEK",
                "startdate": start,
                "iysfilter": "11",
                "messages": [{"msg": "Bahar indirimi", "no": number}],
            }
            answer = requests.post(f"{url}/sms/rest/v2/send", json=asked, auth=AUTH, timeout=20)
            assert answer.json()["code"] == "00", answer.text
        simulator.fault = Fault("down")
        told = {"id": "mo-1", "from": f"90{PEOPLE[0]}", "to": "3338", "text": "RET ORNEK"}
        assert requests.post(f"{url}/sms/inbound/{SECRET}", json=told, timeout=10).status_code == 200
        wait_until(lambda: "scheduled.tried" in gateway.log.read_text("utf-8"), "the provider was asked in vain")
        assert gateway.terminate() == 0
        assert not any(message.is_cancelled for message in simulator.sent)
        simulator.fault = Fault()
        gateway.start(consents=None)
        wait_until(lambda: cancelled(simulator) == {PEOPLE[0]}, "who refused before the restart is called off")
        refused = datetime.now(ISTANBUL).strftime("%Y-%m-%d %H:%M:%S")
        gateway.load_consents(f"{head}+90{PEOPLE[1]},MESAJ,BIREYSEL,RET,HS_WEB,{refused}\r\n")
        wait_until(lambda: cancelled(simulator) == set(PEOPLE), "who refuses after it is called off too")
        # The log tells of it after the provider's answer, a moment later.
        wait_until(lambda: gateway.log.read_text("utf-8").count('"scheduled.cancelled"') == 2, "the log tells of both")
    finally:
        server.close()


def cancelled(simulator: NetgsmSimulator) -> set[str]:
    return {message.number for message in simulator.sent if message.is_cancelled}

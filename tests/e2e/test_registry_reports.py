"""The whole gateway and a simulated registry: what is handed over here is registered there, and only then in force."""

from __future__ import annotations

import json
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from filters.registry.words import render_time
from loadtest.registry.book.world import DEFAULT_PASSWORD, DEFAULT_USERNAME
from tests.support.certificates import client_context
from tests.support.gateway_process import BRAND, NEWS, GatewayProcess, wait_until
from tests.support.simulated_registry import SimulatedRegistry

PERSON = "yeni@customer.example"


@pytest.fixture
def registry() -> Iterator[SimulatedRegistry]:
    """In real time."""
    made = SimulatedRegistry()
    made.start()
    yield made
    made.stop()


def lines_of(registry: SimulatedRegistry) -> str:
    with urllib.request.urlopen(f"{registry.url}/_sim/consents?brandCode={BRAND}", timeout=10) as answer:
        content: bytes = answer.read()
    return content.decode()


def post(gateway: GatewayProcess, rows: list[dict[str, Any]]) -> Any:
    context: ssl.SSLContext = client_context(gateway.directory)
    request = urllib.request.Request(
        f"https://localhost:{gateway.ports['pages']}/v1/consents?brand={BRAND}",
        json.dumps(rows).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        return json.loads(answer.read())


def test_a_consent_handed_over_is_registered_and_then_obeyed_and_a_refusal_at_once(
    registry: SimulatedRegistry, make_gateway: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    """From ``POST /v1/consents`` through outbox and sync process into the registry's book."""
    (tmp_path / "password").write_text(DEFAULT_PASSWORD + "\n")
    (tmp_path / "password").chmod(0o600)

    def change(settings: dict[str, Any]) -> None:
        settings["listeners"]["http"][0]["consents_api"] = True
        settings["registry"] = {
            "base_url": registry.url,
            "username": DEFAULT_USERNAME,
            "password_file": str(tmp_path / "password"),
        }

    gateway = make_gateway(change=change)
    wait_until(lambda: gateway.status()["registry"]["state"] == "active", "the sync holds the lease")
    assert gateway.send(NEWS, [PERSON]).code == 550, "nobody has consented yet"
    row = {
        "recipient": PERSON,
        "type": "EPOSTA",
        "recipientType": "BIREYSEL",
        "status": "ONAY",
        "source": "HS_WEB",
        "consentDate": render_time(int(time.time()) - 60),
    }
    assert post(gateway, [row])["accepted"] == 1
    wait_until(lambda: f"{PERSON},EPOSTA,BIREYSEL,ONAY" in lines_of(registry), "the registry has the consent")
    wait_until(lambda: gateway.send(NEWS, [PERSON]).code == 250, "and it is obeyed")
    refusal = row | {"status": "RET", "consentDate": render_time(int(time.time()) - 1)}
    assert post(gateway, [refusal])["accepted"] == 1
    assert gateway.send(NEWS, [PERSON]).code == 550, "a refusal is in force when it is taken"
    wait_until(lambda: f"{PERSON},EPOSTA,BIREYSEL,RET" in lines_of(registry), "the registry has the refusal")
    wait_until(
        lambda: f'izinkapi_reports_total{{brand="{BRAND}",fate="stored"}} 2.0' in gateway.metrics(),
        "and both are counted",
    )
    assert gateway.terminate() == 0
    assert PERSON not in gateway.log.read_text("utf-8")
    assert registry.breaches() == []

"""The whole gateway beside a simulated registry: what a citizen does there is obeyed here, whatever dies in between."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.registry.book.world import DEFAULT_PASSWORD, DEFAULT_USERNAME
from tests.support.gateway_process import BRAND, NEWS, GatewayProcess, free_ports, wait_until
from tests.support.simulated_registry import SimulatedRegistry

PERSON = "vatandas@customer.example"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SimulatedRegistry]:
    """In real time; it trusts ``authority.pem``, which the test puts there."""
    made = SimulatedRegistry("--push-trusts", str(tmp_path / "authority.pem"))
    made.start()
    yield made
    made.stop()


def move(registry: SimulatedRegistry, status: str, person: str = PERSON) -> None:
    registry.control(
        "POST",
        "movements",
        [{"brandCode": BRAND, "recipient": person, "type": "EPOSTA", "status": status, "source": "IYS_WEB"}],
    )


def told(gateway: GatewayProcess) -> dict[str, Any]:
    found: dict[str, Any] = gateway.status()["registry"]
    return found


def test_a_refusal_at_the_registry_is_obeyed_by_the_next_mail(
    registry: SimulatedRegistry, make_gateway: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    """By push; the sync killed with -9 is replaced, reloaded and ended in order; all of it shows in status and metrics.

    The clocks of both run as they are: what the pull brings is an hour old and not part of this.
    """
    (tmp_path / "password").write_text(DEFAULT_PASSWORD + "\n")
    (tmp_path / "password").chmod(0o600)
    (port,) = free_ports(1)

    def change(settings: dict[str, Any]) -> None:
        (pages,) = settings["listeners"]["http"]
        certificate = {name: pages[name] for name in ("certificate_file", "private_key_file")}
        (tmp_path / "authority.pem").write_bytes(Path(pages["certificate_file"]).read_bytes())
        settings["registry"] = {
            "base_url": registry.url,
            "username": DEFAULT_USERNAME,
            "password_file": str(tmp_path / "password"),
            "pull_interval": "1s",
            "push": {
                "address": f"127.0.0.1:{port}",
                "public_url": f"https://localhost:{port}/iys",
                "username": "iys",
                "password_file": str(tmp_path / "password"),
                "tls": "tls",
                **certificate,
            },
        }
        settings["brands"].append(settings["brands"][0] | {"code": 600999, "name": "Başkasının"})

    gateway = make_gateway(change=change)
    wait_until(lambda: told(gateway)["state"] == "active", "the sync holds the lease")
    wait_until(
        lambda: told(gateway)["tasks"]["push_registration"][str(BRAND)]["state"] == "registered",
        "the registry has taken our receiver",
    )
    move(registry, "ONAY")
    wait_until(lambda: gateway.send(NEWS, [PERSON]).code == 250, "the consent is obeyed")
    move(registry, "RET")
    began_at = time.monotonic()
    wait_until(lambda: gateway.send(NEWS, [PERSON]).code == 550, "the refusal is obeyed")
    assert time.monotonic() - began_at < 2.0

    wait_until(lambda: told(gateway)["tasks"]["pull"][str(BRAND)]["IYS"]["succeeded_at"] > 0, "the feed was read")
    rights = told(gateway)["tasks"]["rights"]
    assert rights[str(BRAND)]["state"] == "owned"
    assert rights["600999"]["state"] == "not owned"
    metrics = gateway.metrics()
    for line in (
        "izinkapi_sync_active 1.0",
        'izinkapi_sync_brand_not_owned{brand="600999"} 1.0',
        f'izinkapi_sync_gap{{brand="{BRAND}"}} 0.0',
    ):
        assert line in metrics
    assert 'izinkapi_registry_push_total{result="taken"} 2.0' in metrics

    first = told(gateway)["pid"]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: told(gateway)["pid"] not in (None, first), "another sync process was started")
    wait_until(lambda: told(gateway)["state"] == "active", "and holds the lease at once")
    second = told(gateway)["pid"]
    gateway.settings["registry"]["pull_interval"] = "2s"
    gateway.reload()
    wait_until(lambda: told(gateway)["pid"] not in (None, second), "it follows a reload")
    wait_until(lambda: told(gateway)["state"] == "active", "and goes on")
    assert gateway.terminate() == 0
    log = gateway.log.read_text("utf-8")
    assert PERSON not in log
    assert DEFAULT_PASSWORD not in log
    assert registry.breaches() == []


def test_a_stale_index_asks_before_it_holds(
    registry: SimulatedRegistry, make_gateway: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    """The feed fails, and the index is thirty hours old: who still consents there gets mail, who does not gets none.

    The first mail of a worker is held, as its addresses were not seen before; a client tries again.
    """
    (tmp_path / "password").write_text(DEFAULT_PASSWORD + "\n")
    (tmp_path / "password").chmod(0o600)
    stands, gone = "duran@customer.example", "giden@customer.example"
    for person in (stands, gone):
        move(registry, "ONAY", person)
    move(registry, "RET", gone)
    registry.fault("maintenance", path="changes")
    path = tmp_path / "export.csv"
    rows = [f"{person},EPOSTA,BIREYSEL,ONAY,HS_WEB,2026-01-05 10:00:00" for person in (stands, gone)]
    path.write_text("\n".join(("recipient,type,recipientType,status,source,consentDate", *rows, "")))
    synced_at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - 27 * 3600))  # thirty hours ago, in Turkey

    def change(settings: dict[str, Any]) -> None:
        settings["gateway"]["workers"] = 1
        settings["registry"] = {
            "base_url": registry.url,
            "username": DEFAULT_USERNAME,
            "password_file": str(tmp_path / "password"),
        }

    gateway = make_gateway(change=change, consents=None, waits=False)
    done = gateway.izinkapi("consents", "import", "--brand", str(BRAND), "--synced-at", synced_at, str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until(lambda: gateway.status()["brands"].get(str(BRAND), {}).get("state") == "stale", "the index is stale")
    wait_until(lambda: gateway.send(NEWS, [stands]).code == 250, "the registry confirms")
    assert gateway.send(NEWS, [gone]).code == 550
    assert gateway.metric("izinkapi_registry_requery_total", result="confirmed") >= 1
    assert gateway.metric("izinkapi_registry_requery_total", result="withdrawn") == 1
    assert gateway.status()["brands"][str(BRAND)]["state"] == "stale"
    assert {message.recipients for message in gateway.sink.messages()} == {(stands,)}

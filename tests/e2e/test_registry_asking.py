"""The whole gateway asks the registry about those being written to: about strangers, in a stale index, for a dealer."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.registry.book.world import DEFAULT_PASSWORD, DEFAULT_USERNAME
from tests.support.gateway_process import BRAND, NEWS, GatewayProcess, wait_until
from tests.support.registry_world import item, retailer
from tests.support.simulated_registry import SimulatedRegistry


@pytest.fixture
def registry() -> Iterator[SimulatedRegistry]:
    """In real time."""
    made = SimulatedRegistry()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def settings(registry: SimulatedRegistry, tmp_path: Path) -> dict[str, Any]:
    """A section [registry] that reaches it."""
    password = tmp_path / "password"
    password.write_text(DEFAULT_PASSWORD + "\n")
    password.chmod(0o600)
    return {"base_url": registry.url, "username": DEFAULT_USERNAME, "password_file": str(password)}


class Provider:
    """The brand at its other desk: somebody who changes things at the registry without this installation."""

    def __init__(self, registry: SimulatedRegistry) -> None:
        self._url = registry.url
        self._token = ""
        login = {"grant_type": "password", "username": DEFAULT_USERNAME, "password": DEFAULT_PASSWORD}
        self._token = self.post("/oauth2/token", login)["access_token"]

    def post(self, path: str, body: dict[str, Any], method: str = "POST") -> Any:
        request = urllib.request.Request(self._url + path, json.dumps(body).encode(), method=method)
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Bearer {self._token}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def consent(self, person: str, **changes: Any) -> None:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + 3 * 3600 - 60))
        self.post(f"/sps/{BRAND}/brands/{BRAND}/consents", item(recipient=person, consentDate=at, **changes))


def move(registry: SimulatedRegistry, status: str, person: str) -> None:
    registry.control(
        "POST",
        "movements",
        [{"brandCode": BRAND, "recipient": person, "type": "EPOSTA", "status": status, "source": "IYS_WEB"}],
    )


def received(gateway: GatewayProcess) -> list[tuple[str, ...]]:
    return [message.recipients for message in gateway.sink.messages()]


def test_whom_the_index_does_not_know_the_registry_is_asked_about(
    registry: SimulatedRegistry, settings: dict[str, Any], make_gateway: Callable[..., GatewayProcess]
) -> None:
    """Consent there is consent here with the first mail; nothing there, or no answer, is no record: no mail."""
    fresh, refused, nobody, unheard = (
        f"{name}@customer.example" for name in ("yeni", "vazgecen", "kimse", "duyulmayan")
    )
    for person, status in ((fresh, "ONAY"), (refused, "ONAY"), (refused, "RET"), (unheard, "ONAY")):
        move(registry, status, person)

    def change(made: dict[str, Any]) -> None:
        made["gateway"]["workers"] = 1
        made["registry"] = settings | {"requery_missing": True}

    gateway = make_gateway(change=change)
    assert gateway.send(NEWS, [fresh]).code == 250
    assert gateway.send(NEWS, [nobody]).code == 550
    assert gateway.send(NEWS, [refused]).code == 550
    assert gateway.metric("izinkapi_registry_requery_total", result="found") == 1
    assert gateway.metric("izinkapi_registry_requery_total", result="absent") == 2
    registry.fault("maintenance", path="status")
    assert gateway.send(NEWS, [unheard]).code == 550
    assert gateway.metric("izinkapi_registry_requery_total", result="failed") >= 1
    registry.control("DELETE", "faults")
    wait_until(lambda: time.sleep(0.5) or gateway.send(NEWS, [unheard]).code == 250, "it is asked again")
    assert sorted(received(gateway)) == [(unheard,), (fresh,)]
    assert registry.breaches() == []
    for person in (fresh, refused, nobody, unheard):
        assert person not in gateway.log.read_text("utf-8")


def test_the_retry_of_a_mail_held_by_a_stale_index_goes_through(
    registry: SimulatedRegistry,
    settings: dict[str, Any],
    make_gateway: Callable[..., GatewayProcess],
    tmp_path: Path,
) -> None:
    """The first mail of each worker is held, as its addresses were not seen before; the same mail again is sent."""
    people = [f"bekleyen-{number}@customer.example" for number in range(2)]
    for person in people:
        move(registry, "ONAY", person)
    registry.fault("maintenance", path="changes")
    path = tmp_path / "export.csv"
    rows = [f"{person},EPOSTA,BIREYSEL,ONAY,HS_WEB,2026-01-05 10:00:00" for person in people]
    path.write_text("\n".join(("recipient,type,recipientType,status,source,consentDate", *rows, "")))
    synced_at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - 27 * 3600))  # thirty hours ago, in Turkey

    def change(made: dict[str, Any]) -> None:
        made["gateway"]["workers"] = 1
        made["registry"] = settings

    gateway = make_gateway(change=change, consents=None, waits=False)
    done = gateway.izinkapi("consents", "import", "--brand", str(BRAND), "--synced-at", synced_at, str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until(lambda: gateway.status()["brands"].get(str(BRAND), {}).get("state") == "stale", "the index is stale")
    with gateway.connect() as client:
        assert gateway.send(NEWS, people, client=client).code == 451
        assert received(gateway) == []
        assert gateway.send(NEWS, people, client=client).code == 250
    assert sorted(received(gateway)) == [(person,) for person in people]


def test_a_dealer_sends_to_whom_the_registry_lists_it(
    registry: SimulatedRegistry, settings: dict[str, Any], make_gateway: Callable[..., GatewayProcess]
) -> None:
    """Lists are read for the message itself; what a worker has read, all know; a dealer that is none shows."""
    desk = Provider(registry)
    code = desk.post(f"/sps/{BRAND}/brands/{BRAND}/retailers", retailer())["retailerCode"]
    mine, theirs = "bayimin@customer.example", "baskasinin@customer.example"
    desk.consent(mine, retailerAccess=[code])
    desk.consent(theirs)

    def change(made: dict[str, Any]) -> None:
        made["registry"] = settings | {"requery_missing": True}
        made["clients"][0]["retailer"] = code
        made["clients"][1]["retailer"] = 99_999_999

    gateway = make_gateway(change=change)
    assert gateway.send(NEWS, [mine]).code == 250
    assert gateway.send(NEWS, [theirs]).code == 550
    assert received(gateway) == [(mine,)]
    assert gateway.metric("izinkapi_registry_dealer_lists_total", result="changed") == 1
    spent = registry.operations()["access-list"]
    for _ in range(4):  # of either worker
        assert gateway.send(NEWS.replace(b"sonbahar-17", f"kis-{_}".encode()), [mine]).code == 250
    assert registry.operations()["access-list"] == spent

    def dealers() -> dict[str, str]:
        told: dict[str, str] = gateway.status()["registry"]["tasks"]["dealers"]["dealers"][str(BRAND)]
        return told

    wait_until(lambda: dealers() == {str(code): "active", "99999999": "unknown"}, "the dealers are looked at")
    assert f'izinkapi_sync_dealers_not_active{{brand="{BRAND}"}} 1.0' in gateway.metrics()
    assert registry.breaches() == []
    assert mine not in gateway.log.read_text("utf-8")

"""Infobip's own library for Node.js, which uses the older interface, sends with nothing but the host changed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from loadtest.providers.infobip import InfobipSimulator
from tests.support.gateway_process import GatewayProcess, free_ports
from tests.support.http_thread import HttpThread
from tests.support.infobip_node import InfobipNode

SECRET = "gizli-yolun-sonu-infobip-123456"
_PEOPLE = 40


@dataclass
class Infobip:
    """The gateway with a simulated Infobip behind it, and numbers that no other test uses."""

    url: str
    simulator: InfobipSimulator
    node: InfobipNode
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def consenting(self) -> str:
        return f"90535{next(self._numbers):07d}"

    def refusing(self) -> str:
        return f"90536{next(self._numbers):07d}"

    def taken(self, *numbers: str) -> list[tuple[str, str]]:
        """Number and text of what the provider took for any of ``numbers``."""
        return [(message.number, message.text) for message in self.simulator.taken if message.number in numbers]


def consents() -> str:
    rows = ["recipient,type,recipientType,status,source,consentDate\r\n"]
    for n in range(_PEOPLE):
        rows.append(f"+90535{n:07d},MESAJ,BIREYSEL,ONAY,HS_WEB,2025-03-04 10:15:00\r\n")
        rows.append(f"+90536{n:07d},MESAJ,BIREYSEL,RET,HS_WEB,2025-03-04 10:15:00\r\n")
    return "".join(rows)


def bulk(*numbers: str, text: str = "Bahar indirimi", **more: Any) -> dict[str, Any]:
    message = {
        "from": "ORNEK",
        "destinations": [{"to": number} for number in numbers],
        "text": text,
        "regional": {"turkeyIys": {"brandCode": 600123, "recipientType": "BIREYSEL"}},
        **more,
    }
    return {"messages": [message]}


@pytest.fixture(scope="module")
def infobip(
    make_shared_gateway: Callable[..., GatewayProcess], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Infobip]:
    simulator = InfobipSimulator(1)
    server = HttpThread(simulator.app())
    (port,) = free_ports(1)
    secret_file = tmp_path_factory.mktemp("secret") / "inbound"
    secret_file.write_text(SECRET + "\n", encoding="utf-8")
    secret_file.chmod(0o600)

    def change(settings: dict[str, Any]) -> None:
        settings["brands"][0]["sms_opt_out"] = {"keyword": "RET ORNEK", "number": "3338"}
        settings["upstreams"]["sms"] = [
            {
                "name": "infobip",
                "dialect": "infobip",
                "base_url": server.url,
                "inbound_secret_file": str(secret_file),
            },
        ]
        settings["listeners"]["http"].append(
            {"address": f"127.0.0.1:{port}", "sms": ["infobip"], "opt_out_pages": False}
        )

    make_shared_gateway(change=change, consents=consents())
    node = InfobipNode(tmp_path_factory.mktemp("infobip"))
    yield Infobip(f"http://127.0.0.1:{port}", simulator, node)
    server.close()


def test_some_get_it_and_the_others_are_rejected_in_the_answer(infobip: Infobip) -> None:
    """Order is kept; each text has its opt-out, letters whole."""
    people = [infobip.refusing(), infobip.consenting(), infobip.refusing(), infobip.consenting()]
    (result,) = infobip.node.call(infobip.url, [("sms.send", [bulk(*people, text="Şubat çekilişi")])])
    assert result["status"] == 200
    rows = result["data"]["messages"]
    assert [row["to"] for row in rows] == people
    assert [row["status"]["name"] for row in rows] == ["REJECTED_IYS_REFUSED", "PENDING_ACCEPTED"] * 2
    taken = infobip.taken(*people)
    assert [number for number, _ in taken] == [people[1], people[3]]
    assert all(text.startswith("Şubat çekilişi") and "RET ORNEK" in text for _, text in taken)


def test_with_nobody_left_nothing_goes_upstream_and_the_report_tells(infobip: Infobip) -> None:
    people, before = [infobip.refusing(), infobip.refusing()], len(infobip.simulator.requests)
    (sent,) = infobip.node.call(infobip.url, [("sms.send", [bulk(*people)])])
    bulk_id = sent["data"]["bulkId"]
    assert bulk_id.startswith("0")
    (report,) = infobip.node.call(infobip.url, [("sms.reports.get", [{"bulkId": bulk_id}])])
    assert sorted(row["to"] for row in report["data"]["results"]) == sorted(people)
    assert {row["error"]["name"] for row in report["data"]["results"]} == {"EC_CONSENT_FAILED"}
    assert len(infobip.simulator.requests) == before


def test_over_long_texts_wrong_keys_and_numbers_without_a_country_are_told(infobip: Infobip) -> None:
    """400 is ours, 401 the provider's; ten digits alone are rejected with what was expected."""
    to = infobip.consenting()
    (over_long,) = infobip.node.call(infobip.url, [("sms.send", [bulk(to, text="Bahar indirimi " * 300)])])
    (wrong,) = infobip.node.call(infobip.url, [("sms.send", [bulk(to)])], key="wrong")
    (short,) = infobip.node.call(infobip.url, [("sms.send", [bulk(to[2:])])])
    assert (over_long["status"], wrong["status"]) == (400, 401)
    (row,) = short["data"]["messages"]
    assert row["status"]["id"] == 52
    assert "country code" in row["status"]["description"]
    assert infobip.taken(to, to[2:]) == []


def test_what_is_scheduled_or_held_for_hours_is_called_off_for_who_refuses(infobip: Infobip) -> None:
    """A time of sending, and a window of the day without one."""
    later = (datetime.now(UTC) + timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    window = {"days": [], "from": {"hour": 10, "minute": 0}, "to": {"hour": 20, "minute": 0}}
    window["days"] = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]
    people = [infobip.consenting(), infobip.consenting(), infobip.consenting()]
    calls = [
        ("sms.send", [bulk(people[0], sendAt=later)]),
        ("sms.send", [bulk(people[1], deliveryTimeWindow=window)]),
        ("sms.send", [bulk(people[2], sendAt=later)]),
    ]
    assert [result["status"] for result in infobip.node.call(infobip.url, calls)] == [200, 200, 200]
    for person in people[:2]:
        told = {"messageId": f"mo-{person}", "from": person, "to": "3338", "text": "RET ORNEK"}
        answer = requests.post(f"{infobip.url}/sms/inbound/{SECRET}", json={"results": [told]}, timeout=10)
        assert answer.status_code == 200
    deadline = time.monotonic() + 10
    held = set(people)
    while held != {people[2]} and time.monotonic() < deadline:
        time.sleep(0.05)
        held = {each.number for each in infobip.simulator.taken if each.number in people and not each.is_cancelled}
    assert held == {people[2]}


def test_a_bulk_can_be_cancelled_and_not_paused_or_moved(infobip: Infobip) -> None:
    """What went on later would be sent by a consent that nobody looked up again."""
    to = infobip.consenting()
    later = (datetime.now(UTC) + timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    (sent,) = infobip.node.call(infobip.url, [("sms.send", [bulk(to, sendAt=later)])])
    bulk_id = sent["data"]["bulkId"]
    paused, moved, cancelled = infobip.node.call(
        infobip.url,
        [
            ("sms.status.update", [bulk_id, "PAUSED"]),
            ("sms.scheduled.reschedule", [bulk_id, later]),
            ("sms.status.update", [bulk_id, "CANCELED"]),
        ],
    )
    assert (paused["status"], moved["status"], cancelled["status"]) == (403, 403, 200)
    assert [each.is_cancelled for each in infobip.simulator.taken if each.number == to] == [True]

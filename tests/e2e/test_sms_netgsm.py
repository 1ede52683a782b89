"""Netgsm's own libraries, for Python and for Node.js, send through the gateway with nothing but the host changed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import netgsm
import pytest
import requests

from loadtest.providers.netgsm import ISTANBUL, NetgsmSimulator
from tests.support.gateway_process import GatewayProcess, free_ports
from tests.support.http_thread import HttpThread
from tests.support.netgsm_node import NetgsmNode

SPAN = ("01.01.2000 00:00:00", "01.01.2100 00:00:00")
AUTH = ("8500000001", "sifre-1")
_PEOPLE = 60


@dataclass
class Netgsm:
    """The gateway with a simulated Netgsm behind it, and numbers that no other test uses."""

    url: str
    simulator: NetgsmSimulator
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def consenting(self) -> str:
        return f"535{next(self._numbers):07d}"

    def refusing(self) -> str:
        return f"536{next(self._numbers):07d}"

    def client(self, password: str = "sifre-1") -> netgsm.Netgsm:
        return netgsm.Netgsm("8500000001", password, api_url=self.url, appname="ornek")

    def taken(self, *numbers: str) -> list[tuple[str, str]]:
        """Number and text of what the provider took for any of ``numbers``."""
        return [(message.number, message.text) for message in self.simulator.sent if message.number in numbers]


def consents() -> str:
    rows = ["recipient,type,recipientType,status,source,consentDate\r\n"]
    for n in range(_PEOPLE):
        rows.append(f"+90535{n:07d},MESAJ,BIREYSEL,ONAY,HS_WEB,2025-03-04 10:15:00\r\n")
        rows.append(f"+90536{n:07d},MESAJ,BIREYSEL,RET,HS_WEB,2025-03-04 10:15:00\r\n")
    return "".join(rows)


@pytest.fixture(scope="module")
def provider(make_shared_gateway: Callable[..., GatewayProcess]) -> Iterator[Netgsm]:
    simulator = NetgsmSimulator(seed=1)
    server = HttpThread(simulator.app())
    (port,) = free_ports(1)

    def change(settings: dict[str, Any]) -> None:
        settings["brands"][0]["sms_opt_out"] = {"keyword": "RET ORNEK", "number": "3338"}
        settings["upstreams"]["sms"] = [
            {"name": "rest", "dialect": "netgsm", "base_url": server.url},
            {"name": "older", "dialect": "netgsm_legacy", "base_url": server.url},
        ]
        settings["listeners"]["http"].append(
            {"address": f"127.0.0.1:{port}", "sms": ["rest", "older"], "opt_out_pages": False}
        )

    make_shared_gateway(change=change, consents=consents())
    yield Netgsm(f"http://127.0.0.1:{port}", simulator)
    server.close()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> NetgsmNode:
    return NetgsmNode(tmp_path_factory.mktemp("netgsm"))


def test_python_sends_to_some_and_reads_of_the_others_in_the_report(provider: Netgsm) -> None:
    """Order is kept, each text has its opt-out, and who refused stands in the report with 16."""
    yes, no = [provider.consenting(), provider.consenting()], [provider.refusing(), provider.refusing()]
    people = [no[0], yes[0], no[1], yes[1]]
    messages = [{"msg": f"Bahar indirimi {place}", "no": number} for place, number in enumerate(people)]
    answer = provider.client().sms.send("ORNEK", messages, iysfilter="11")
    assert answer["code"] == "00"
    taken = provider.taken(*people)
    assert [number for number, _ in taken] == yes
    assert [text[:16] for _, text in taken] == ["Bahar indirimi 1", "Bahar indirimi 3"]
    assert all("RET ORNEK" in text and "3338" in text for _, text in taken)
    report = provider.client().sms.get_report(*SPAN, jobids=[answer["jobid"]])
    statuses = {row["number"]: row["status"] for row in report["jobs"]}
    assert set(statuses) == set(people)
    assert [statuses[number] for number in no] == [16, 16]


def test_python_with_nobody_left_gets_an_id_and_a_report(provider: Netgsm) -> None:
    """Nothing goes upstream; the report has everybody, and cancelling is no error."""
    people = [provider.refusing(), provider.refusing()]
    before = len(provider.simulator.requests)
    messages = [{"msg": "Bahar", "no": number} for number in people]
    answer = provider.client().sms.send("ORNEK", messages, iysfilter="11")
    assert (answer["code"], len(answer["jobid"])) == ("00", 26)
    report = provider.client().sms.get_report(*SPAN, jobids=[answer["jobid"]])
    assert [(row["number"], row["status"]) for row in report["jobs"]] == [(number, 16) for number in people]
    assert provider.client().sms.cancel(answer["jobid"])["code"] == "00"
    assert len(provider.simulator.requests) == before


def test_a_report_by_span_of_time_shows_the_dropped_too(provider: Netgsm) -> None:
    """Of jobs that went out in part, and of those that never left; of other accounts nothing."""
    yes, no, nobody = provider.consenting(), provider.refusing(), provider.refusing()
    client = provider.client()
    for people in ([yes, no], [nobody]):
        client.sms.send("ORNEK", [{"msg": "Bahar, gun boyu", "no": number} for number in people], iysfilter="11")
    day = [(datetime.now(ISTANBUL) + timedelta(hours=hours)).strftime("%d.%m.%Y %H:%M:%S") for hours in (-1, 1)]
    time.sleep(1.5)  # another worker sees them a moment later
    rows = []
    for page in range(9):
        asked = {"startdate": day[0], "stopdate": day[1], "pagenumber": page, "pagesize": 100}
        answer = requests.post(f"{provider.url}/sms/rest/v2/report", json=asked, auth=AUTH, timeout=20).json()
        if answer["code"] != "00":
            break
        rows += answer["jobs"]
    statuses = {row["number"]: row["status"] for row in rows}
    assert yes in statuses
    assert [statuses.get(number) for number in (no, nobody)] == [16, 16]
    others = requests.post(
        f"{provider.url}/sms/rest/v2/report",
        json={"startdate": day[0], "stopdate": day[1]},
        auth=("8500000002", "sifre-2"),
        timeout=20,
    )
    assert others.json()["code"] == "60"


def test_python_hears_the_provider_s_refusals(provider: Netgsm) -> None:
    """Wrong password and unknown title come from the provider, unchanged."""
    messages = [{"msg": "Bahar", "no": provider.consenting()}]
    with pytest.raises(netgsm.NotAcceptableException) as wrong_password:
        provider.client("falsch").sms.send("ORNEK", messages, iysfilter="11")
    with pytest.raises(netgsm.NotAcceptableException) as wrong_title:
        provider.client().sms.send("YABANCI", messages, iysfilter="11")
    assert (wrong_password.value.code, wrong_title.value.code) == ("30", "40")


def test_python_hears_our_refusals_in_the_provider_s_words(provider: Netgsm) -> None:
    """A list where one number is meant is 70, a text for which there is no room 20; nothing goes upstream."""
    before = len(provider.simulator.sent)
    number = provider.consenting()
    with pytest.raises(netgsm.NotAcceptableException) as several:
        provider.client().sms.send("ORNEK", [{"msg": "Bahar", "no": f"{number},{provider.consenting()}"}])
    with pytest.raises(netgsm.NotAcceptableException) as too_long:
        provider.client().sms.send("ORNEK", [{"msg": "Bahar " * 200, "no": number}], iysfilter="11")
    assert (several.value.code, too_long.value.code) == ("70", "20")
    assert len(provider.simulator.sent) == before


def test_node_sends_turkish_letters_and_reads_the_report(provider: Netgsm, node: NetgsmNode) -> None:
    """Unicode survives; a mixed request is a success, and the report tells the rest."""
    yes, no = provider.consenting(), provider.refusing()
    messages = [{"msg": "Şubat çekilişi başladı", "no": number} for number in (yes, no)]
    (sent,) = node.call(
        provider.url,
        [("sendRestSms", {"msgheader": "ORNEK", "encoding": "TR", "iysfilter": "11", "messages": messages})],
    )
    assert sent["answer"]["code"] == "00"
    (taken,) = provider.taken(yes, no)
    assert taken[0] == yes
    assert taken[1].startswith("Şubat çekilişi başladı")
    report, headers, otp = node.call(
        provider.url,
        [
            ("getReport", {"bulkIds": [sent["answer"]["jobid"]]}),
            ("getHeaders", {}),
            ("sendOtpSms", {"msgheader": "ORNEK", "msg": "Kod 1234", "no": no}),
        ],
    )
    assert {row["number"]: row["status"] for row in report["answer"]["jobs"]}[no] == 16
    assert headers["answer"]["msgheaders"] == ["ORNEK", "ORNEKMARKA"]
    assert otp["answer"]["code"] == "00"
    assert provider.taken(no) == [(no, "Kod 1234")]


def test_node_throws_what_it_throws_at_the_provider(provider: Netgsm, node: NetgsmNode) -> None:
    """A tag that nobody knows, a field that nobody knows, a wrong password."""
    base = {"msgheader": "ORNEK", "messages": [{"msg": "Bahar", "no": provider.consenting()}]}
    strange = {"msgheader": "ORNEK", "messages": [{"msg": "Bahar", "no": provider.consenting(), "gsm": "x"}]}
    tag, unknown = node.call(
        provider.url, [("sendRestSms", {**base, "iysfilter": "13"}), ("sendRestSms", {**strange, "iysfilter": "11"})]
    )
    (password,) = node.call(provider.url, [("sendRestSms", {**base, "iysfilter": "11"})], password="falsch")
    assert [each["error"]["code"] for each in (tag, unknown, password)] == ["70", "70", "30"]
    assert "gsm" in unknown["error"]["description"]


def test_a_home_grown_client_of_the_older_interface_goes_the_same_way(provider: Netgsm) -> None:
    """Text in, text out: ``00 id``, and a line for each dropped number in the report."""
    import requests

    yes, no = provider.consenting(), provider.refusing()
    login = {"usercode": "8500000001", "password": "sifre-1"}
    fields = {**login, "gsmno": f"{no},{yes}", "message": "Bahar indirimi", "msgheader": "ORNEK", "filter": "11"}
    code, job = requests.get(f"{provider.url}/sms/send/get/", fields, timeout=20).text.split()
    assert code == "00"
    assert [number for number, _ in provider.taken(yes, no)] == [yes]
    lines = requests.get(f"{provider.url}/sms/report/", {**login, "bulkid": job, "type": "0"}, timeout=20).text
    assert f"{no} 16" in lines.split("<br>")

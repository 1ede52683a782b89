"""SMS through real processes: clients change the host, simulated providers take what is left."""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from loadtest.plain_provider import PlainProvider
from loadtest.providers.netgsm import NetgsmSimulator
from loadtest.providers.simulator import Fault
from tests.support.gateway_process import BRAND, GatewayProcess, free_ports, people_csv, wait_until
from tests.support.http_thread import HttpThread

INBOUND_SECRET = "gizli-yolun-sonu-1234567890"
_NETGSM_LOGIN = "Basic " + base64.b64encode(b"8500000001:sifre-1").decode()
_PEOPLE = 400


def consenting_number(n: int) -> str:
    return f"532{n:07d}"


def refusing_number(n: int) -> str:
    return f"533{n:07d}"


@dataclass
class Answer:
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class SmsGateway:
    """A gateway with its providers, and what a client does there."""

    def __init__(self, gateway: GatewayProcess, port: int, netgsm: NetgsmSimulator, plain: PlainProvider) -> None:
        self.gateway = gateway
        self.port = port
        self.netgsm = netgsm
        self.plain = plain
        self._people = itertools.count()

    def people(self, consenting: int, refusing: int) -> tuple[list[str], list[str]]:
        """Numbers of people nobody else in this module has written to, ten digits each."""
        start = next(self._people) * 10
        return (
            [consenting_number(start + n) for n in range(consenting)],
            [refusing_number(start + n) for n in range(refusing)],
        )

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            raw = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
            fields = {"Content-Type": "application/json"} if raw is not None else {}
            connection.request(method, path, raw, fields | {name.replace("_", "-"): headers[name] for name in headers})
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()

    def netgsm_send(self, *numbers: str, text: str = "Bahar indirimi basladi", **more: Any) -> Answer:
        body = {
            "msgheader": "ORNEK",
            "messages": [{"msg": text, "no": number} for number in numbers],
            "iysfilter": "11",
            **more,
        }
        return self.call("POST", "/sms/rest/v2/send", body, Authorization=_NETGSM_LOGIN)

    def netgsm_report(self, job: str) -> Answer:
        return self.call("POST", "/sms/rest/v2/report", {"jobids": [job]}, Authorization=_NETGSM_LOGIN)

    def sent_to(self, *numbers: str) -> list[str]:
        """Which of ``numbers`` the simulated Netgsm took a message for, as often as it did."""
        return [message.number for message in self.netgsm.sent if message.number in numbers]


def people_rows() -> str:
    rows = [people_csv()]
    for n in range(_PEOPLE):
        rows.append(f"+90{consenting_number(n)},MESAJ,BIREYSEL,ONAY,HS_WEB,2025-03-04 10:15:00\r\n")
        rows.append(f"+90{refusing_number(n)},MESAJ,BIREYSEL,RET,HS_WEB,2025-03-04 10:15:00\r\n")
    return "".join(rows)


@pytest.fixture(scope="module")
def sms(make_shared_gateway: Callable[..., GatewayProcess]) -> Iterator[SmsGateway]:
    netgsm, plain = NetgsmSimulator(seed=1), PlainProvider()
    netgsm_server, plain_server = HttpThread(netgsm.app()), HttpThread(plain.build_app())
    (port,) = free_ports(1)

    def change(settings: dict[str, Any]) -> None:
        settings["brands"][0]["sms_opt_out"] = {"keyword": "RET ORNEK", "number": "3338"}
        settings["upstreams"]["sms"] = [
            {
                "name": "netgsm",
                "dialect": "netgsm",
                "base_url": netgsm_server.url,
                "timeout": "1s",
                "username": "8500000001",
                "password": "env:NETGSM_PASSWORD",
                "breaker_failures": 100,
            },
            {
                "name": "plain",
                "dialect": "plain",
                "base_url": plain_server.url,
                "prefix": "/second",
                "inbound_secret_file": "inbound.txt",
            },
        ]
        settings["listeners"]["http"].append(
            {
                "address": f"127.0.0.1:{port}",
                "sms": ["netgsm", "plain"],
                "plain_upstream": "netgsm",
                "check_api": True,
                "opt_out_pages": False,
            }
        )

    gateway = make_shared_gateway(change=_with_secrets(change), consents=people_rows())
    yield SmsGateway(gateway, port, netgsm, plain)
    netgsm_server.close()
    plain_server.close()


def _with_secrets(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def changed(settings: dict[str, Any]) -> None:
        change(settings)
        # Files beside the configuration: what the environment of the tests' own process has is nobody's business.
        folder = _folder_of(settings)
        for name, text in (("inbound.txt", INBOUND_SECRET), ("netgsm.txt", "sifre-1")):
            path = folder / name
            path.write_text(f"{text}\n", encoding="utf-8")
            path.chmod(0o600)
        upstream = settings["upstreams"]["sms"][0]
        del upstream["password"]
        upstream["password_file"] = str(folder / "netgsm.txt")
        settings["upstreams"]["sms"][1]["inbound_secret_file"] = str(folder / "inbound.txt")

    return changed


def _folder_of(settings: dict[str, Any]) -> Any:
    from pathlib import Path

    return Path(settings["listeners"]["http"][0]["certificate_file"]).parent


# -- a provider's own dialect -----------------------------------------------------------------------------------------


def test_only_the_consenting_reach_the_provider_and_the_report_names_the_rest(sms: SmsGateway) -> None:
    """The answer is plain success, as this provider's own would be; the report says 16, refused by İYS."""
    yes, no = sms.people(2, 2)
    answer = sms.netgsm_send(no[0], yes[0], no[1], yes[1])
    assert answer.status == 200
    assert answer.json["code"] == "00"
    assert sms.sent_to(*yes, *no) == yes
    report = sms.netgsm_report(answer.json["jobid"]).json
    statuses = {job["number"][-10:]: str(job["status"]) for job in report["jobs"]}
    assert statuses.keys() == {*yes, *no}
    assert all(statuses[number] == "16" for number in no)
    assert all(statuses[number] != "16" for number in yes)


def test_each_text_carries_the_opt_out(sms: SmsGateway) -> None:
    yes, _ = sms.people(1, 0)
    sms.netgsm_send(*yes)
    (message,) = [message for message in sms.netgsm.sent if message.number == yes[0]]
    assert message.text.startswith("Bahar indirimi basladi")
    assert "RET ORNEK" in message.text
    assert "3338" in message.text
    assert message.tag == "11"


def test_with_nobody_left_the_provider_hears_nothing_and_the_report_is_ours(sms: SmsGateway) -> None:
    _, no = sms.people(0, 2)
    before = len(sms.netgsm.requests)
    answer = sms.netgsm_send(*no)
    assert answer.status == 200
    job = answer.json["jobid"]
    assert job.isdigit()
    report = sms.netgsm_report(job).json
    assert {job["number"][-10:] for job in report["jobs"]} == set(no)
    assert len(sms.netgsm.requests) == before


def test_informational_messages_go_to_everybody_untouched(sms: SmsGateway) -> None:
    yes, no = sms.people(1, 1)
    assert sms.netgsm_send(*yes, *no, text="Kargonuz yolda", iysfilter="0").status == 200
    assert sms.sent_to(*yes, *no) == [*yes, *no]
    assert {message.text for message in sms.netgsm.sent if message.number in (*yes, *no)} == {"Kargonuz yolda"}


def test_the_providers_refusals_reach_the_client_as_they_are(sms: SmsGateway) -> None:
    yes, _ = sms.people(1, 0)
    wrong = "Basic " + base64.b64encode(b"8500000001:yanlis").decode()
    body = {"msgheader": "ORNEK", "messages": [{"msg": "x", "no": yes[0]}], "iysfilter": "11"}
    answer = sms.call("POST", "/sms/rest/v2/send", body, Authorization=wrong)
    assert (answer.status, answer.json["code"]) == (406, "30")


def test_calls_that_send_nothing_pass_untouched(sms: SmsGateway) -> None:
    answer = sms.call("GET", "/sms/rest/v2/msgheader", Authorization=_NETGSM_LOGIN)
    assert answer.status == 200
    assert b"ORNEK" in answer.body
    assert sms.netgsm.requests[-1]["path"] == "/sms/rest/v2/msgheader"


def test_a_call_nobody_knows_is_not_passed_on(sms: SmsGateway) -> None:
    before = len(sms.netgsm.requests)
    assert sms.call("POST", "/sms/rest/v9/send", {}).status >= 400
    assert len(sms.netgsm.requests) == before


def test_a_second_upstream_is_reached_by_its_prefix(sms: SmsGateway) -> None:
    yes, no = sms.people(1, 1)
    body = {"text": "Bahar indirimi", "recipients": [*yes, *no], "class": "commercial"}
    answer = sms.call("POST", "/second/v1/messages", body)
    assert answer.status == 200
    assert sms.plain.heard[-1]["recipients"] == [{"to": f"+90{yes[0]}"}]


# -- our own interface ------------------------------------------------------------------------------------------------


def test_our_own_interface_leaves_through_the_providers_dialect(sms: SmsGateway) -> None:
    yes, no = sms.people(1, 1)
    body = {"text": "Bahar indirimi", "recipients": [f"0{no[0]}", f"+90{yes[0]}"], "sender": "ORNEK"}
    answer = sms.call("POST", "/v1/messages", body)
    assert answer.status == 200, answer.body
    assert [entry["outcome"] for entry in answer.json["recipients"]] == ["dropped", "relayed"]
    assert answer.json["recipients"][0]["to"] == f"0{no[0]}"
    assert sms.sent_to(*yes, *no) == yes
    report = sms.call("GET", f"/v1/messages/{answer.json['id']}")
    assert report.json["recipients"][0]["outcome"] == "dropped"
    cancelled = sms.call("DELETE", f"/v1/messages/{answer.json['id']}")
    assert cancelled.status == 404, "nobody called anything off at the provider, so nobody is told so"


def test_a_check_decides_without_sending(sms: SmsGateway) -> None:
    yes, no = sms.people(1, 1)
    before = len(sms.netgsm.requests)
    one = sms.call("POST", "/v1/check", {"recipient": f"+90{yes[0]}"}).json
    assert (one["permitted"], one["reason"]) == (True, "CONSENT")
    many = sms.call("POST", "/v1/check", {"recipients": [no[0], "nobody", yes[0]], "channel": "MESAJ"}).json
    assert [entry["reason"] for entry in many["results"]] == ["REFUSED", "ADDRESS_INVALID", "CONSENT"]
    assert many["permitted"] == 1
    calls = sms.call("POST", "/v1/check", {"recipient": yes[0], "channel": "ARAMA"}).json
    assert calls["reason"] == "NO_CONSENT", "consent to SMS is none to calls"
    assert len(sms.netgsm.requests) == before


def test_a_hundred_thousand_are_checked_in_one_request(sms: SmsGateway) -> None:
    yes, no = sms.people(1, 1)
    numbers = [*yes, *no] * 50_000
    answer = sms.call("POST", "/v1/check", {"recipients": numbers}, Accept="application/x-ndjson")
    lines = answer.body.splitlines()
    assert len(lines) == 100_000
    assert [json.loads(line)["permitted"] for line in lines[:4]] == [True, False, True, False]
    assert json.loads(lines[-1])["recipient"] == no[0]


# -- refusals by SMS --------------------------------------------------------------------------------------------------


def test_a_refusal_by_sms_holds_for_the_next_message_of_every_worker(sms: SmsGateway) -> None:
    yes, _ = sms.people(1, 0)
    told = {"id": "mo-1", "from": f"90{yes[0]}", "to": "3338", "text": "ret örnek"}
    assert sms.call("POST", f"/sms/inbound/{INBOUND_SECRET}", told).status == 200
    for _ in range(6):
        sms.netgsm_send(*yes)
    assert sms.sent_to(*yes) == []
    assert sms.call("POST", "/v1/check", {"recipient": yes[0]}).json["reason"] == "LOCAL_RET"


def test_incoming_messages_are_taken_from_nobody_without_the_secret(sms: SmsGateway) -> None:
    yes, _ = sms.people(1, 0)
    told = {"id": "mo-2", "from": f"90{yes[0]}", "to": "3338", "text": "RET ORNEK"}
    assert sms.call("POST", "/sms/inbound/some-other-secret-12345", told).status == 404
    assert sms.call("POST", "/v1/check", {"recipient": yes[0]}).json["permitted"] is True


def test_other_talk_is_no_refusal(sms: SmsGateway) -> None:
    yes, _ = sms.people(1, 0)
    told = {"id": "mo-3", "from": f"90{yes[0]}", "to": "3338", "text": "siparişimi iptal edin"}
    assert sms.call("POST", f"/sms/inbound/{INBOUND_SECRET}", told).status == 200
    assert sms.call("POST", "/v1/check", {"recipient": yes[0]}).json["permitted"] is True


# -- faults of the provider -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["garbage", "silent", "close", "cut"])
def test_what_the_provider_took_without_a_word_reaches_nobody_twice(sms: SmsGateway, mode: str) -> None:
    """The client hears the dialect's system error; the same request again is not sent again."""
    yes, no = sms.people(2, 1)
    sms.netgsm.fault = Fault(mode, 0.0, 1)
    first = sms.netgsm_send(*yes, *no, text=f"Bahar {mode}")
    assert (first.status, first.json["code"]) == (406, "100")
    again = sms.netgsm_send(*yes, *no, text=f"Bahar {mode}")
    assert (again.status, again.json["code"]) == (406, "100")
    assert sms.sent_to(*yes, *no) == yes


@pytest.mark.parametrize("mode", ["error"])
def test_a_provider_that_fails_is_a_system_error(sms: SmsGateway, mode: str) -> None:
    yes, _ = sms.people(1, 0)
    sms.netgsm.fault = Fault(mode, 0.0, 1)
    answer = sms.netgsm_send(*yes, text=f"Bahar {mode}")
    assert answer.status >= 400


def test_a_provider_that_is_not_there_is_a_system_error_and_the_retry_is_sent(
    make_gateway: Callable[..., GatewayProcess],
) -> None:
    (port, provider_port) = free_ports(2)

    def change(settings: dict[str, Any]) -> None:
        settings["gateway"]["workers"] = 1
        settings["brands"][0]["sms_opt_out"] = {"keyword": "RET ORNEK", "number": "3338"}
        settings["upstreams"]["sms"] = [
            {"name": "netgsm", "dialect": "netgsm", "base_url": f"http://127.0.0.1:{provider_port}"}
        ]
        settings["listeners"]["http"].append(
            {"address": f"127.0.0.1:{port}", "sms": ["netgsm"], "opt_out_pages": False}
        )

    gateway = make_gateway(change=change, consents=people_rows())
    sms = SmsGateway(gateway, port, NetgsmSimulator(), PlainProvider())
    answer = sms.netgsm_send(consenting_number(1))
    assert (answer.status, answer.json["code"]) == (406, "100")


# -- privacy and evidence ---------------------------------------------------------------------------------------------


def test_no_number_and_no_credential_in_any_log(sms: SmsGateway) -> None:
    """At the most talkative level, after all of the above."""
    yes, no = sms.people(1, 1)
    sms.netgsm_send(*yes, *no)
    wait_until(lambda: b"sms.answered" in sms.gateway.log.read_bytes(), "the canonical line")
    time.sleep(0.3)
    log = sms.gateway.log.read_bytes()
    for secret in (yes[0], no[0], "532000", "533000", "sifre-1", INBOUND_SECRET, _NETGSM_LOGIN.split()[1], "Bahar"):
        assert secret.encode() not in log, secret


def test_a_complaint_about_one_number_finds_its_decisions(sms: SmsGateway) -> None:
    yes, no = sms.people(1, 1)
    sms.netgsm_send(*yes, *no)
    found = sms.gateway.izinkapi(
        "evidence", "find", "-c", str(sms.gateway.config), "--brand", str(BRAND),
        "--recipient", f"+90{no[0]}", "--json",
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert "REFUSED" in found.stdout
    assert no[0] not in found.stdout.replace(f"+90{no[0]}", "")


def test_requests_are_counted(sms: SmsGateway) -> None:
    wait_until(
        lambda: sms.gateway.metric("izinkapi_messages_total", channel="sms", outcome="relayed") > 0, "the counter"
    )
    assert sms.gateway.metric("izinkapi_recipients_total", channel="sms", verdict="drop", reason="REFUSED") > 0

"""İleti Merkezi and Verimor behind one gateway: senders change the host, and the report tells of whom was left out."""

from __future__ import annotations

import itertools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from aiohttp import web

from filters.sms.http import HttpRequest, HttpResponse
from tests.support.gateway_process import GatewayProcess, free_ports
from tests.support.http_thread import HttpThread
from tests.support.sms_cases_turkish import ILETIMERKEZI, ILETIMERKEZI_GET, ILETIMERKEZI_XML, VERIMOR, VERIMOR_GET
from tests.support.sms_dialect_case import INDIVIDUAL, INFORMATIONAL, DialectCase, Pair, Tag

SECRET = "secret-end-of-a-path"
_PEOPLE = 60


@dataclass
class Providers:
    """The gateway with both simulators behind it, and numbers that no other test uses."""

    url: str
    simulators: dict[str, Any]
    reported: list[tuple[str, Any]] = field(default_factory=list)
    """What reached the sender's own address for delivery reports: path and rows."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def consenting(self) -> str:
        return f"90537{next(self._numbers):07d}"

    def refusing(self) -> str:
        return f"90538{next(self._numbers):07d}"

    def ask(self, request: HttpRequest) -> HttpResponse:
        asked = urllib.request.Request(
            f"{self.url}{request.path}?{request.query}".rstrip("?"),
            data=request.body or None,
            headers=dict(request.headers),
            method=request.method,
        )
        try:
            with urllib.request.urlopen(asked, timeout=20) as answer:
                return HttpResponse(answer.status, tuple(answer.headers.items()), answer.read())
        except urllib.error.HTTPError as refusal:
            return HttpResponse(refusal.code, tuple(refusal.headers.items()), refusal.read())

    def send(self, case: DialectCase, pairs: Sequence[Pair], tag: Tag = INDIVIDUAL) -> HttpResponse:
        return self.ask(case.compose(pairs, tag))

    def taken(self, case: DialectCase, *numbers: str) -> list[tuple[str, str]]:
        wanted = {number[-10:] for number in numbers}
        sent = self.simulators[case.dialect.name].sent
        return [(f"90{message.number}", message.text) for message in sent if message.number in wanted]


def consents() -> str:
    rows = ["recipient,type,recipientType,status,source,consentDate\r\n"]
    for n in range(_PEOPLE):
        rows.append(f"+90537{n:07d},MESAJ,BIREYSEL,ONAY,HS_WEB,2025-03-04 10:15:00\r\n")
        rows.append(f"+90538{n:07d},MESAJ,BIREYSEL,RET,HS_WEB,2025-03-04 10:15:00\r\n")
    return "".join(rows)


@pytest.fixture(scope="module")
def providers(
    make_shared_gateway: Callable[..., GatewayProcess], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Providers]:
    simulators: dict[str, Any] = {}
    servers: dict[str, HttpThread] = {}
    for case in (ILETIMERKEZI, VERIMOR):
        assert case.make_simulator is not None
        simulators[case.dialect.name] = case.make_simulator()
        servers[case.dialect.name] = HttpThread(simulators[case.dialect.name].app())
    (port,) = free_ports(1)
    reported: list[tuple[str, Any]] = []

    async def take_report(request: web.Request) -> web.Response:
        reported.append((request.path, await request.json()))
        return web.Response(text="OK")

    shop = web.Application()
    shop.router.add_post("/{path:.*}", take_report)
    servers["shop"] = HttpThread(shop)
    secrets = tmp_path_factory.mktemp("secret")
    for name in simulators:
        (secrets / name).write_text(f"{SECRET}-{name}\n", encoding="utf-8")
        (secrets / name).chmod(0o600)

    def change(settings: dict[str, Any]) -> None:
        settings["brands"][0]["sms_opt_out"] = {"keyword": "RET ORNEK", "number": "3338"}
        settings["upstreams"]["sms"] = [
            {
                "name": name,
                "dialect": name,
                "base_url": servers[name].url,
                "delivery_url": f"{servers['shop'].url}/{name}",
                "inbound_secret_file": str(secrets / name),
            }
            for name in simulators
        ]
        settings["listeners"]["http"].append(
            {"address": f"127.0.0.1:{port}", "sms": list(simulators), "opt_out_pages": False}
        )

    make_shared_gateway(change=change, consents=consents())
    yield Providers(f"http://127.0.0.1:{port}", simulators, reported)
    for server in servers.values():
        server.close()


@pytest.mark.parametrize("case", [ILETIMERKEZI, ILETIMERKEZI_XML, VERIMOR, VERIMOR_GET], ids=str)
def test_the_consenting_get_it_and_the_report_names_the_others(providers: Providers, case: DialectCase) -> None:
    """Plain success at once, the provider's own word for "refused" later; every text with its opt-out."""
    yes, no = [providers.consenting(), providers.consenting()], [providers.refusing(), providers.refusing()]
    people = [no[0], yes[0], no[1], yes[1]]
    answer = providers.send(case, [(number, f"Bahar indirimi {case}") for number in people])
    assert case.is_success(answer)
    taken = providers.taken(case, *people)
    assert [number for number, _ in taken] == yes
    assert all("RET ORNEK" in text and "3338" in text for _, text in taken)
    assert case.report is not None
    assert case.rows is not None
    rows = case.rows(providers.ask(case.report([case.job_id(answer)], 0, 100)))
    assert sorted(number.removeprefix("+") for number, _ in rows) == sorted(people)
    assert {number for number, status in rows if status == case.refused_status} == set(no)


@pytest.mark.parametrize("case", [ILETIMERKEZI, ILETIMERKEZI_XML, ILETIMERKEZI_GET, VERIMOR], ids=str)
def test_with_nobody_left_nothing_goes_upstream(providers: Providers, case: DialectCase) -> None:
    """452 where the provider has a word for it; else an id of ours, under which the report lists everybody."""
    people = [providers.refusing(), providers.refusing()]
    before = len(providers.simulators[case.dialect.name].requests)
    answer = providers.send(case, [(number, "Bahar") for number in people])
    if case.knows_nobody_left:
        assert answer.status == 452
    else:
        assert case.report is not None
        assert case.rows is not None
        rows = case.rows(providers.ask(case.report([case.job_id(answer)], 0, 100)))
        assert rows == [(number, case.refused_status) for number in people]
    assert len(providers.simulators[case.dialect.name].requests) == before


def test_an_order_sent_in_one_syntax_is_reported_in_another(providers: Providers) -> None:
    """İleti Merkezi's query call has no report of its own."""
    yes, no = providers.consenting(), providers.refusing()
    answer = providers.send(ILETIMERKEZI_GET, [(yes, "Bahar, soruldu"), (no, "Bahar, soruldu")])
    job_id = ILETIMERKEZI_GET.job_id(answer)
    for case in (ILETIMERKEZI, ILETIMERKEZI_XML):
        assert case.report is not None
        assert case.rows is not None
        rows = case.rows(providers.ask(case.report([job_id], 0, 100)))
        assert [status for number, status in rows if number.endswith(no)] == [112]


def test_errors_of_ours_are_xml_where_the_request_is(providers: Providers) -> None:
    """The same code as in JSON, in the syntax that the client reads."""
    request = ILETIMERKEZI_XML.compose([(providers.consenting(), "Bahar")], INDIVIDUAL)
    wrong = request._replace(body=request.body.replace(b"<number>", b"<gsm>1</gsm><number>"))
    answer = providers.ask(wrong)
    assert answer.status == 400
    assert b"<code>400</code>" in answer.body


def test_a_status_asked_by_the_sender_s_own_id_shows_who_was_left_out(providers: Providers) -> None:
    """Of a campaign that went out in part, and of one that never left."""
    yes, no, nobody = providers.consenting(), providers.refusing(), providers.refusing()
    account = {"username": "908500000001", "password": "sifre-1"}
    for people in ([yes, no], [nobody]):
        asked = {
            **account,
            "source_addr": "ORNEK",
            "custom_id": "bahar-7",
            "is_commercial": True,
            "iys_recipient_type": "BIREYSEL",
            "messages": [{"msg": f"Bahar {people[0]}", "dest": ",".join(people)}],
        }
        answer = requests.post(f"{providers.url}/v2/send.json", json=asked, timeout=20)
        assert answer.status_code == 200, answer.text
    statuses: dict[str, str] = {}
    deadline = time.monotonic() + 10
    while len(statuses) < 3 and time.monotonic() < deadline:  # another worker sees them a moment later
        time.sleep(0.5)
        rows = requests.get(f"{providers.url}/v2/status", {**account, "custom_id": "bahar-7"}, timeout=20).json()
        statuses = {row["dest"]: row["status"] for row in rows}
    assert set(statuses) == {yes, no, nobody}
    assert [statuses[number] for number in (no, nobody)] == ["NOT_ALLOWED_BY_IYS"] * 2
    assert {row["campaign_custom_id"] for row in rows} == {"bahar-7"}


def test_the_sender_s_own_address_hears_of_everybody(providers: Providers) -> None:
    """The provider's rows as it posts them, and ours for those who were left out, in one form."""
    yes, no = providers.consenting(), providers.refusing()
    providers.send(VERIMOR, [(yes, "Bahar, haberli"), (no, "Bahar, haberli")])
    simulator = providers.simulators["verimor"]
    simulator.shifted_s += 60
    path = f"{providers.url}/sms/delivery/{SECRET}-verimor"
    rows = [row for page in simulator.pushes() for row in page if row.get("dest") == yes]
    answer = requests.post(path, json=rows, timeout=20)
    assert (answer.status_code, answer.text) == (200, "OK")
    told: dict[str, str] = {}
    deadline = time.monotonic() + 10
    while len(told) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
        told = {
            row["dest"]: row["status"]
            for path, rows in providers.reported
            if path == "/verimor"
            for row in rows
            if row["dest"] in (yes, no)
        }
    assert told == {yes: "DELIVERED", no: "NOT_ALLOWED_BY_IYS"}


def test_iletimerkezi_s_webhook_tells_of_everybody_too(providers: Providers) -> None:
    """Sent in XML; each message is a post of its own, the dropped one's by the gateway."""
    yes, no = providers.consenting(), providers.refusing()
    answer = providers.send(ILETIMERKEZI_XML, [(yes, "Bahar, habersiz"), (no, "Bahar, habersiz")])
    order = int(ILETIMERKEZI_XML.job_id(answer))
    simulator = providers.simulators["iletimerkezi"]
    simulator.shifted_s += 60
    for report in simulator.pushes():
        if report["report"]["packet_id"] == order:
            path = f"{providers.url}/sms/delivery/{SECRET}-iletimerkezi"
            assert requests.post(path, json=report, timeout=20).status_code == 200
    told: dict[str, tuple[str, str]] = {}
    deadline = time.monotonic() + 10
    while len(told) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
        reports = [body["report"] for path, body in providers.reported if path == "/iletimerkezi"]
        told = {each["to"]: (each["status"], each["body"][:15]) for each in reports if each["packet_id"] == order}
    assert told == {f"+{yes}": ("delivered", "Bahar, habersiz"), f"+{no}": ("undelivered", "Bahar, habersiz")}


@pytest.mark.parametrize("case", [ILETIMERKEZI, VERIMOR], ids=str)
def test_informational_messages_go_to_everybody_unchanged(providers: Providers, case: DialectCase) -> None:
    """The sender's tag says so, and the sender answers for it."""
    people = [providers.consenting(), providers.refusing()]
    assert case.is_success(providers.send(case, [(number, "Kargonuz yolda") for number in people], INFORMATIONAL))
    assert providers.taken(case, *people) == [(number, "Kargonuz yolda") for number in people]


@pytest.mark.parametrize("case", [ILETIMERKEZI, VERIMOR], ids=str)
def test_the_same_request_again_is_the_provider_s_to_refuse_and_reaches_nobody_twice(
    providers: Providers, case: DialectCase
) -> None:
    """451 and MUKERRER_RAPORLAMA come from the provider, and no success is made of them."""
    person = providers.consenting()
    first = providers.send(case, [(person, "Bahar, bir kez")])
    again = providers.send(case, [(person, "Bahar, bir kez")])
    assert case.is_success(first)
    assert not case.is_success(again)
    assert len(providers.taken(case, person)) == 1


def test_a_wrong_password_is_refused_in_the_provider_s_form(providers: Providers) -> None:
    """401 in both, as JSON and as text."""
    pair = [(providers.consenting(), "Bahar")]
    for case in (ILETIMERKEZI, VERIMOR):
        request = case.compose(pair, INDIVIDUAL)
        wrong = request._replace(body=request.body.replace(b"ozet-1", b"falsch").replace(b"sifre-1", b"falsch"))
        assert providers.ask(wrong).status == 401


def test_fields_that_nobody_knows_are_refused_in_the_provider_s_form(providers: Providers) -> None:
    """400, and the provider hears nothing."""
    pair = [(providers.consenting(), "Bahar")]
    for case in (ILETIMERKEZI, VERIMOR):
        before = len(providers.simulators[case.dialect.name].requests)
        request = case.compose(pair, INDIVIDUAL)
        body = json.loads(request.body)
        order = body["request"]["order"] if "request" in body else body
        order["recipients"] = [providers.refusing()]
        assert providers.ask(request._replace(body=json.dumps(body).encode())).status == 400
        assert len(providers.simulators[case.dialect.name].requests) == before

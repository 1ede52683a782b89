"""A refusal by the link or the address in a real mail: in force everywhere at once, for good, and proved."""

from __future__ import annotations

import json
import shutil
import smtplib
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.support.gateway_process import (
    BRAND,
    NEWS,
    ORDER,
    SENDER,
    GatewayProcess,
    consent_rows,
    hours_ago,
    render_csv,
    wait_until,
)
from tests.support.redis_server import RedisServer

REFUSALS_MEASURED = 50
IN_FORCE_WITHIN_S = 1.0


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def pair(make_shared_gateway: Callable[..., GatewayProcess], redis: RedisServer) -> tuple[GatewayProcess, ...]:
    """Two gateways as two machines would run them: one Redis, the same secrets, nothing else in common."""
    first = make_shared_gateway(store=redis.url)
    secrets = str(first.directory / "var" / "secrets")
    second = make_shared_gateway(
        store=redis.url, consents=None, change=lambda settings: settings.update(secrets={"directory": secrets})
    )
    return first, second


@pytest.fixture(params=["lmdb", "redis"])
def either(request: pytest.FixtureRequest) -> GatewayProcess:
    """A gateway on each kind of store."""
    if request.param == "lmdb":
        return request.getfixturevalue("gateway")
    return request.getfixturevalue("pair")[0]


def receive(gateway: GatewayProcess, person: str, content: bytes = NEWS) -> str:
    """Somebody gets a newsletter; the link in it."""
    assert gateway.send(content, [person]).code == 250
    return gateway.sink.messages(person)[-1].link


def reason_given(
    gateway: GatewayProcess, person: str, client: smtplib.SMTP | None = None, content: bytes = NEWS
) -> str:
    """What the next newsletter to ``person`` is answered with: the code, and the reason if there is one."""
    answer = gateway.send(content, [person], client=client)
    return "250" if answer.code == 250 else f"{answer.code} {answer.text.split()[1]}"


def test_whoever_only_looks_at_the_link_refuses_nothing(gateway: GatewayProcess) -> None:
    """Link checkers, previews and prefetching fetch every address there is."""
    person = gateway.consenting()
    link = receive(gateway, person)
    status, page = gateway.visit(link)
    assert status == 200
    assert "<form" in page
    assert "Örnek Mağaza" in page
    for method in ("HEAD", "OPTIONS", "PUT", "DELETE"):
        gateway.visit(link, method=method)
    assert reason_given(gateway, person) == "250"


def test_one_press_is_in_force_on_every_worker_at_once(either: GatewayProcess) -> None:
    """Sessions that were open before, on both workers: the next decision of each refuses."""
    person = either.consenting()
    link = receive(either, person)
    with ExitStack() as sessions:
        clients = [sessions.enter_context(either.connect()) for _ in range(12)]
        wait_until(
            lambda: all(worker.get("sessions") for worker in either.status()["workers"]), "both workers have some"
        )
        assert len(either.status()["workers"]) == 2
        before = [reason_given(either, person, client) for client in clients]
        either.press(link)
        after = [reason_given(either, person, client) for client in clients]
    assert before == ["250"] * 12
    assert after == ["550 LOCAL_RET"] * 12
    assert len(either.sink.messages(person)) == 13


def test_a_refusal_on_one_gateway_is_in_force_on_another_within_a_second(pair: tuple[GatewayProcess, ...]) -> None:
    """Fifty times: from the press on the first machine to the refusal given by the second."""
    first, second = pair
    people = [first.consenting() for _ in range(REFUSALS_MEASURED)]
    links = [receive(first, person) for person in people]
    from_press, from_confirmation, decisions = [], [], []
    with second.connect() as client:
        for person, link in zip(people, links, strict=True):
            pressed_at = time.perf_counter()
            first.press(link)
            confirmed_at = time.perf_counter()
            count = 1
            while reason_given(second, person, client) == "250":
                count += 1
            refused_at = time.perf_counter()
            from_press.append(refused_at - pressed_at)
            from_confirmation.append(refused_at - confirmed_at)
            decisions.append(count)
    for name, taken_s in (("press", from_press), ("confirmation", from_confirmation)):
        hundredths = statistics.quantiles(taken_s, n=100)
        print(f"from {name}: p50 {hundredths[49] * 1000:.1f} ms, p99 {hundredths[98] * 1000:.1f} ms")
        assert hundredths[98] < IN_FORCE_WITHIN_S
    assert decisions == [1] * REFUSALS_MEASURED


def test_a_refusal_outlives_a_restart_and_yields_only_to_a_later_consent(either: GatewayProcess) -> None:
    """An older consent that is imported again does not lift it, whenever it comes; a newer one does (E3, E4)."""
    person = either.consenting()
    # Declared an individual: a refusal of mail that declares no type stands for both types, and so does its end.
    news = b"X-Izin-Recipient-Type: individual\r\n" + NEWS
    either.press(receive(either, person, news))
    assert either.terminate() == 0
    either.start(consents=None)
    assert reason_given(either, person, content=news) == "550 LOCAL_RET"
    (row,) = consent_rows([person])
    either.load_consents(render_csv([row]))
    assert reason_given(either, person, content=news) == "550 LOCAL_RET"
    time.sleep(1.1)  # consents are dated in whole seconds
    either.load_consents(render_csv([(*row[:-1], hours_ago(0))]))
    assert reason_given(either, person, content=news) == "250"


def test_who_refused_still_gets_his_order_confirmed(gateway: GatewayProcess) -> None:
    """A refusal ends advertising, not the mail that goes with a purchase (row R15)."""
    person = gateway.consenting()
    gateway.press(receive(gateway, person))
    assert gateway.send(ORDER, [person]).code == 250


def test_the_evidence_tells_the_whole_story_and_verifies(gateway: GatewayProcess) -> None:
    """Sent with consent, refused through our link, dropped from then on, in this order; and no record was altered."""
    person = gateway.consenting()
    gateway.press(receive(gateway, person))
    assert reason_given(gateway, person) == "550 LOCAL_RET"
    found = gateway.izinkapi("evidence", "find", "--recipient", person, "--json")
    assert found.returncode == 0, found.stderr
    assert person.partition("@")[0] not in found.stdout
    records = [each["record"] for each in json.loads(found.stdout)["records"]]
    assert [record["kind"] for record in records] == ["decision", "refusal", "decision"]
    sent, refused, dropped = records
    assert [(each["reason"], each["outcome"]) for each in sent["recipients"]] == [("CONSENT", "relayed")]
    assert [(each["reason"], each["outcome"]) for each in dropped["recipients"]] == [("LOCAL_RET", "dropped")]
    assert sent["recipients"][0]["sent_sha256"] == sha256(gateway.sink.only_message(person).content).hexdigest()
    assert refused["source"] == "HS_EPOSTA"
    verified = gateway.izinkapi("evidence", "verify", "--json")
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["intact"] is True


def test_a_refusal_by_mail_counts_like_a_press(gateway: GatewayProcess) -> None:
    """To the address and with the subject that the header names, from any mail program."""
    person, other = gateway.consenting(), gateway.consenting()
    receive(gateway, other)
    receive(gateway, person)
    uri = urlsplit(gateway.sink.only_message(person).mailto)
    subject = parse_qs(uri.query)["subject"][0]
    program = shutil.which("swaks")
    assert program, "swaks is missing: sh config/requirements/system-packages.sh"
    said = subprocess.run(
        [
            *(program, "--server", f"127.0.0.1:{gateway.ports['intake']}", "--from", person, "--to", unquote(uri.path)),
            *("--header", f"Subject: {subject}", "--body", "istemiyorum"),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert said.returncode == 0, said.stdout
    assert reason_given(gateway, person) == "550 LOCAL_RET"
    assert reason_given(gateway, other) == "250"


def test_an_address_nobody_gave_out_takes_no_refusal(gateway: GatewayProcess) -> None:
    """550 at RCPT, and the mail is not taken."""
    with smtplib.SMTP("127.0.0.1", gateway.ports["intake"]) as client:
        client.ehlo("mail.customer.example")
        client.mail(SENDER)
        invented = "ret-" + "0" * 54 + "@izin.shop.example"
        assert [client.rcpt(address)[0] for address in (invented, "info@izin.shop.example")] == [550, 550]


def test_a_refusal_waits_for_the_registry(gateway: GatewayProcess) -> None:
    """Its reports, one for each recipient type it stands for, are in the store in the same step."""

    def waiting() -> int:
        stats = gateway.izinkapi("consents", "stats", "--json")
        return int(json.loads(stats.stdout)["outbox"].get(str(BRAND), 0))

    before = waiting()
    gateway.press(receive(gateway, gateway.consenting()))
    assert waiting() == before + 2

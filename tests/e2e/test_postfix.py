"""A Postfix before the gateway, as its relayhost's client with TLS and login, and a Postfix behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from tests.support.arrived_mail import breaches
from tests.support.gateway_process import (
    LOGIN,
    NEWS,
    NEWS_SENDER,
    ORDER,
    SENDER,
    Delivered,
    GatewayProcess,
    hours_ago,
    people_csv,
    wait_until,
)
from tests.support.postfix_server import PostfixServer, may_run


def relaying_through(gateway: GatewayProcess) -> PostfixServer:
    """All that changes in its main.cf is where mail goes; ``NEWS_SENDER`` has the port whose class is fixed."""
    port, marketing = gateway.ports["starttls"], gateway.ports["marketing"]
    return PostfixServer(
        f"relayhost = [localhost]:{port}",
        "smtp_tls_security_level = secure",
        f"smtp_tls_CAfile = {gateway.certificate}",
        "smtp_sasl_auth_enable = yes",
        "smtp_sasl_security_options = noanonymous",
        f"smtp_sasl_password_maps = inline:{{{{[localhost]:{port} = {LOGIN[0]}:{LOGIN[1]}}}}}",
        f"sender_dependent_relayhost_maps = inline:{{{{{NEWS_SENDER} = [127.0.0.1]:{marketing}}}}}",
        f"smtp_tls_policy_maps = inline:{{{{[127.0.0.1]:{marketing} = none}}}}",
    )


@pytest.fixture
def make_postfix() -> Iterator[Callable[[PostfixServer], PostfixServer]]:
    servers: list[PostfixServer] = []

    def start(server: PostfixServer) -> PostfixServer:
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        print(server.log.read_text("utf-8", "replace") if server.log.exists() else "")
        server.stop()


@pytest.fixture(scope="module")
def postfix(gateway: GatewayProcess) -> Iterator[PostfixServer]:
    """A relayhost's client of the module's gateway."""
    server = relaying_through(gateway)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize("sender", [SENDER, NEWS_SENDER], ids=["answered-after-data", "answered-at-rcpt"])
def test_postfix_delivers_to_those_who_consented(request: pytest.FixtureRequest, sender: str) -> None:
    """Of three recipients one gets a copy; the sender hears of the others where the protocol has room for it."""
    if not may_run():
        return
    gateway, postfix = request.getfixturevalue("gateway"), request.getfixturevalue("postfix")
    wanted, refusing, stranger = gateway.consenting(), gateway.refusing(), gateway.stranger()
    assert postfix.send(NEWS, [wanted, refusing, stranger], sender).code == 250
    wait_until(lambda: len(postfix.deliveries(stranger)) == 1 and postfix.is_empty(), "Postfix is done")
    assert breaches(gateway.sink.only_message(wanted)) == []
    assert [gateway.sink.messages(person) for person in (refusing, stranger)] == [[], []]
    fates = [postfix.deliveries(person)[0] for person in (wanted, refusing, stranger)]
    if sender == SENDER:
        assert all(fate.startswith("sent (250 2.0.0 1 relayed, 2 dropped") for fate in fates)
    else:
        assert fates[0].startswith("sent (250 2.0.0")
        assert "550 5.7.1 REFUSED" in fates[1]
        assert "550 5.7.1 NO_CONSENT" in fates[2]


def test_a_message_nobody_may_have_bounces_with_the_reason(request: pytest.FixtureRequest) -> None:
    """Postfix keeps the bounce for its own sender; it says why and who can mend it, and the gateway never sees it."""
    if not may_run():
        return
    gateway, postfix = request.getfixturevalue("gateway"), request.getfixturevalue("postfix")
    stranger = gateway.stranger()
    taken = len(gateway.sink.messages())
    before = len(postfix.mailbox())
    assert postfix.send(NEWS, [stranger], SENDER).code == 250
    wait_until(lambda: len(postfix.mailbox()) > before and postfix.is_empty(), "the bounce is delivered")
    bounce = message_from_bytes(postfix.mailbox()[-1], policy=policy.default)
    assert isinstance(bounce, EmailMessage)
    assert bounce.get_content_type() == "multipart/report"
    said = " ".join(postfix.mailbox()[-1].decode().split())
    assert "550 5.7.1 NO_CONSENT" in said
    assert "the sender obtains one and records it in the registry" in said
    assert len(gateway.sink.messages()) == taken


def test_informational_mail_goes_to_all(request: pytest.FixtureRequest) -> None:
    """One transaction for three recipients, whatever the registry says of them (row R15)."""
    if not may_run():
        return
    gateway, postfix = request.getfixturevalue("gateway"), request.getfixturevalue("postfix")
    people = [gateway.consenting(), gateway.refusing(), gateway.stranger()]
    assert postfix.send(ORDER, people, SENDER).code == 250
    wait_until(postfix.is_empty, "Postfix is done")
    message = gateway.sink.only_message(people[0])
    assert sorted(message.recipients) == sorted(people)
    assert message.content.endswith(ORDER.replace(b"X-Izin-Class: informational\r\n", b""))


def test_a_retry_after_a_partial_failure_reaches_each_recipient_once(request: pytest.FixtureRequest) -> None:
    """The next hop takes two of four copies and defers two; Postfix sends all four again, and only two are new."""
    if not may_run():
        return
    gateway, postfix = request.getfixturevalue("gateway"), request.getfixturevalue("postfix")
    gateway.sink.stop()
    gateway.sink.options = ("--fault", "from=2,to=3:tempfail-data")
    gateway.sink.start()
    wait_until(lambda: gateway.ready()[0], "the next hop is found again")
    people = [gateway.consenting() for _ in range(4)]
    assert postfix.send(NEWS, people, SENDER).code == 250
    wait_until(lambda: postfix.deliveries(people[0])[1:] and postfix.is_empty(), "Postfix is done")
    for person in people:
        first, *others = postfix.deliveries(person)
        assert first.startswith("deferred (")
        assert "2 of 4 relayed, 2 deferred, a retry sends only the rest" in first
        assert others[-1].startswith("sent (250 ")
        assert breaches(gateway.sink.only_message(person)) == []


def test_mail_waits_in_postfix_while_the_index_is_stale(
    make_gateway: Callable[..., GatewayProcess], make_postfix: Callable[[PostfixServer], PostfixServer]
) -> None:
    """451 and a queue on the client's side; an import is all it takes, and nobody gets it twice."""
    if not may_run():
        return
    gateway = make_gateway(workers=1, consents=None, waits=False)
    consents = gateway.directory / "consents.csv"
    consents.write_text(people_csv(), encoding="utf-8")
    words = ("consents", "import", "--brand", "600123", str(consents), "--synced-at")
    assert gateway.izinkapi(*words, hours_ago(30)).returncode == 0
    postfix = make_postfix(relaying_through(gateway))
    wait_until(lambda: gateway.ready()[1] == ["brand 600123: index is stale"], "the gateway is up and its index stale")
    people = [gateway.consenting(), gateway.consenting(), gateway.refusing()]
    assert postfix.send(NEWS, people, SENDER).code == 250
    wait_until(lambda: len(postfix.deliveries(people[0])) >= 2, "Postfix has tried more than once")
    assert all("deferred (" in fate and "STALE" in fate for fate in postfix.deliveries(people[0]))
    assert gateway.sink.messages() == []
    assert gateway.izinkapi(*words, hours_ago(0)).returncode == 0
    wait_until(postfix.is_empty, "Postfix is done")
    assert [len(gateway.sink.messages(person)) for person in people] == [1, 1, 0]


def test_a_postfix_is_the_next_hop(
    make_gateway: Callable[..., GatewayProcess], make_postfix: Callable[[PostfixServer], PostfixServer]
) -> None:
    """Over TLS with its certificate checked: what lies in the recipient's mailbox is as the law wants it."""
    if not may_run():
        return
    gateway = make_gateway(workers=1, waits=False, consents="")
    postfix = make_postfix(
        PostfixServer(
            "smtpd_tls_security_level = encrypt",
            f"smtpd_tls_chain_files = {gateway.private_key}, {gateway.certificate}",
            domain="customer.example",
        )
    )
    gateway.settings["upstreams"]["smtp"] = [
        {
            "name": "relay",
            "address": f"localhost:{postfix.port}",
            "tls": "starttls",
            "ca_file": str(gateway.certificate),
        }
    ]
    gateway.wait_until_ready()
    assert gateway.reload()["last_reload_problem"] == ""
    gateway.wait_until_ready()
    person, refusing = gateway.consenting(), gateway.refusing()
    assert gateway.send(NEWS, [person, refusing]).code == 250
    wait_until(lambda: postfix.mailbox() and postfix.is_empty(), "the mail is delivered")
    (content,) = postfix.mailbox()
    arrived = Delivered(1, SENDER, (person,), "", ("",), content.replace(b"\n", b"\r\n"))
    assert breaches(arrived, NEWS) == []
    assert arrived.mail["Delivered-To"] == person

"""Mail programs that others wrote send through the gateway; nothing of theirs changes but host and port."""

from __future__ import annotations

import json
import shutil
import smtplib
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Any

import pytest

from tests.support.arrived_mail import attachments, breaches, is_untouched
from tests.support.gateway_process import LOGIN, NEWS, NEWS_SENDER, SENDER, GatewayProcess, consent_rows, render_csv

CLIENTS = Path(__file__).parent / "clients"
LOGO = bytes(range(256)) * 40


def newsletter(**fields: str) -> EmailMessage:
    """As a program makes it with Python: text, HTML, a logo, Turkish letters in the subject."""
    mail = EmailMessage()
    mail["From"] = f"Örnek Mağaza <{SENDER}>"
    mail["Subject"] = "KAMPANYA: İlkbahar indirimi, şimdi başladı"
    mail["Date"] = format_datetime(datetime(2026, 11, 21, 10, tzinfo=UTC))
    mail["Message-ID"] = make_msgid(domain="shop.example")
    for name, value in fields.items():
        mail[name.replace("_", "-")] = value
    mail.set_content("Merhaba,\n\nöğleden sonra görüşürüz.\n")
    mail.add_alternative("<html><body><h1>İndirim</h1><p>Öğleden sonra.</p></body></html>", subtype="html")
    mail.add_attachment(LOGO, maintype="image", subtype="png", filename="logo.png")
    return mail


# -- Python's smtplib --------------------------------------------------------------------------------------------


def test_smtplib_sends_a_newsletter_and_only_those_who_consented_get_it(gateway: GatewayProcess) -> None:
    """One message to four people leaves as a personal copy for each of the two who consented."""
    mail = newsletter(X_Izin_Class="commercial", X_Izin_Campaign="ilkbahar", List_Unsubscribe="<http://old.example/>")
    wanted = [gateway.consenting(), gateway.consenting()]
    unwanted = [gateway.refusing(), gateway.stranger()]
    with gateway.connect() as client:
        assert client.send_message(mail, SENDER, [*unwanted, *wanted]) == {}
    copies = [gateway.sink.only_message(recipient) for recipient in wanted]
    assert [breaches(copy) for copy in copies] == [[], []]
    assert [attachments(copy.mail) for copy in copies] == [{"logo.png": LOGO}] * 2
    assert [str(copy.mail["Subject"]) for copy in copies] == ["KAMPANYA: İlkbahar indirimi, şimdi başladı"] * 2
    assert copies[0].link != copies[1].link
    assert [gateway.sink.messages(recipient) for recipient in unwanted] == [[], []]


def test_what_need_not_change_arrives_byte_for_byte(gateway: GatewayProcess) -> None:
    """Of a commercial mail all but the opt-out, of an informational one all but the tag."""
    recipient, refusing = gateway.consenting(), gateway.refusing()
    sent = newsletter(X_Izin_Class="commercial").as_bytes(policy=newsletter().policy.clone(linesep="\r\n"))
    assert gateway.send(sent, [recipient]).code == 250
    assert breaches(gateway.sink.only_message(recipient), sent) == []
    order = sent.replace(b"commercial", b"informational", 1)
    assert gateway.send(order, [refusing]).code == 250
    assert is_untouched(gateway.sink.only_message(refusing), order)


def test_smtplib_hears_why_nobody_was_left(gateway: GatewayProcess) -> None:
    """The reply names the reason and who can mend it; the library raises it as an error of the message."""
    with gateway.connect() as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.sendmail(SENDER, [gateway.refusing(), gateway.refusing()], NEWS)
    assert refused.value.smtp_code == 550
    assert refused.value.smtp_error.startswith(b"5.7.1 REFUSED")


@pytest.mark.parametrize(("listener", "sender"), [("marketing", SENDER), ("smtp", NEWS_SENDER)], ids=["port", "sender"])
def test_smtplib_hears_of_each_recipient_at_rcpt_where_the_class_is_fixed(
    gateway: GatewayProcess, listener: str, sender: str
) -> None:
    """By port or by sender: 550 for those who may not have it, each in the library's answer and in the evidence."""
    wanted, stranger, refusing = gateway.consenting(), gateway.stranger(), gateway.refusing()
    with gateway.connect(listener) as client:
        refused = client.sendmail(sender, [wanted, stranger, refusing], NEWS)
    assert {who: (code, text.split()[1]) for who, (code, text) in refused.items()} == {
        stranger: (550, b"NO_CONSENT:"),
        refusing: (550, b"REFUSED:"),
    }
    assert breaches(gateway.sink.only_message(wanted), NEWS) == []
    assert gateway.sink.messages(stranger) == []
    found = gateway.izinkapi("evidence", "find", "--recipient", stranger, "--json")
    (record,) = json.loads(found.stdout)["records"]
    assert [entry["reason"] for entry in record["record"]["recipients"]] == ["NO_CONSENT"]


def test_lmtp_answers_for_each_recipient(gateway: GatewayProcess) -> None:
    """After the final dot there is one reply each, in the order of the recipients."""
    people = [gateway.consenting(), gateway.refusing(), gateway.consenting(), gateway.stranger()]
    with gateway.connect("lmtp") as client:
        client.ehlo("shop.example")
        client.mail(SENDER)
        assert [client.rcpt(person)[0] for person in people] == [250] * 4
        answers = [client.data(NEWS), *(client.getreply() for _ in people[1:])]
    assert [code for code, _ in answers] == [250, 550, 250, 550]
    assert [len(gateway.sink.messages(person)) for person in people] == [1, 0, 1, 0]


def test_prdr_answers_for_each_recipient(gateway: GatewayProcess) -> None:
    """353, one reply each, and the reply to the message (draft-hall-prdr)."""
    people = [gateway.consenting(), gateway.refusing()]
    with gateway.connect() as client:
        client.ehlo()
        assert client.has_extn("prdr")
        client.mail(SENDER, ["PRDR"])
        for person in people:
            client.rcpt(person)
        first = client.data(NEWS)
        answers = [client.getreply() for _ in people]
        of_all, _ = client.getreply()
    assert (first[0], of_all) == (353, 250)
    assert [code for code, _ in answers] == [250, 550]
    assert [len(gateway.sink.messages(person)) for person in people] == [1, 0]


def test_smtplib_sends_with_tls_and_login(gateway: GatewayProcess) -> None:
    """STARTTLS and TLS from the first byte, with the certificate checked and the password never in clear."""
    starttls, implicit = gateway.consenting(), gateway.consenting()
    with gateway.connect("starttls") as client:
        client.starttls(context=gateway.trust)
        client.login(*LOGIN)
        client.sendmail(SENDER, [starttls], NEWS)
    with gateway.connect("tls") as client:
        client.login(*LOGIN)
        client.sendmail(SENDER, [implicit], NEWS)
    assert [breaches(gateway.sink.only_message(person), NEWS) for person in (starttls, implicit)] == [[], []]


def test_smtplib_sends_letters_beyond_ascii_in_header_and_address(gateway: GatewayProcess) -> None:
    """SMTPUTF8 (RFC 6531): the domain's two spellings are one, so the consent under the A-label counts."""
    mail = newsletter()
    recipient = "ömer@çiçek.example"
    gateway.load_consents(render_csv(consent_rows(["ömer@xn--iek-1lab.example"])))
    with gateway.connect() as client:
        assert client.send_message(mail, SENDER, [recipient]) == {}
    (message,) = [each for each in gateway.sink.messages() if each.recipients[0].startswith("ömer@")]
    assert breaches(message) == []
    assert "SMTPUTF8" in message.mail_parameters


# -- swaks -------------------------------------------------------------------------------------------------------


def swaks(gateway: GatewayProcess, listener: str, recipient: str, *options: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("swaks")
    assert program, "swaks is missing: sh config/requirements/system-packages.sh"
    return subprocess.run(
        [
            *(program, "--server", f"localhost:{gateway.ports[listener]}", "--from", SENDER, "--to", recipient),
            *("--helo", "shop.example", "--header", "Subject: KAMPANYA", "--body", "Merhaba.\n.\nSon.\n", *options),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("listener", "options"),
    [
        ("smtp", ()),
        ("smtp", ("--pipeline",)),
        ("smtp", ("--attach-type", "text/html", "--attach", "<p>Merhaba</p>")),
        ("smtp", ("--auth", "PLAIN")),
        ("lmtp", ("--protocol", "LMTP")),
        ("starttls", ("--tls", "--auth", "LOGIN")),
        ("tls", ("--tlsc", "--auth", "PLAIN")),
    ],
    ids=["plain", "pipeline", "attachment", "auth", "lmtp", "starttls-login", "implicit-tls-plain"],
)
def test_swaks_sends(gateway: GatewayProcess, listener: str, options: tuple[str, ...]) -> None:
    """In each of its ways; what it sends to somebody who refused comes back as an error."""
    login = ("--auth-user", LOGIN[0], "--auth-password", LOGIN[1]) if "--auth" in options else ()
    wanted, unwanted = gateway.consenting(), gateway.refusing()
    said = swaks(gateway, listener, wanted, *options, *login)
    assert said.returncode == 0, said.stdout
    message = gateway.sink.only_message(wanted)
    assert breaches(message) == []
    assert "Merhaba." in message.mail.get_body(("plain",)).get_content()
    refused = swaks(gateway, listener, unwanted, *options, *login)
    assert refused.returncode != 0
    assert "550 5.7.1 REFUSED" in refused.stdout
    assert gateway.sink.messages(unwanted) == []


def test_swaks_with_a_wrong_password_sends_nothing(gateway: GatewayProcess) -> None:
    """535, with nothing that helps guessing."""
    login = ("--auth", "PLAIN", "--auth-user", LOGIN[0], "--auth-password", "wrong")
    said = swaks(gateway, "starttls", gateway.consenting(), "--tls", *login)
    assert said.returncode != 0
    assert "535 5.7.8" in said.stdout


# -- nodemailer --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nodemailer(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[dict[str, Any]]]:
    """``nodemailer(transport, messages)``: what the library says of each; installed in the version that is pinned."""
    npm, node = shutil.which("npm"), shutil.which("node")
    assert npm is not None, "npm is missing: sh config/requirements/system-packages.sh"
    assert node is not None, "nodejs is missing: sh config/requirements/system-packages.sh"
    folder = tmp_path_factory.mktemp("clients")
    for name in ("package.json", "package-lock.json", "send.js"):
        shutil.copy(CLIENTS / name, folder)
    quiet = ("--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--no-update-notifier")
    installed = subprocess.run([npm, "ci", *quiet], cwd=folder, capture_output=True, text=True, timeout=90, check=False)
    assert installed.returncode == 0, installed.stderr

    def send(transport: dict[str, Any], messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        order = json.dumps({"transport": transport, "messages": messages})
        done = subprocess.run(
            [node, "send.js"], cwd=folder, input=order, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        fates: list[dict[str, Any]] = json.loads(done.stdout)
        return fates

    return send


def nodemailer_message(recipients: list[str], **more: Any) -> dict[str, Any]:
    return {
        "from": f"Örnek Mağaza <{SENDER}>",
        "to": recipients,
        "subject": "KAMPANYA: İlkbahar indirimi, şimdi başladı, öğleden sonraya kadar sürüyor",
        "text": "Merhaba,\n\nöğleden sonra görüşürüz.\n",
        "html": "<html><body><h1>İndirim</h1><p>Öğleden sonra.</p></body></html>",
        "attachments": [{"filename": "logo.png", "content": LOGO.hex(), "encoding": "hex"}],
        "list": {
            "unsubscribe": {"url": "https://old.example/unsubscribe", "comment": "old"},
            "id": "haber.shop.example",
        },
        **more,
    }


@pytest.mark.parametrize("is_pooled", [False, True], ids=["single", "pooled"])
def test_nodemailer_sends(gateway: GatewayProcess, nodemailer: Any, is_pooled: bool) -> None:
    """Text, HTML, attachment, Turkish subject and its own list headers, over one connection or over a pool."""
    people = [gateway.consenting() for _ in range(10)]
    unwanted = gateway.stranger()
    transport = {"host": "localhost", "port": gateway.ports["smtp"], "pool": is_pooled, "ignoreTLS": True}
    messages = [nodemailer_message([person, unwanted]) for person in people]
    fates = nodemailer(transport, [*messages, nodemailer_message([unwanted])])
    assert [fate["response"][:29] for fate in fates[:-1]] == ["250 2.0.0 1 relayed, 1 dropped"[:29]] * 10
    assert fates[-1]["code"] == 550
    assert "NO_CONSENT" in fates[-1]["response"]
    for person in people:
        copy = gateway.sink.only_message(person)
        assert breaches(copy) == []
        assert attachments(copy.mail) == {"logo.png": LOGO}
        assert str(copy.mail["Subject"]) == messages[0]["subject"]
        assert "haber.shop.example" in str(copy.mail["List-ID"])
    assert gateway.sink.messages(unwanted) == []


def test_nodemailer_sends_over_tls_with_a_login_and_asks_for_delivery_reports(
    gateway: GatewayProcess, nodemailer: Any
) -> None:
    """DSN parameters (RFC 3461) reach the next hop as they were given."""
    person = gateway.consenting()
    transport = {
        "host": "localhost",
        "port": gateway.ports["starttls"],
        "requireTLS": True,
        "auth": {"user": LOGIN[0], "pass": LOGIN[1]},
        "tls": {"ca": gateway.certificate.read_text()},
    }
    dsn = {"id": "kampanya-17", "return": "headers", "notify": ["failure", "delay"], "recipient": SENDER}
    (fate,) = nodemailer(transport, [nodemailer_message([person], dsn=dsn)])
    assert fate["response"].startswith("250 2.0.0")
    copy = gateway.sink.only_message(person)
    assert breaches(copy) == []
    assert {"RET=HDRS", "ENVID=kampanya-17"} <= set(copy.mail_parameters.split())
    assert set(copy.rcpt_parameters[0].split()) == {"NOTIFY=FAILURE,DELAY", f"ORCPT=rfc822;{SENDER}"}


def test_what_nodemailer_makes_is_changed_in_nothing_else(gateway: GatewayProcess, nodemailer: Any) -> None:
    """The same mail sent straight to the next hop and through the gateway: judged octet for octet."""
    person = gateway.consenting()
    fixed = {
        "messageId": "<fixed@shop.example>",
        "date": "Sat, 21 Nov 2026 10:00:00 +0300",
        "baseBoundary": "fixed",
        "list": {},
    }
    message = nodemailer_message([person], **fixed)
    for port in (gateway.sink.port, gateway.ports["smtp"]):
        nodemailer({"host": "localhost", "port": port, "ignoreTLS": True}, [message])
    direct, relayed = gateway.sink.messages(person)
    assert breaches(relayed, direct.content) == []
    nodemailer(
        {"host": "localhost", "port": gateway.ports["smtp"], "ignoreTLS": True},
        [nodemailer_message([person], **fixed, headers={"X-Izin-Class": "informational"})],
    )
    assert is_untouched(gateway.sink.messages(person)[-1], direct.content)

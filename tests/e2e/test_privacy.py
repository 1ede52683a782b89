"""No address of a person in anything the gateway writes or shows, at debug level, whatever went wrong meanwhile."""

from __future__ import annotations

import base64
import shutil
import smtplib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.gateway_process import LOGIN, NEWS, ORDER, GatewayProcess, consent_rows, render_csv, wait_until
from tests.support.redis_server import RedisServer

SENDER = "gizli.gonderen@gonderici.example"
PEOPLE = [f"alici-{number}@musteri.example" for number in range(4)]
TURKISH = "gönül.çelik@müşteri.example"
FAILING = [f"{fault}+gizli@musteri.example" for fault in ("permfail-rcpt", "tempfail-data", "garbage")]
NAMES = ("gizli", "gönül", "alici-")
"""Each address and password of this test has one of them; nothing else in it does."""


@pytest.mark.parametrize("store", ["lmdb", "redis"])
def test_no_file_log_metric_or_page_names_a_person(
    make_gateway: Callable[..., GatewayProcess], make_redis: Callable[..., RedisServer], store: str
) -> None:
    """Relayed, dropped, refused, deferred, malformed, a wrong login, refusals by link and by mail, a lost next hop."""
    redis = make_redis("--appendonly", "yes") if store == "redis" else None
    gateway = make_gateway(workers=1, waits=False, **({"store": redis.url} if redis else {}))
    gateway.load_consents(render_csv(consent_rows([*PEOPLE[:3], TURKISH, *FAILING])))
    gateway.wait_until_ready()

    heard = [
        *send_mail_of_all_kinds(gateway),
        *talk_nonsense(gateway),
        *refuse_in_all_ways(gateway),
    ]
    pages = {path: gateway.get(path)[1] for path in ("/metrics", "/status", "/ready", "/health")}
    wait_until(lambda: gateway.log.read_text("utf-8").count("message.answered") >= 8, "the log is written")
    assert gateway.terminate() == 0
    if redis is not None:
        redis.stop()

    assert {code for code, _ in heard} >= {250, 451, 501, 535, 550}
    assert [text for _, text in heard if any(form in text for form in forms_of(NAMES))] == []
    assert [path for path, page in pages.items() if any(form in page for form in forms_of(NAMES))] == []
    # What the test itself put there, and a proof that the search finds what is there.
    for path in gateway.directory.glob("consents-*.csv"):
        path.unlink()
    assert files_that_name(gateway.sink.directory, NAMES) != []
    shutil.rmtree(gateway.sink.directory)
    assert files_that_name(gateway.directory, (*NAMES, LOGIN[1])) == []
    if redis is not None:
        assert any(redis.directory.rglob("*.aof"))
        assert files_that_name(redis.directory, NAMES) == []


def send_mail_of_all_kinds(gateway: GatewayProcess) -> list[tuple[int, bytes]]:
    malformed = b"To: " + PEOPLE[0].encode() + b"\r\ngizli, no field\r\n\r\nx\r\n"
    answers = [
        gateway.send(NEWS, PEOPLE, sender=SENDER),
        *(gateway.send(NEWS, [person], sender=SENDER) for person in (PEOPLE[3], *FAILING)),
        gateway.send(ORDER, PEOPLE, sender=SENDER),
        gateway.send(malformed, [PEOPLE[0]], sender=SENDER),
        gateway.send(NEWS, PEOPLE[3:], sender=SENDER, listener="marketing"),
    ]
    return [(answer.code, answer.text.encode()) for answer in answers]


def talk_nonsense(gateway: GatewayProcess) -> list[tuple[int, bytes]]:
    with gateway.connect() as client:
        client.ehlo()
        client.mail(SENDER, ["SMTPUTF8"])
        client.command_encoding = "utf-8"
        heard = [client.docmd(f"RCPT TO:<{TURKISH}>"), client.data(NEWS)]
        nonsense = (
            f"MAIL FROM:gizli {SENDER}",
            f"RCPT TO:<gizli@@{PEOPLE[0]}>",
            f"VRFY {PEOPLE[0]}",
            f"gizli {PEOPLE[0]}",
        )
        heard += [client.docmd(line) for line in nonsense]
    with gateway.connect("starttls") as client:
        client.starttls(context=gateway.trust)
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login("gizli@musteri.example", "gizli-parola")
    assert isinstance(refused.value.smtp_error, bytes)
    return [*heard, (refused.value.smtp_code, refused.value.smtp_error)]


def refuse_in_all_ways(gateway: GatewayProcess) -> list[tuple[int, bytes]]:
    first, second = (gateway.sink.messages(person)[0] for person in PEOPLE[:2])
    gateway.visit(first.link)
    gateway.press(first.link)
    gateway.visit(f"{first.link}gizli@musteri.example")
    with smtplib.SMTP("127.0.0.1", gateway.ports["intake"]) as client:
        client.sendmail(PEOPLE[1], [second.mailto.removeprefix("mailto:").partition("?")[0]], NEWS)
        heard = [client.docmd(f"MAIL FROM:<{SENDER}>"), client.docmd(f"RCPT TO:<gizli@{PEOPLE[0]}>")]
    gateway.sink.stop()
    lost = gateway.send(NEWS, [PEOPLE[2]], sender=SENDER)
    return [*heard, (lost.code, lost.text.encode())]


def forms_of(names: tuple[str, ...]) -> set[bytes]:
    """How the names might stand in a file."""
    return {form for name in names for form in _forms(name)}


def _forms(name: str) -> list[bytes]:
    raw = name.encode()
    # Base64 of the name wherever it starts: without the characters that its neighbours have a part in.
    inside = [base64.b64encode(b"\0" * shift + raw)[4 * bool(shift) : -4] for shift in range(3)]
    escaped = name.encode("unicode_escape")
    hexadecimal = [raw.hex().encode(), raw.hex().upper().encode()]
    quoted = [quote(name).encode(), quote(name).lower().encode()]
    return [raw, raw.upper(), escaped, *quoted, *hexadecimal, *(each for each in inside if len(each) >= 8)]


def files_that_name(folder: Path, names: tuple[str, ...]) -> list[str]:
    forms = forms_of(names)
    return [
        f"{path.relative_to(folder)}: {form!r}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for form in forms
        if form in path.read_bytes()
    ]

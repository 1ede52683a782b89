"""Refusals by mail on a real listener, sent with the standard library's client and by hand."""

from __future__ import annotations

import asyncio
import logging
import smtplib
from collections.abc import Callable
from typing import TypeVar

import pytest

from filters.token import MAIL_CODE_PREFIX, Grant, MailGrant
from filters.vocabulary import Channel, RecipientType, Status

from .conftest import AYSE, CAFE, RECEIVED_AT, SHOP, OptOut

SLOT = (Channel.EMAIL, RecipientType.INDIVIDUAL)
SENDER = AYSE.address.decode()
T = TypeVar("T")


def address_of(opt_out: OptOut, grant: Grant = AYSE) -> str:
    return opt_out.links(grant).mailto.removeprefix("mailto:").partition("?")[0]


def subject_of(opt_out: OptOut, grant: Grant = AYSE) -> str:
    return opt_out.links(grant).mailto.partition("?subject=")[2].replace("%20", " ")


def compose(subject: str = "unsubscribe", sender: str = SENDER, extra: str = "") -> bytes:
    return f"From: {sender}\r\nSubject: {subject}\r\n{extra}\r\nbody\r\n".encode()


async def with_client(opt_out: OptOut, act: Callable[[smtplib.SMTP], T]) -> T:
    """Run ``act`` on an open session, in a thread."""

    def run() -> T:
        with smtplib.SMTP("127.0.0.1", opt_out.mail_port, local_hostname="client.example", timeout=10) as client:
            client.ehlo()
            return act(client)

    return await asyncio.to_thread(run)


async def send(opt_out: OptOut, recipient: str, content: bytes, sender: str = SENDER) -> tuple[int, bytes]:
    """The reply to the mail, or to the command that was refused."""

    def act(client: smtplib.SMTP) -> tuple[int, bytes]:
        client.mail(sender)
        reply = client.rcpt(recipient)
        return client.data(content) if reply[0] == 250 else reply

    return await with_client(opt_out, act)


async def test_a_mail_to_the_address_in_the_link_is_a_refusal(intake: OptOut) -> None:
    """As a mail program sends it: address and subject of the link."""
    reply = await send(intake, address_of(intake), compose(subject_of(intake)))
    assert reply[0] == 250
    assert intake.state()[SLOT].status is Status.REJECTED
    assert (intake.state()[SLOT].source, intake.state()[SLOT].consent_at) == ("HS_EPOSTA", RECEIVED_AT)
    (report,) = (report for _, report in intake.reports())
    assert report.address == SENDER
    assert intake.observer.replies == ["250 2.0.0"]


async def test_the_address_may_be_upper_case(intake: OptOut) -> None:
    assert (await send(intake, address_of(intake).upper(), compose()))[0] == 250
    assert intake.state()[SLOT].status is Status.REJECTED


@pytest.mark.parametrize(
    ("header_sender", "envelope_sender"),
    [(SENDER, ""), ("Ayşe <AYSE.ornek@EXAMPLE.com>", "bounce@example.net"), ("other@example.net", SENDER)],
)
async def test_without_the_subject_the_sender_names_the_address(
    intake: OptOut, header_sender: str, envelope_sender: str
) -> None:
    """If its consent key is the one in the code: From first, then the envelope."""
    await send(intake, address_of(intake), compose(sender=header_sender), envelope_sender)
    (report,) = (report for _, report in intake.reports())
    assert report.address == SENDER


async def test_a_refusal_from_another_account_is_in_force_without_an_address(intake: OptOut) -> None:
    """No address is taken that does not belong to the code: the report waits for a person, and is counted."""
    await send(intake, address_of(intake), compose(sender="other@example.net"), "other@example.net")
    assert intake.state()[SLOT].status is Status.REJECTED
    (report,) = (report for _, report in intake.reports())
    assert report.address == ""
    assert [refusal.address for refusal, _ in intake.observer.recorded] == [b""]


async def test_a_token_of_somebody_else_in_the_subject_is_not_believed(intake: OptOut) -> None:
    """The code in the address decides who refuses; the subject only names that person."""
    other = AYSE._replace(address=b"other@example.net")
    await send(intake, address_of(intake), compose(subject_of(intake, other)), "")
    assert intake.state()[SLOT].status is Status.REJECTED
    assert intake.state(other) == {}
    (report,) = (report for _, report in intake.reports())
    assert report.address == SENDER


@pytest.mark.parametrize(
    "extra",
    [
        "Auto-Submitted: auto-replied\r\nX-Apple-Unsubscribe: true\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "Precedence: bulk\r\n",
    ],
)
async def test_mail_that_a_program_sent_for_a_person_counts(intake: OptOut, extra: str) -> None:
    """From the null return path, and marked as automatic."""
    assert (await send(intake, address_of(intake), compose(extra=extra), ""))[0] == 250
    assert intake.state()[SLOT].status is Status.REJECTED


async def test_a_delivery_status_report_is_taken_and_not_a_refusal(intake: OptOut) -> None:
    """Refusing it would only make the next report."""
    extra = 'Content-Type: multipart/report; report-type="delivery-status"; boundary=x\r\n'
    assert (await send(intake, address_of(intake), compose(extra=extra), ""))[0] == 250
    assert intake.writer.calls == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda o: "info@ret.shop.example",
        lambda o: "postmaster@ret.shop.example",
        lambda o: f"ret-{'a' * 54}@ret.shop.example",
        lambda o: address_of(o).replace("@ret.shop.example", "@shop.example"),
        lambda o: address_of(o).replace("ret-", "ret_"),
        lambda o: address_of(o).replace("ret-", ""),
        lambda o: address_of(o).replace("@", "x@"),
        lambda o: "x" + address_of(o),
        lambda o: f"ret-{o.token()}@ret.shop.example",
    ],
)
async def test_other_addresses_do_not_exist(intake: OptOut, make: Callable[[OptOut], str]) -> None:
    """550 5.1.1 at RCPT: a gate, not a mailbox."""
    code, text = await send(intake, make(intake), compose())
    assert code == 550
    assert text.startswith(b"5.1.1")
    assert intake.writer.calls == 0


@pytest.mark.parametrize(
    "path",
    [
        "ret-x@ret.shop.example",
        "<@relay.example:{address}>",
        '<"{local}"@{domain}>',
        "<{local}(comment)@{domain}>",
        "<=?utf-8?q?{local}?=@{domain}>",
        "<{address}",
        "{address}",
        "<{address}>x",
        "<>",
        "",
        "<{address}> NOTIFY=NEVER",
        "<" + "x" * 600 + ">",
    ],
)
async def test_nothing_is_repaired_in_a_path(intake: OptOut, path: str) -> None:
    """Comments, routes, quotes, encoded words, missing brackets: refused, whatever they would decode to."""
    address = address_of(intake)
    local, _, domain = address.partition("@")
    text = path.format(address=address, local=local, domain=domain)
    code, _ = await with_client(intake, lambda client: (client.mail(SENDER), client.docmd(f"RCPT TO:{text}"))[1])
    assert 500 <= code < 600


async def test_a_mail_for_several_addresses_refuses_all(intake: OptOut) -> None:
    cafe = Grant(CAFE.code, Channel.EMAIL, None, AYSE.address)
    cafe_code = intake.tokens.make_mail_code(MailGrant(cafe.brand, cafe.channel, None, intake.key(cafe)))

    def act(client: smtplib.SMTP) -> tuple[int, bytes]:
        client.mail(SENDER)
        client.rcpt(address_of(intake))
        client.rcpt(f"{MAIL_CODE_PREFIX}{cafe_code}@ret.cafe.example")
        return client.data(compose())

    assert (await with_client(intake, act))[0] == 250
    assert intake.state()[SLOT].status is Status.REJECTED
    assert intake.state(cafe)[SLOT].status is Status.REJECTED
    assert intake.state(cafe)[Channel.EMAIL, RecipientType.BUSINESS].status is Status.REJECTED


async def test_a_failing_store_is_temporary_and_says_nothing_of_itself(intake: OptOut) -> None:
    """451, so that the sender's queue tries again; the second time it succeeds."""
    intake.writer.is_failing = True
    code, text = await send(intake, address_of(intake), compose())
    assert code == 451
    assert b"no space" not in text
    assert b"@" not in text
    assert intake.state() == {}
    intake.writer.is_failing = False
    assert (await send(intake, address_of(intake), compose()))[0] == 250
    assert intake.state()[SLOT].status is Status.REJECTED
    assert intake.observer.replies == ["451 4.3.0", "250 2.0.0"]


async def test_a_fault_of_ours_is_temporary_and_says_nothing_of_itself(
    intake: OptOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one nobody thought of, at any command."""

    def fail(text: str) -> None:
        raise RuntimeError(f"secret {text}")

    monkeypatch.setattr("gateway.opt_out.mail_intake.TokenKeys.read_mail_code", lambda self, text: fail(text))
    code, text = await send(intake, address_of(intake), compose())
    assert code == 451
    assert b"secret" not in text
    assert [type(fault) for fault in intake.observer.faults] == [RuntimeError]


async def test_the_reply_waits_for_the_store(intake: OptOut, monkeypatch: pytest.MonkeyPatch) -> None:
    may_write = asyncio.Event()
    apply = intake.writer.apply

    async def slow_apply(*arguments: object, **named: object) -> object:
        await may_write.wait()
        return await apply(*arguments, **named)

    monkeypatch.setattr(intake.writer, "apply", slow_apply)
    reply = asyncio.ensure_future(send(intake, address_of(intake), compose()))
    await asyncio.sleep(0.2)
    assert not reply.done()
    may_write.set()
    assert (await reply)[0] == 250


@pytest.mark.parametrize(
    "body", [b"x" * 300_000, b"x\r\n" * 100_000, b".\r\n.\r\n" * 1000, b"\r" * 5000, b"\n.\n" * 50]
)
async def test_a_long_body_loses_no_refusal(intake: OptOut, body: bytes) -> None:
    """A picture in the signature, a line without end, lone dots: only the head is read."""
    assert (await send(intake, address_of(intake), compose(subject_of(intake)) + body))[0] == 250
    (report,) = (report for _, report in intake.reports())
    assert report.address == SENDER


async def test_a_body_over_the_limit_is_refused_and_the_session_goes_on(intake: OptOut) -> None:
    """The limit is announced, so honest programs do not run into it."""

    def act(client: smtplib.SMTP) -> list[int]:
        assert client.esmtp_features["size"] == str(1024 * 1024)
        codes = []
        for content in (compose() + b"x" * 1_200_000, compose()):
            client.mail(SENDER)
            client.rcpt(address_of(intake))
            codes.append(client.data(content)[0])
        return codes

    assert await with_client(intake, act) == [552, 250]


async def test_what_is_offered_is_what_is_kept(intake: OptOut) -> None:
    """No AUTH, no STARTTLS without a certificate; VRFY gives nothing away."""

    def act(client: smtplib.SMTP) -> tuple[set[str], tuple[int, bytes], int]:
        return set(client.esmtp_features), client.verify(address_of(intake)), client.docmd("AUTH", "PLAIN AGEAYg==")[0]

    features, verified, auth = await with_client(intake, act)
    assert features == {"size", "8bitmime", "smtputf8", "enhancedstatuscodes"}
    assert verified[0] == 252
    assert b"ret-" not in verified[1]
    assert auth >= 500


async def test_commands_out_of_order_are_refused(intake: OptOut) -> None:
    def act(client: smtplib.SMTP) -> list[int]:
        codes = [client.docmd("DATA")[0], client.docmd(f"RCPT TO:<{address_of(intake)}>")[0]]
        client.mail(SENDER)
        codes.append(client.docmd("DATA")[0])
        client.rcpt(address_of(intake))
        codes.append(client.docmd("DATA x")[0])
        return codes

    assert await with_client(intake, act) == [503, 503, 503, 501]
    assert intake.writer.calls == 0


async def test_one_address_may_be_used_only_so_often(intake: OptOut) -> None:
    """Beyond the limit 451: what was not recorded is not confirmed."""

    def act(client: smtplib.SMTP) -> list[int]:
        codes = []
        for _ in range(22):
            client.mail(SENDER)
            client.rcpt(address_of(intake))
            codes.append(client.data(compose())[0])
        return codes

    codes = await with_client(intake, act)
    assert codes.count(250) == intake.writer.calls
    assert codes[:20] == [250] * 20
    assert codes[-1] == 451


async def test_connections_beyond_the_limit_are_told_to_come_back(intake: OptOut) -> None:
    held = [await asyncio.open_connection("127.0.0.1", intake.mail_port) for _ in range(5)]
    for reader, _ in held:
        assert (await reader.readline()).startswith(b"220 ")
    reader, writer = await asyncio.open_connection("127.0.0.1", intake.mail_port)
    assert (await reader.readline()).startswith(b"421 4.3.2 ")
    for _, each in [*held, (reader, writer)]:
        each.close()
        await each.wait_closed()


async def test_a_connection_lost_within_data_records_nothing(intake: OptOut) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", intake.mail_port)
    commands = f"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{address_of(intake)}>\r\nDATA\r\n".encode()
    writer.write(commands + compose())
    await writer.drain()
    await asyncio.wait_for(reader.readuntil(b"354"), 5)
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.1)
    assert intake.writer.calls == 0


async def test_no_address_or_code_is_logged(intake: OptOut, caplog: pytest.LogCaptureFixture) -> None:
    """At any level, even where a configuration opens the library's logger afterwards."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("mail.log").setLevel(logging.DEBUG)
    await send(intake, address_of(intake), compose(subject_of(intake)))
    intake.writer.is_failing = True
    await send(intake, address_of(intake), compose(subject_of(intake)))
    await send(intake, "nobody@ret.shop.example", compose())
    logged = "\n".join(record.getMessage() + str(record.exc_info) for record in caplog.records)
    for secret in ("ayse", "ret-", "nobody", "@", intake.token()):
        assert secret not in logged


async def test_the_link_of_a_brand_leads_to_its_own_domain(intake: OptOut) -> None:
    """Domains are compared without regard to case, as configured or as relays write them."""
    links = intake.links(AYSE, SHOP)
    assert links.mailto.startswith("mailto:ret-")
    cafe = Grant(CAFE.code, Channel.EMAIL, RecipientType.INDIVIDUAL, AYSE.address)
    address = intake.links(cafe, CAFE).mailto.removeprefix("mailto:").partition("?")[0]
    assert address.endswith("@RET.cafe.example")
    assert (await send(intake, address.lower(), compose()))[0] == 250
    assert intake.state(cafe)[SLOT].status is Status.REJECTED

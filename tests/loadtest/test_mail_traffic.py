"""Generator, sink and audit agree about what was sent, what arrived and what was allowed."""

from __future__ import annotations

import asyncio
import email
import email.policy
import io
import json
import signal
import smtplib
import subprocess
import sys
from math import inf
from pathlib import Path
from typing import Any

import pytest

from loadtest.audit import Findings, PressedRefusal, compare, read_consents, read_lines
from loadtest.mail_generator import GeneratorOptions, GeneratorReport, generate
from loadtest.mail_sink import MailSink, ScheduledFault, SinkOptions, find_link, parse_fault
from loadtest.marketing_mail import MailTemplate
from loadtest.numbered_recipients import address_of, consented_numbers, status_of, write_csv


async def run_load(tmp_path: Path, sink_options: SinkOptions, **options: Any) -> tuple[GeneratorReport, Findings]:
    """One run of the generator against the sink, everybody consented, and what the audit finds."""
    sink_options.journal = tmp_path / "taken.jsonl"
    async with MailSink(sink_options) as sink:
        report = await generate(
            GeneratorOptions(
                "127.0.0.1",
                sink.port,
                journal=tmp_path / "sent.jsonl",
                retry_s=0.02,
                attempts=30,
                patience_s=10,
                **options,
            )
        )
    everybody = {address_of(number) for number in range(1, 1000)}
    return report, compare(read_lines(tmp_path / "sent.jsonl"), read_lines(tmp_path / "taken.jsonl"), everybody)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"recipients": 5},
        {"is_lockstep": True},
        {"is_per_connection": True},
        {"size_bytes": 50_000, "attachment_bytes": 10_000},
        {"rate": 2000.0},
    ],
)
async def test_without_faults_all_arrives_once(tmp_path: Path, options: dict[str, Any]) -> None:
    """However it is sent: every message acknowledged, at the sink once, in one piece."""
    report, findings = await run_load(tmp_path, SinkOptions(), messages=200, sessions=5, people=900, **options)
    pairs = 200 * options.get("recipients", 1)
    assert (report.settled, report.given_up, report.lost) == (200, 0, 0)
    assert findings == Findings(sent=pairs, acknowledged=pairs, taken=pairs)
    assert set(report.latency_ms) == {"p50", "p90", "p99", "p99.9", "max"}


@pytest.mark.parametrize("without", [frozenset[str](), frozenset({"PIPELINING"})])
async def test_with_faults_nothing_acknowledged_is_lost(tmp_path: Path, without: frozenset[str]) -> None:
    """Temporary refusals, cut connections and nonsense: everything is settled by trying again; what was cut after it
    was taken arrives twice, and nothing else does."""
    faults = (
        ScheduledFault("tempfail-data", every=10),
        ScheduledFault("tempfail-rcpt", every=7),
        ScheduledFault("close-before-reply", every=31),
        ScheduledFault("close-after-dot", rate=0.02),
        ScheduledFault("garbage-rcpt", every=29),
        ScheduledFault("421-data", first=50, last=55),
    )
    report, findings = await run_load(
        tmp_path, SinkOptions(faults=faults, without=without), messages=300, sessions=5, people=900, recipients=2
    )
    assert (report.settled, report.given_up) == (300, 0)
    assert report.lost > 0
    assert findings.is_clean
    assert (findings.acknowledged, findings.unsettled, findings.refused) == (600, 0, 0)
    unconfirmed = [line for line in read_lines(tmp_path / "taken.jsonl") if not line["is_confirmed"]]
    assert findings.duplicates == 2 * len(unconfirmed) > 0
    assert findings.duplicate_causes == {"after connection lost": findings.duplicates}


async def test_a_generator_without_a_server_gives_up_in_time(tmp_path: Path) -> None:
    """Nobody listens: the run ends by its own clock."""
    options = GeneratorOptions("127.0.0.1", 9, seconds=0.2, patience_s=0.2, rate=100)
    report = await asyncio.wait_for(generate(options), 5)
    assert report.settled == 0
    assert report.connect_failures > 0


def sent(load_id: str, recipients: list[str], rcpt: list[int], code: int) -> list[dict[str, Any]]:
    return [
        {"event": "sent", "id": load_id, "recipients": recipients, "attempt": 1, "at": 0},
        {"event": "answered", "id": load_id, "attempt": 1, "rcpt": rcpt, "code": code, "at": 1},
    ]


def taken(load_id: str, *recipients: str, body_id: str | None = None, at: float = 0.5) -> dict[str, Any]:
    return {
        "id": load_id,
        "body_id": body_id or load_id,
        "recipients": list(recipients),
        "is_confirmed": True,
        "at": at,
    }


@pytest.mark.parametrize(
    ("journal", "arrived", "found"),
    [
        (sent("m1", ["a"], [250], 250), [taken("m1", "a")], {}),
        (sent("m1", ["a"], [250], 250), [], {"lost": 1}),
        (sent("m1", ["x"], [250], 250), [], {}),
        (sent("m1", ["x"], [250], 250), [taken("m1", "x")], {"unconsented": 1}),
        (sent("m1", ["a"], [250], 250), [taken("m1", "a"), taken("m1", "a")], {"duplicates": 1, "repeated": 1}),
        (sent("m1", ["a"], [250], 451), [taken("m1", "a"), taken("m1", "a")], {"duplicates": 1, "unsettled": 1}),
        (sent("m1", ["a"], [250], 250), [taken("m1", "b")], {"strayed": 1, "lost": 1}),
        (sent("m1", ["a"], [250], 250), [taken("m1", "a", body_id="m2")], {"strayed": 1}),
        (sent("m1", ["a", "b"], [250, 550], 250), [taken("m1", "a")], {"refused": 1}),
        (sent("m1", ["a"], [250], 554), [], {"refused": 1}),
        (sent("m1", ["a"], [250], 451), [], {"unsettled": 1}),
        (sent("m1", ["a"], [250], 451), [taken("m1", "a")], {"unsettled": 1}),
    ],
)
def test_the_audit_finds_what_is_wrong(
    journal: list[dict[str, Any]], arrived: list[dict[str, Any]], found: dict[str, int]
) -> None:
    """Each breach is counted under its name, and only there."""
    findings = compare(journal, arrived, {"a", "b"})
    kinds = ("lost", "unconsented", "duplicates", "repeated", "strayed", "refused", "unsettled")
    assert {kind: getattr(findings, kind) for kind in kinds if getattr(findings, kind)} == found
    assert findings.is_clean == (not found.keys() & {"lost", "unconsented", "strayed", "repeated"})


@pytest.mark.parametrize(
    ("pressed_at", "confirmed_at", "code", "arrived", "found"),
    [
        (-2, -1, 550, [], {}),  # refused before it was sent, and kept from him
        (-2, -1, 250, [taken("m1", "a")], {"after_refusal": 1}),
        (-2, inf, 250, [taken("m1", "a")], {}),  # asked, but nobody has confirmed it
        (-2, inf, 250, [], {}),  # nobody has confirmed it, but it may be in force
        (0.2, 0.3, 250, [taken("m1", "a")], {}),  # the message was on its way
        (2, 3, 250, [], {"lost": 1}),  # refused after the answer: it should have come
        (2, 3, 550, [], {"refused": 1}),
    ],
)
def test_the_audit_holds_refusals_from_their_confirmation(
    pressed_at: float, confirmed_at: float, code: int, arrived: list[dict[str, Any]], found: dict[str, int]
) -> None:
    """Between the press of the button and its confirmation either is right; after it nothing may be sent."""
    refusals = {"a": PressedRefusal(pressed_at, confirmed_at)}
    findings = compare(sent("m1", ["a"], [250], code), arrived, {"a", "b"}, refusals)
    kinds = ("after_refusal", "unconsented", "lost", "refused")
    assert {kind: getattr(findings, kind) for kind in kinds if getattr(findings, kind)} == found


def test_the_audit_says_how_the_attempt_before_a_duplicate_had_ended() -> None:
    """A copy belongs to the latest attempt that had begun when it was taken."""
    journal: list[dict[str, Any]] = []
    for number, ending in enumerate(({"event": "lost"}, {"event": "answered", "rcpt": [250], "code": 451}, None), 1):
        journal.append({"event": "sent", "id": "m1", "recipients": ["a"], "attempt": number, "at": number})
        if ending:
            journal.append({**ending, "id": "m1", "attempt": number, "at": number + 0.5})
    findings = compare(journal, [taken("m1", "a", at=number + 0.2) for number in (1, 2, 3)], {"a"})
    assert findings.duplicates == 2
    assert findings.duplicate_causes == {"after connection lost": 1, "after 451": 1}
    assert findings.is_clean


def test_the_sink_reads_the_link_behind_the_button() -> None:
    """The http address among those of List-Unsubscribe; None where there is none."""
    head = b"Subject: x\r\nList-Unsubscribe: <mailto:a@b.example>,\r\n <https://izin.example/u/T>\r\n\r\n"
    assert find_link(head) == "https://izin.example/u/T"
    assert find_link(b"Subject: <http://a.example>\r\n\r\nx") is None


def test_a_journal_cut_short_is_readable(tmp_path: Path) -> None:
    """The half line that a kill left at the end is left out."""
    journal = tmp_path / "j"
    journal.write_bytes(b'{"n": 1}\n{"n": 2}\n{"n": ')
    assert [line["n"] for line in read_lines(journal)] == [1, 2]


def test_the_numbered_have_known_consents(tmp_path: Path) -> None:
    """Of ten, seven ONAY, two RET, one without a record; the CSV says the same."""
    file = io.StringIO()
    assert write_csv(file, 1, 100) == 90
    path = tmp_path / "consents.csv"
    path.write_text(file.getvalue(), encoding="utf-8")
    assert read_consents(path) == {address_of(number) for number in consented_numbers(1, 100)}
    assert [status_of(number) for number in (6, 7, 8, 9)] == ["ONAY", "RET", "RET", None]


@pytest.mark.parametrize(("size_bytes", "attachment_bytes"), [(4096, 0), (50_000, 0), (60_000, 20_000)])
def test_marketing_mail_is_mail(size_bytes: int, attachment_bytes: int) -> None:
    """Of about the size asked for, readable by Python's parser, short lines, the id in header and both texts."""
    template = MailTemplate(
        size_bytes,
        sender="haber@magaza.example",
        attachment_bytes=attachment_bytes,
        headers=["X-Izin-Class: commercial"],
    )
    content = b"".join(template.render(b"0123456789abcdef", b"r0000001@musteri.example"))
    assert abs(len(content) - size_bytes) < 0.2 * size_bytes
    assert content.endswith(b"\r\n")
    assert b"\r\n." not in content
    assert max(map(len, content.split(b"\r\n"))) <= 78
    assert content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert message["X-Load-Id"] == "0123456789abcdef"
    assert message["X-Izin-Class"] == "commercial"
    assert message["To"] == "r0000001@musteri.example"
    for kind in ("plain", "html"):
        body = message.get_body((kind,))
        assert body is not None
        assert "kayit-no-0123456789abcdef" in body.get_content()
        assert "ş" in body.get_content()
    assert len(list(message.iter_attachments())) == (1 if attachment_bytes else 0)
    other = b"".join(template.render(b"fedcba9876543210", b"r0000002@musteri.example"))
    assert other != content


@pytest.mark.parametrize("text", ["every=3:nonsense", "often=1:garbage", "every=x:garbage", "garbage"])
def test_an_unknown_fault_is_refused(text: str) -> None:
    """A schedule the sink would not follow is not accepted."""
    with pytest.raises(ValueError):
        parse_fault(text)


def test_the_sink_as_a_program(tmp_path: Path) -> None:
    """Started from the command line it takes mail from Python's smtplib, keeps it, and says how much on SIGTERM."""
    command = [sys.executable, "-m", "loadtest.mail_sink", "--listen", "127.0.0.1:0"]
    command += ["--store", str(tmp_path / "store"), "--journal", str(tmp_path / "journal"), "--without", "dsn"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sink:
        assert sink.stdout is not None
        port = int(sink.stdout.readline().rpartition(":")[2])
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.ehlo()
            assert client.has_extn("pipelining")
            assert not client.has_extn("dsn")
            refused = client.sendmail(
                "a@shop.example", ["b@musteri.example", "permfail-rcpt@musteri.example"], ".x\r\n"
            )
            assert list(refused) == ["permfail-rcpt@musteri.example"]
            with pytest.raises(smtplib.SMTPDataError):
                client.sendmail("a@shop.example", ["tempfail-data@musteri.example"], "x")
        sink.send_signal(signal.SIGTERM)
        assert "taken 1," in sink.stdout.read()
    assert (tmp_path / "store/new/00000001.eml").read_bytes() == b".x\r\n"
    envelope = json.loads((tmp_path / "store/new/00000001.json").read_text(encoding="utf-8"))
    assert envelope["recipients"] == ["b@musteri.example"]
    (line,) = read_lines(tmp_path / "journal")
    assert (line["sender"], line["is_confirmed"]) == ("a@shop.example", True)


@pytest.mark.parametrize("fault", ["close-after-dot", "close-before-reply", "close-at-data", "close-at-rcpt", "421"])
async def test_a_named_fault_does_what_it_says(fault: str) -> None:
    """Cut where the name says, and taken only where the name says."""
    async with MailSink(SinkOptions(is_keeping=True)) as sink:
        reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
        writer.write(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<" + fault.encode() + b"@c.example>\r\n")
        writer.write(b"DATA\r\nx\r\n.\r\nNOOP\r\n")
        try:
            answer = await reader.read()
        except ConnectionResetError:
            answer = b""
        writer.close()
        assert b"250 2.0.0" not in answer
        assert len(sink.taken) == (fault == "close-before-reply")

"""What a log line holds, and what never gets into one."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.vocabulary import Channel, Outcome
from gateway.logs import CanonicalLog, LogSink, _Emitter, _StandardHandler

ROOT = Path(__file__).parents[2]
ADDRESS = "ayse.yilmaz+x@mail.example.com"
PHONE = "+90 532 123 45 67"


class CollectingSink(LogSink):
    """Keeps the lines instead of writing them."""

    def __init__(self) -> None:
        super().__init__(descriptor=1)
        self.written: list[bytes] = []

    def put(self, line: bytes) -> None:
        self.written.append(line)


def run(code: str, *, style: str = "json", level: str = "debug") -> tuple[list[dict], str]:
    """Run ``code`` in a fresh interpreter with configured logs; its lines, and everything it wrote as text."""
    program = (
        "import sys, asyncio, logging, structlog\n"
        "from gateway.logs import configure_logs\n"
        f"logs = configure_logs({level!r}, {style!r}, fixed={{'node': 'mx1-0'}})\n"
        "log = structlog.stdlib.get_logger('test')\n"
        f"ADDRESS, PHONE = {ADDRESS!r}, {PHONE!r}\n" + textwrap.dedent(code)
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=60, check=False)
    text = done.stdout.decode() + done.stderr.decode()
    lines = [orjson.loads(line) for line in done.stdout.splitlines()] if style == "json" else []
    return lines, text


def assert_clean(text: str) -> None:
    for secret in (ADDRESS, "ayse.yilmaz", PHONE, "532 123", "hunter2", "AHVzZXIAcGFzcw"):
        assert secret not in text


def test_an_event_is_one_json_line_with_its_fields():
    (line,), _ = run("log.info('worker.started', slot=3, brands=[600123])")
    assert line.pop("at").endswith("Z")
    assert line == {"level": "info", "event": "worker.started", "node": "mx1-0", "slot": 3, "brands": [600123]}


def test_a_company_number_is_no_phone_number_and_a_persons_number_stays_hidden():
    """The MERSİS number in the start log names the sender to the public; a T.C. number is a person's."""
    (line,), text = run("log.info('x', brands=[{'mersis': '0123456789012345', 'trader_id': '12345678901'}])")
    assert line["brands"][0]["mersis"] == "0123456789012345"
    assert "12345678901" not in text.replace("0123456789012345", "")


def test_levels_below_the_configured_one_are_not_written():
    lines, _ = run("log.debug('a'); log.info('b'); log.warning('c'); logging.getLogger('x').info('d')", level="warning")
    assert [line["event"] for line in lines] == ["c"]


def test_no_address_in_events_fields_or_exceptions():
    """In the event, a field, a nested field, bytes, an object's repr, a number, an exception and its cause."""
    lines, text = run(
        """
        class Thing:
            def __repr__(self): return f"<Thing {ADDRESS}>"
        log.info(f"sent to {ADDRESS}", to=ADDRESS, deep={"list": [ADDRESS, {"x": ADDRESS.encode()}]}, thing=Thing())
        log.info("sms.sent", to=905321234567, text=PHONE, password="hunter2", message_id=ADDRESS)
        log.info("%s done", ADDRESS)
        try:
            try:
                raise KeyError(ADDRESS)
            except KeyError as error:
                raise ValueError(f"no {ADDRESS} at {PHONE}") from error
        except ValueError:
            log.exception("message.failed")
            log.error("message.failed", exc_info=sys.exc_info())
        """
    )
    assert len(lines) == 5
    assert "905321234567" not in text
    assert_clean(text)
    assert "ValueError: no [address] at [phone]" in lines[3]["exception"]
    assert "KeyError" in lines[4]["exception"]


def test_the_standard_librarys_loggers_take_the_same_way():
    """Whatever a library logs, with whatever handler it brought."""
    lines, text = run(
        """
        import io, warnings
        own = logging.getLogger("some.library")
        for name in ("some.library", "redis", "asyncio", "aiohttp.client", "aiosmtplib"):
            logging.getLogger(name).warning("cannot reach %s (%s) password=hunter2", ADDRESS, PHONE)
        try:
            raise RuntimeError(ADDRESS)
        except RuntimeError:
            own.exception("failed for %s", ADDRESS)
        own.error("too few %s %s", ADDRESS)
        own.error(ADDRESS, stack_info=True)
        warnings.warn(f"do not use {ADDRESS}", UserWarning)
        """
    )
    assert_clean(text)
    assert len(lines) == 9
    assert {line["logger"] for line in lines} >= {"redis", "asyncio", "py.warnings"}


def test_a_handler_that_a_library_brought_before_is_taken_away():
    program = (
        "import logging\n"
        "logging.getLogger('old').addHandler(logging.StreamHandler())\n"
        "from gateway.logs import configure_logs\n"
        "configure_logs('debug', 'json')\n"
        f"logging.getLogger('old').error('to {ADDRESS}')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
    assert_clean(done.stdout.decode())
    assert done.stdout.count(b"\n") == 1


def test_aiosmtpd_at_its_most_talkative_names_nobody():
    """A whole session with login and recipients, the library's loggers forced to DEBUG."""
    lines, text = run(
        """
        import smtplib, base64
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import AuthResult
        class Handler:
            async def handle_DATA(self, server, session, envelope):
                raise RuntimeError(f"cannot take it for {envelope.rcpt_tos} {PHONE}")
        for name in ("mail.log", "mail.debug"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        controller = Controller(Handler(), hostname="127.0.0.1", port=0, auth_require_tls=False,
            authenticator=lambda *a: AuthResult(success=True))
        import socket
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0)); controller.port = probe.getsockname()[1]
        controller.start()
        with smtplib.SMTP("127.0.0.1", controller.port) as client:
            client.login("ayse.yilmaz", "hunter2")
            client.docmd("AUTH PLAIN AHVzZXIAcGFzcw==")
            client.docmd("BOGUS " + ADDRESS)
            try:
                client.sendmail(ADDRESS, [ADDRESS], "Subject: x\\r\\n\\r\\nto " + ADDRESS)
            except smtplib.SMTPException:
                pass
        controller.stop()
        """
    )
    assert len(lines) > 10
    assert_clean(text)
    assert "aHVudGVyMg" not in text


def test_aiohttps_access_log_shows_no_token():
    lines, text = run(
        """
        from aiohttp import web, ClientSession
        async def fail(request):
            raise RuntimeError(f"cannot {request.path} for {ADDRESS}")
        async def main():
            app = web.Application(); app.router.add_get("/{rest:.*}", fail)
            runner = web.AppRunner(app); await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0); await site.start()
            port = runner.addresses[0][1]
            async with ClientSession() as session:
                for path in ("o/aB3dE5gH7jK9mN1pQ3sT5vX7", "o/aBcDeFgHiJkLmNoPqRsT", "?to=ayse.yilmaz%40example.com"):
                    async with session.get(f"http://127.0.0.1:{port}/{path}", headers={"Referer": ADDRESS}) as answer:
                        assert answer.status == 500
            await runner.cleanup()
        logging.getLogger("aiohttp.access").setLevel(logging.DEBUG)
        asyncio.run(main())
        """
    )
    assert len(lines) >= 6
    assert_clean(text)
    for token in ("aB3dE5gH7jK9mN1pQ3sT5vX7", "aBcDeFgHiJkLmNoPqRsT", "%40"):
        assert token not in text


def test_what_falls_out_of_the_loop_is_logged_clean():
    """A failing callback, and a task nobody awaited."""
    lines, text = run(
        """
        import gc
        async def fail(to):
            raise RuntimeError(f"to {to}")
        async def main():
            logs.watch_loop(asyncio.get_running_loop())
            asyncio.get_running_loop().call_soon(lambda: {}[ADDRESS])
            asyncio.create_task(fail(ADDRESS), name="relay")
            await asyncio.sleep(0.05)
            gc.collect()
        asyncio.run(main())
        """
    )
    assert [line["event"] for line in lines[1:]] == ["loop.failed", "loop.failed"]  # after asyncio's own first line
    assert lines[2]["task"] == "relay"
    assert_clean(text)


def test_uncaught_exceptions_are_logged_clean():
    """In the main thread, in another, and where Python cannot raise at all; standard error stays silent."""
    lines, text = run(
        """
        import threading
        thread = threading.Thread(target=lambda: {}[ADDRESS], name="t1"); thread.start(); thread.join()
        class Bad:
            def __del__(self): raise ValueError(ADDRESS)
        Bad()
        raise RuntimeError(f"for {ADDRESS}")
        """
    )
    assert [line["event"] for line in lines] == ["thread.failed", "object.failed", "process.failed"]
    assert "RuntimeError: for [address]" in lines[2]["exception"]
    assert_clean(text)


def test_the_console_form_is_as_clean_as_the_json_form():
    _, text = run(
        "log.info('message.decided', to=ADDRESS, brand=600123)\nlog.error(PHONE, exc_info=ValueError(ADDRESS))",
        style="console",
    )
    assert "message.decided" in text
    assert "600123" in text
    assert_clean(text)


@given(st.text(), st.text(), st.sampled_from(["%s", "%r", "{}", "a %s b", "%d"]), st.booleans())
def test_no_argument_of_any_logger_brings_an_address_out(before, after, template, is_bytes):
    """Embedded in arbitrary text, as template, argument or exception."""
    sink = CollectingSink()
    handler = _StandardHandler(_Emitter(sink, False, {}))
    text = f"{before}{ADDRESS}{after}"
    argument: object = text.encode("utf-8", "replace") if is_bytes else text
    error = ValueError(argument)
    exc_info = (ValueError, error, None)
    handler.handle(logging.LogRecord("x", logging.ERROR, "f.py", 1, template, (argument,), exc_info))
    handler.handle(logging.LogRecord("x", logging.ERROR, "f.py", 1, text.replace("%", "%%"), (), None))
    for line in sink.written:
        assert orjson.loads(line)["level"] == "error"
        assert ADDRESS.encode() not in line
        assert b"ayse" not in line


def test_the_canonical_line_has_its_fields_as_given_but_for_addresses():
    """Ids, enum members and numbers stay; a client's own text is masked where it must be."""
    sink = CollectingSink()
    fields = {
        "message_id": "a1b2c3d4e5f6a7b8c9d0-1f", "channel": Channel.EMAIL, "outcome": Outcome.RELAYED,
        "seconds": 0.0123,
        "campaign": f"for {ADDRESS}", "counts": {"relayed": 1}, "brand": 600123, "client": "shop", "at_night": None,
        "subject": PHONE,
    }  # fmt: skip
    CanonicalLog(sink).write("message.decided", fields)
    line = orjson.loads(sink.written[0])
    assert line.pop("at").endswith("Z")
    assert line == {
        **fields, "level": "info", "event": "message.decided", "campaign": "for [address]", "subject": "[phone]",
    }  # fmt: skip


def test_lines_arrive_in_order_within_a_tenth_of_a_second(tmp_path):
    """Nobody has to ask for it."""
    read_end, write_end = os.pipe()
    sink = LogSink(write_end)
    for number in range(1000):
        sink.put(b"%d\n" % number)
    received = b""
    deadline = time.monotonic() + 5
    while received.count(b"\n") < 1000 and time.monotonic() < deadline:
        received += os.read(read_end, 65536)
    assert received.split() == [b"%d" % number for number in range(1000)]
    sink.close()
    os.close(read_end)
    os.close(write_end)


def test_a_reader_that_stops_reading_stops_nobody():
    """The lines that wait are bounded; those beyond are counted and told once there is room."""
    read_end, write_end = os.pipe()
    sink = LogSink(write_end, max_lines=100)
    line = b"x" * 1000 + b"\n"
    started = time.monotonic()
    for _ in range(1000):
        sink.put(line)
    time.sleep(0.2)
    for _ in range(1000):
        sink.put(line)
    assert time.monotonic() - started < 2
    assert sink.dropped > 500
    os.set_blocking(read_end, False)
    received = b""
    deadline = time.monotonic() + 5
    while b"log.dropped" not in received and time.monotonic() < deadline:
        sink.put(b"later\n")
        time.sleep(0.02)
        try:
            received += os.read(read_end, 1 << 20)
        except BlockingIOError:
            continue
    assert b'"event":"log.dropped"' in received
    os.close(read_end)
    sink.close()
    os.close(write_end)


def test_a_reader_that_is_gone_stops_nobody():
    read_end, write_end = os.pipe()
    os.close(read_end)
    sink = LogSink(write_end)
    sink.put(b"x\n")
    sink.flush()
    assert sink.dropped == 1
    sink.close()
    os.close(write_end)


@pytest.mark.parametrize("ending", ["", "raise SystemExit(3)", "logs.close()"])
def test_the_last_line_is_written_however_the_process_ends(ending):
    lines, _ = run(f"log.info('process.stopped')\n{ending}")
    assert [line["event"] for line in lines] == ["process.stopped"]


def test_a_forked_process_writes_its_own_lines_once():
    lines, _ = run(
        """
        import os, time
        log.info("parent.started"); logs.sink.flush()
        pid = os.fork()
        if pid == 0:
            log.info("child.started"); time.sleep(0.3); os._exit(0)
        os.waitpid(pid, 0)
        """
    )
    assert sorted(line["event"] for line in lines) == ["child.started", "parent.started"]

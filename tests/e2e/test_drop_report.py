"""A sender with a web server of its own hears whom its mail did not go to, from the gateway as it is run."""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.gateway_process import NEWS, GatewayProcess, wait_until

SECRET = "a secret of some length"


class _Server(ThreadingHTTPServer):
    taken: list[tuple[bytes, str]]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((body, self.headers["X-Izin-Signature"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing: bodies name people."""


@pytest.fixture
def web_server() -> Iterator[_Server]:
    """The client's; keeps body and signature of what it is sent."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.taken = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_signed_report_names_who_was_left_out_and_nothing_else_does(
    make_gateway: Callable[..., GatewayProcess], web_server: _Server, tmp_path: Path
) -> None:
    """Once the message is answered; neither the log nor any file holds the address, whatever became of the report."""

    secret_file = tmp_path / "report-secret"
    secret_file.write_text(SECRET + "\n", encoding="utf-8")
    secret_file.chmod(0o600)

    def ask_for_reports(settings: dict[str, list[dict[str, object]]]) -> None:
        for client in settings["clients"]:
            client["report_url"] = f"http://127.0.0.1:{web_server.server_address[1]}/izin"
            client["report_secret_file"] = str(secret_file)

    gateway = make_gateway(workers=1, change=ask_for_reports)
    stranger = gateway.stranger()
    answer = gateway.send(NEWS, [gateway.consenting(), stranger])
    assert answer.code == 250
    ((body, signature),) = wait_until(lambda: web_server.taken, "the report has come")
    assert signature == f"sha256={hmac.new(SECRET.encode(), body, 'sha256').hexdigest()}"
    report = json.loads(body)
    assert report["message_id"] in answer.text
    assert [(one["recipient"], one["reason"]) for one in report["recipients"]] == [(stranger, "NO_CONSENT")]
    counted = 'izinkapi_drop_reports_total{result="delivered"} 1.0'
    wait_until(lambda: counted in str(gateway.get("/metrics")[1]), "the report is counted")
    assert gateway.terminate() == 0
    assert stranger not in gateway.log.read_text("utf-8")

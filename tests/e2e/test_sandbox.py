"""``izinkapi sandbox`` simulates what a configuration names, and ends all of it when it is told to."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import time
import tomllib
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

CONFIGURATION = """\
[gateway]
hostname = "kapi.example"

[store]
url = "lmdb:store"

[[brands]]
code = 600777
iys_code = 600777
name = "Deneme Dükkânı"
title = "Deneme A.Ş."
mersis = "0123456789012345"
contact = "iletisim@shop.example"
opt_out_url = "https://izin.shop.example"

[[clients]]
name = "shop"
brands = [600777]
networks = ["127.0.0.1/32"]

[[upstreams.smtp]]
name = "relay"
address = "127.0.0.1:{relay}"
tls = "none"

[[listeners.smtp]]
address = "127.0.0.1:{smtp}"
upstream = "relay"

[admin]
address = "127.0.0.1:{admin}"

[registry]
base_url = "http://127.0.0.1:{registry}"
username = "api@shop.example"
password_file = "password"
"""


def free_ports(amount: int) -> list[int]:
    held = [socket.socket() for _ in range(amount)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def sandbox(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "sandbox", "--directory", str(folder / "var"), *words],
        env=os.environ | {"COLUMNS": "160", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    heard = ""
    for line in process.stdout:
        heard += line
        if words in line:
            return heard
    raise AssertionError(heard)


def test_registry_and_relay_answer_at_the_configured_addresses(tmp_path: Path) -> None:
    """With the configuration's account and brand; SIGTERM ends the simulators too, with exit code 0."""
    registry, relay, smtp, admin = free_ports(4)
    config = tmp_path / "izinkapi.toml"
    config.write_text(CONFIGURATION.format(registry=registry, relay=relay, smtp=smtp, admin=admin), encoding="utf-8")
    (tmp_path / "password").write_text("gizli-parola\n", encoding="utf-8")
    (tmp_path / "password").chmod(0o600)
    with sandbox(tmp_path, "-c", str(config)) as process:
        try:
            shown = read_until(process, "Running until")
            assert f"127.0.0.1:{registry}" in shown
            assert "gizli-parola" not in shown
            base = f"http://127.0.0.1:{registry}"
            login = {"grant_type": "password", "username": "api@shop.example", "password": "gizli-parola"}
            with urllib.request.urlopen(base + "/oauth2/token", urllib.parse.urlencode(login).encode(), 10) as answer:
                token = json.load(answer)["access_token"]
            asked = urllib.request.Request(base + "/sps/600777/brands", headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(asked, timeout=10) as answer:
                assert [brand["name"] for brand in json.load(answer)] == ["Deneme Dükkânı"]
            with smtplib.SMTP("127.0.0.1", relay, timeout=10) as client:
                client.sendmail("a@shop.example", ["b@example.com"], b"Subject: x\r\n\r\nx\r\n")
            assert len(list((tmp_path / "var" / "relay-mail" / "new").glob("*.eml"))) == 1
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    deadline = time.monotonic() + 10
    while (is_open(registry) or is_open(relay)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_open(registry)
    assert not is_open(relay)


@pytest.mark.parametrize("words", [("--registry", "192.0.2.1:80"), ("--relay", "127.0.0.1:port")])
def test_only_the_loopback_interface_is_listened_on(tmp_path: Path, words: tuple[str, str]) -> None:
    """Another address is refused with a sentence before anything starts."""
    with sandbox(tmp_path, *words) as process:
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "expected an address of the loopback interface" in output


def test_an_address_that_is_taken_is_named_before_anything_starts(tmp_path: Path) -> None:
    """With who would listen there, so that nobody has to read a log to learn it."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with sandbox(
            tmp_path, "--registry", "127.0.0.1:0", "--relay", f"127.0.0.1:{port}", "--providers", "0"
        ) as begun:
            output, _ = begun.communicate(timeout=30)
    assert begun.returncode == 2
    assert f"127.0.0.1:{port}, where relay would listen, is taken by another program" in output
    assert not list((tmp_path / "var").glob("*.log"))


def sends_as_shown(port: int, user: str, password: str, title: str) -> int:
    """What Netgsm's simulator answers to a message from the account that the sandbox shows."""
    message = {"msgheader": title, "messages": [{"msg": "Merhaba", "no": "5550000001"}], "iysfilter": "0"}
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/sms/rest/v2/send",
        json.dumps(message).encode(),
        {
            "Content-Type": "application/json",
            "Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode(),
        },
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return int(answer.status)


def test_without_a_configuration_every_neighbour_is_there_and_the_snippet_is_valid(tmp_path: Path) -> None:
    """Registry, relay, each provider with a login that it takes, our plain interface's and an SMSC."""
    with sandbox(tmp_path, "--registry", "127.0.0.1:0", "--relay", "127.0.0.1:0", "--providers", "0") as process:
        try:
            shown = read_until(process, "Running until")
            ports = {int(port) for port in re.findall(r"│ 127\.0\.0\.1:(\d+) ", shown)}
            assert len(ports) > 10
            assert all(is_open(port) for port in ports)
            login = re.search(r"127\.0\.0\.1:(\d+) │ user (\S+), password (\S+); title (\S+)", shown)
            assert login is not None
            assert sends_as_shown(int(login[1]), login[2], login[3], login[4]) == 200
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    snippet = shown.partition("For the configuration")[2].partition("Running until")[0]
    found = tomllib.loads(snippet)
    assert {"netgsm", "plain", "twilio"} <= {upstream["name"] for upstream in found["upstreams"]["sms"]}
    smsc = found["upstreams"]["smpp"][0]
    assert is_password_file(Path(smsc["password_file"]))


def is_password_file(path: Path) -> bool:
    return path.stat().st_mode & 0o077 == 0 and bool(path.read_text(encoding="utf-8").strip())

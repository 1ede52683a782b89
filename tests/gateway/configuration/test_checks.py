"""What check-config finds on the machine: certificates, keys, pictures, folders."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from gateway.configuration.examine import Examination, examine
from tests.support.configurations import SMALLEST, make_certificate, make_private_key

WriteFile = Callable[[str, str], Path]
NOW = datetime(2026, 11, 21, tzinfo=UTC)
TLS = 'tls = "starttls"\ncertificate_file = "tls/cert.pem"\nprivate_key_file = "tls/key.pem"'
WITH_TLS = SMALLEST.replace('upstream = "relay"', f'upstream = "relay"\n{TLS}')
DKIM = 'dkim = { domain = "shop.example", selector = "izin", private_key_file = "dkim.pem" }'
WITH_DKIM = SMALLEST.replace("iys_code = 600123", f"iys_code = 600123\n{DKIM}")


def look(path: Path) -> Examination:
    return examine(path, {}, NOW)


def paths(examination: Examination) -> list[str]:
    return [problem.path for problem in examination.problems]


@cache
def rsa_pem(bits: int) -> str:
    return pem(rsa.generate_private_key(65537, bits))


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, password: bytes | None = None) -> str:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


def test_a_certificate_with_its_key_is_in_order(write: WriteFile) -> None:
    key, key_pem = make_private_key()
    write("tls/cert.pem", make_certificate(key, NOW + timedelta(days=90)))
    write("tls/key.pem", key_pem)
    examination = look(write("izinkapi.toml", WITH_TLS))
    assert examination.problems == ()
    assert not any("listeners" in warning.path for warning in examination.warnings)


def test_a_key_of_another_certificate_is_found_before_a_client_does(write: WriteFile) -> None:
    key, _ = make_private_key()
    write("tls/cert.pem", make_certificate(key, NOW + timedelta(days=90)))
    write("tls/key.pem", make_private_key()[1])
    problem = look(write("izinkapi.toml", WITH_TLS)).problems[0]
    assert problem.path == "listeners.smtp[0].private_key_file"
    assert problem.found == "another key"
    assert problem.line == WITH_TLS.split("\n").index('private_key_file = "tls/key.pem"') + 1


@pytest.mark.parametrize(("days", "said"), [(-1, "ended 2026-11-20"), (10, "ends 2026-12-01"), (15, None)])
def test_a_certificate_that_ended_or_soon_will_is_warned_of(write: WriteFile, days: int, said: str | None) -> None:
    """It does not stop the start: mail without a valid certificate is better than none."""
    key, key_pem = make_private_key()
    write("tls/cert.pem", make_certificate(key, NOW + timedelta(days=days)))
    write("tls/key.pem", key_pem)
    examination = look(write("izinkapi.toml", WITH_TLS))
    assert examination.problems == ()
    found = [warning.found for warning in examination.warnings if warning.path.endswith("certificate_file")]
    assert found == ([] if said is None else [f"one that {said}"])


def test_a_key_with_a_passphrase_or_open_to_others_is_said(write: WriteFile) -> None:
    key, key_pem = make_private_key()
    write("tls/cert.pem", make_certificate(key, NOW + timedelta(days=90)))
    write("tls/key.pem", key_pem).chmod(0o640)
    examination = look(write("izinkapi.toml", WITH_TLS))
    assert [warning.hint for warning in examination.warnings if "private_key" in warning.path] == ["chmod 600"]
    write("tls/key.pem", pem(ed25519.Ed25519PrivateKey.generate(), b"made-up"))
    assert "without a passphrase" in look(write("izinkapi.toml", WITH_TLS)).problems[0].expected


@pytest.mark.parametrize(("bits", "is_usable", "is_warned"), [(2048, True, False), (1024, True, True)])
def test_a_dkim_key_is_rsa_and_long_enough(write: WriteFile, bits: int, is_usable: bool, is_warned: bool) -> None:
    write("dkim.pem", rsa_pem(bits))
    examination = look(write("izinkapi.toml", WITH_DKIM))
    assert (examination.problems == ()) is is_usable
    assert any(warning.path == "brands[0].dkim.private_key_file" for warning in examination.warnings) is is_warned


def test_a_dkim_key_of_another_kind_is_refused(write: WriteFile) -> None:
    write("dkim.pem", pem(ed25519.Ed25519PrivateKey.generate()))
    assert look(write("izinkapi.toml", WITH_DKIM)).problems[0].found == "a key of another kind"


def test_authorities_that_are_none_are_found(write: WriteFile) -> None:
    write("ca.pem", "not a certificate")
    text = SMALLEST.replace('tls = "none"  ', 'ca_file = "ca.pem"\ntls = "tls"  ')
    assert paths(look(write("izinkapi.toml", text))) == ["upstreams.smtp[0].ca_file"]


def test_a_folder_that_cannot_be_written_to_is_found(write: WriteFile, tmp_path: Path) -> None:
    """Also one whose parents do not exist yet, by the nearest that does."""
    write("occupied", "a file")
    text = SMALLEST.replace("lmdb:var/store", "lmdb:occupied/a/b")
    assert paths(look(write("izinkapi.toml", text))) == ["store.url"]
    text = SMALLEST + '\n[evidence]\ndirectory = "/proc/version/evidence"\n'
    assert paths(look(write("izinkapi.toml", text))) == ["evidence.directory"]


def test_looking_creates_nothing(smallest: Path) -> None:
    """A check may be run by anyone, beside a gateway that runs."""
    before = sorted(smallest.parent.rglob("*"))
    assert look(smallest).problems == ()
    assert sorted(smallest.parent.rglob("*")) == before


def test_the_machine_is_not_looked_at_while_the_file_itself_is_wrong(write: WriteFile) -> None:
    text = WITH_DKIM.replace('name = "shop"', 'name = "Shop"')
    examination = look(write("izinkapi.toml", text))
    assert examination.configuration is None
    assert paths(examination) == ["clients[0].name"]

"""The installation's secrets: made once, kept, read, rotated, never shown."""

from __future__ import annotations

import pickle
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from filters.consent_key import ConsentKeys
from filters.refusal_report import ReportSeal
from filters.token import TokenKeys
from gateway.configuration import ConfigurationError, load_configuration
from gateway.secrets import InstallationSecrets, create_private_file, load_or_create_secrets, read_secrets
from tests.support.configurations import SMALLEST


def write(folder: Path, extra: str = "") -> Path:
    path = folder / "izinkapi.toml"
    path.write_text(SMALLEST + extra, encoding="utf-8")
    return path


def load(path: Path, environment: dict[str, str] | None = None) -> InstallationSecrets:
    return load_or_create_secrets(load_configuration(path, environment or {}))


def test_the_first_start_makes_them_for_the_owner_only_and_the_next_reads_the_same(tmp_path: Path) -> None:
    first = load(write(tmp_path))
    folder = tmp_path / "var/secrets"
    assert sorted(file.name for file in folder.iterdir()) == ["evidence.pem", "index.key", "outbox.keys", "token.keys"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert load(write(tmp_path)) == first


def test_two_installations_have_nothing_in_common(tmp_path: Path) -> None:
    first, second = (load(write(folder)) for folder in make_folders(tmp_path))
    assert first.index_secret != second.index_secret
    assert first.token_keys.reveal() != second.token_keys.reveal()
    assert first.outbox_keys.reveal() != first.token_keys.reveal()


def make_folders(parent: Path) -> list[Path]:
    folders = [parent / "one", parent / "two"]
    for folder in folders:
        folder.mkdir()
    return folders


def test_what_uses_them_takes_them(tmp_path: Path) -> None:
    """Keys, tokens and the seal are made from them without further conversion."""
    secrets = load(write(tmp_path))
    assert ConsentKeys(secrets.index_secret.reveal()).derive(600123, b"a@shop.example")
    assert TokenKeys(secrets.token_keys.reveal(), secrets.token_keys.current)
    assert ReportSeal(secrets.outbox_keys.reveal(), secrets.outbox_keys.current)
    assert b"PRIVATE KEY" in secrets.evidence_key_file.read_bytes()


def test_they_travel_to_workers_and_show_nothing(tmp_path: Path) -> None:
    secrets = load(write(tmp_path))
    assert pickle.loads(pickle.dumps(secrets)) == secrets
    shown = repr(secrets) + str(secrets) + repr(secrets.token_keys)
    for key in (secrets.index_secret.reveal(), *secrets.token_keys.reveal().values()):
        assert key.hex() not in shown
        assert repr(key) not in shown


def test_starts_at_the_same_moment_agree_on_one_secret(tmp_path: Path) -> None:
    """The first file that is complete stays; nobody replaces it and nobody reads half of one."""
    path = tmp_path / "secrets/index.key"
    with ThreadPoolExecutor(8) as threads:
        for content in (b"%032d" % number for number in range(8)):
            threads.submit(create_private_file, path, content)
    assert len(path.read_bytes()) == 32
    assert [file.name for file in path.parent.iterdir()] == ["index.key"]


def test_a_file_that_was_named_is_never_created(tmp_path: Path) -> None:
    """A wrong path must not start an installation that cannot read its own past."""
    path = write(tmp_path, '\n[secrets]\nindex_secret_file = "elsewhere/index.key"\n')
    with pytest.raises(ConfigurationError, match="there is no such file"):
        load(path)
    assert not (tmp_path / "elsewhere").exists()


def test_the_environment_gives_them_too(tmp_path: Path) -> None:
    path = write(tmp_path, '\n[secrets]\nindex_secret = "env:INDEX"\ntoken_keys = "env:TOKENS"\n')
    secrets = load(path, {"INDEX": "0a" * 32, "TOKENS": f"1 {'0b' * 32}\n2 {'0c' * 32}"})
    assert secrets.index_secret.reveal() == b"\x0a" * 32
    assert secrets.token_keys.reveal() == {1: b"\x0b" * 32, 2: b"\x0c" * 32}
    assert not (tmp_path / "var/secrets/index.key").exists()


def test_the_highest_key_is_the_current_one_unless_another_is_named(tmp_path: Path) -> None:
    """So keys can be added everywhere first, and used afterwards."""
    load(write(tmp_path))
    keys = tmp_path / "var/secrets/token.keys"
    keys.write_text(keys.read_text() + f"# spring\n\n7 {'07' * 32}\n", encoding="utf-8")
    assert load(write(tmp_path)).token_keys.current == 7
    assert load(write(tmp_path, "\n[secrets]\ncurrent_token_key = 1\n")).token_keys.current == 1
    assert set(load(write(tmp_path)).token_keys.reveal()) == {1, 7}


@pytest.mark.parametrize(
    "content", ["", "\n# nothing\n", "256 " + "00" * 32, "x " + "00" * 32, "1 00", "1", "1 " + "zz" * 32]
)
def test_a_damaged_key_file_is_refused_without_its_text(tmp_path: Path, content: str) -> None:
    load(write(tmp_path))
    (tmp_path / "var/secrets/token.keys").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError) as raised:
        load(write(tmp_path))
    assert "zz" not in str(raised.value)
    assert raised.value.problems[0].path == "secrets.token_keys"


def test_a_secret_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    load(write(tmp_path))
    (tmp_path / "var/secrets/index.key").chmod(0o644)
    read = read_secrets(load_configuration(write(tmp_path), {}).secrets)
    assert [warning.path for warning in read.warnings] == [("secrets", "index_secret")]
    assert read.secrets is not None


def test_before_the_first_start_they_are_missing_and_that_is_no_problem(tmp_path: Path) -> None:
    read = read_secrets(load_configuration(write(tmp_path), {}).secrets)
    assert read.findings == ()
    assert len(read.missing) == 4
    assert [file.name for file in tmp_path.iterdir()] == ["izinkapi.toml"]

"""``izinkapi registry verify`` as a person and as a script use it, against a simulated registry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.main import app
from loadtest.registry.book.world import DEFAULT_PASSWORD, DEFAULT_USERNAME
from tests.support.configurations import SMALLEST
from tests.support.simulated_registry import SimulatedRegistry

BRAND = "600123"
STANDS, GONE = "duran@example.com", "giden@example.com"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def registry() -> Iterator[SimulatedRegistry]:
    """One of two still consents."""
    simulated = SimulatedRegistry()
    simulated.start()
    simulated.control(
        "POST",
        "movements",
        [{"brandCode": 600123, "recipient": STANDS, "type": "EPOSTA", "status": "ONAY", "source": "IYS_WEB"}],
    )
    yield simulated
    simulated.stop()


@pytest.fixture
def run(tmp_path: Path, registry: SimulatedRegistry) -> Run:
    """Runs a command on an installation that was told that both consent."""
    registry.reset()
    text = SMALLEST[: SMALLEST.index("[registry]")].replace("lmdb:var/store", "lmdb:store")
    text = text.replace('url = "lmdb:store"', 'map_size = "64 MiB"\nurl = "lmdb:store"', 1)
    text += f'[registry]\nbase_url = "{registry.url}"\nusername = "{DEFAULT_USERNAME}"\npassword_file = "password"\n'
    (tmp_path / "izinkapi.toml").write_text(text, "utf-8")
    (tmp_path / "password").write_text(DEFAULT_PASSWORD)
    (tmp_path / "password").chmod(0o600)
    rows = [f"{person},EPOSTA,BIREYSEL,ONAY,HS_WEB,2026-01-05 10:00:00" for person in (STANDS, GONE)]
    (tmp_path / "all.csv").write_text("\n".join(("recipient,type,recipientType,status,source,consentDate", *rows, "")))
    (tmp_path / "some.csv").write_text(f"recipient\n{STANDS}\n")

    def command(*words: str) -> Result:
        names = [str(tmp_path / word) if word.endswith(".csv") else word for word in words]
        return CliRunner().invoke(app, [*names, "-c", str(tmp_path / "izinkapi.toml"), "--brand", BRAND])

    assert command("consents", "import", "all.csv").exit_code == 0
    return command


def shown(run: Run, person: str) -> list[str]:
    records = json.loads(run("consents", "show", "--recipient", person, "--json").stdout)["records"]
    return [record["status"] for record in records]


def test_a_complete_list_is_verified_repaired_and_reported(run: Run) -> None:
    """Exit code 0, a table that fits, and no address in it."""
    done = run("registry", "verify", "all.csv")
    assert done.exit_code == 0, done.output
    assert "The brand is known up to" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "@" not in done.output
    assert (shown(run, STANDS), shown(run, GONE)) == (["approved"], ["rejected"])


def test_a_script_gets_every_number(run: Run) -> None:
    """As JSON; a dry run changes nothing and moves nothing."""
    told = json.loads(run("registry", "verify", "all.csv", "--json", "--dry-run").stdout)
    assert (told["rows"], told["asked"], told["withdrawn"], told["watermark"]) == (2, 2, 1, None)
    assert shown(run, GONE) == ["approved"]
    told = json.loads(run("registry", "verify", "all.csv", "--json").stdout)
    assert (told["known"], told["named"], told["withdrawn"]) == (2, 2, 1)
    assert told["watermark"] == told["began"]


def test_a_list_that_misses_people_is_said_to(run: Run) -> None:
    """Exit code 1: what was not asked for is not known."""
    done = run("registry", "verify", "some.csv")
    assert done.exit_code == 1
    assert "names 1 of the 2 recipients" in done.stdout


def test_a_registry_that_refuses_the_login_ends_it(run: Run, tmp_path: Path) -> None:
    """Exit code 2 and a sentence; nobody is withdrawn because nobody answered."""
    (tmp_path / "password").write_text("yanlis")
    done = run("registry", "verify", "all.csv")
    assert done.exit_code == 2
    assert "registry" in done.output
    assert shown(run, GONE) == ["approved"]

"""``izinkapi consents`` as a person and as a script use it: what is printed, and the exit code."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from adapters.store import open_store
from filters.consent_key import ConsentKeys
from filters.exchange import OutboxItem
from filters.refusal_report import RefusalReport, ReportSeal
from filters.vocabulary import Channel, RecipientType
from gateway.cli.consents import app
from gateway.configuration.load import load_configuration
from gateway.consents.words import REGISTRY_ZONE
from gateway.holidays import load_holidays
from gateway.refusals import RefusalReports

BRAND = 600123
KEYS = ConsentKeys(b"test secret".ljust(32))
SEAL = ReportSeal({1: b"s" * 32}, current=1)
HEADER = "recipient,type,recipientType,status,source,consentDate\n"
CONFIGURATION = f"""
[store]
url = "lmdb:store"
state_directory = "state"

[[brands]]
code = {BRAND}
iys_code = {BRAND}
name = "Örnek Mağaza"
title = "Örnek Mağaza A.Ş."
mersis = "0123456789012345"
opt_out_url = "https://izin.example"

[[clients]]
name = "shop"
brands = [{BRAND}]
networks = ["127.0.0.1/32"]
default_class = "commercial"

[[upstreams.smtp]]
name = "relay"
address = "127.0.0.1:2526"
tls = "none"

[[listeners.smtp]]
address = "127.0.0.1:2525"
upstream = "relay"

[admin]
address = "127.0.0.1:9025"
"""

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a subcommand with the configuration of this test; the wiring opens stores as the program's does."""
    (tmp_path / "izinkapi.toml").write_text(CONFIGURATION, encoding="utf-8")
    wiring = SimpleNamespace(
        load=load_configuration,
        consent_keys=lambda configuration, **_: KEYS,
        refusal_reports=lambda configuration: RefusalReports(
            SEAL, load_holidays(Path(__file__).parents[3] / "config" / "holidays-tr.toml")
        ),
        open_store=lambda configuration, **_: open_store(
            configuration.store.connection_url(),
            state_directory=configuration.store.state_directory,
            secret_fingerprint=KEYS.fingerprint,
        ),
    )
    monkeypatch.setitem(sys.modules, "gateway.app", wiring)
    monkeypatch.setenv("COLUMNS", "200")

    def run(command: str, *arguments: str | Path, answer: str | None = None) -> Result:
        words = [command, *map(str, arguments), "-c", str(tmp_path / "izinkapi.toml")]
        return CliRunner().invoke(app, words, input=answer)

    return run


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "export.csv"
    path.write_text(
        HEADER
        + "ali@example.com,EPOSTA,BIREYSEL,ONAY,HS_WEB,2024-05-31 14:05:09\n"
        + "ali@example.com,EPOSTA,TACIR,RET,IYS_WEB,2024-06-01 00:00:00\n"
        + "+905321234567,MESAJ,BIREYSEL,ONAY,HS_MESAJ,2024-05-31 14:05:09\n",
        encoding="utf-8",
    )
    return path


def loaded(result: Result) -> Any:
    return json.loads(result.stdout)


def of_brand(*words: str) -> tuple[str, ...]:
    return ("--brand", str(BRAND), *words)


def test_an_import_ends_with_its_counts(run: Run, export: Path) -> None:
    """Rows, bad rows, recipients, and up to when the brand is known; exit code 0."""
    result = run("import", *of_brand(), export, "--synced-at", "2025-01-01 00:00:00")
    assert result.exit_code == 0, result.output
    for wanted in ("rows read", "3", "recipients", "2", f"Brand {BRAND} is known up to 2025-01-01 00:00:00."):
        assert wanted in result.stdout


def test_an_import_for_a_script_is_one_json_object(run: Run, export: Path) -> None:
    """With --json nothing else is on stdout."""
    answer = loaded(run("import", *of_brand(), export, "--json", "--synced-at", "2025-01-01 00:00:00"))
    assert (answer["rows"], answer["bad"], answer["recipients"], answer["changed"]) == (3, 0, 2, 2)
    assert (answer["watermark"], answer["rejects"]) == ("2025-01-01 00:00:00", None)
    assert answer["newest_consent_date"] == "2024-06-01 00:00:00"


def test_an_assumed_time_is_said_and_an_old_export_questioned(run: Run, export: Path) -> None:
    """The file's time counts, and newest consents far older than it ask for a second look."""
    result = run("import", *of_brand(), export)
    assert result.exit_code == 0
    assert "the time the oldest file was written" in result.stdout
    assert "the newest consent in these files is of 2024-06-01 00:00:00: is the export that old?" in result.stdout


def test_bad_rows_go_to_stderr_and_the_list_and_the_exit_code(run: Run, export: Path) -> None:
    """The first twenty by themselves, masked; the rest by the list's name; the watermark is not moved."""
    with export.open("a", encoding="utf-8") as file:
        file.writelines(
            f"veli{number}@@example.com,EPOSTA,BIREYSEL,ONAY,HS_WEB,2024-05-31 14:05:09\n" for number in range(30)
        )
    result = run("import", *of_brand(), export)
    assert result.exit_code == 1
    assert result.stderr.count("bad row ") == 20
    assert f"{export}, line 5, column recipient: expected an e-mail address" in result.stderr
    assert "more bad rows" in result.stderr
    assert "veli" not in result.output
    assert "The watermark was not moved" in result.stdout
    listed = next(export.parent.glob("state/rejects-*.csv")).read_text(encoding="utf-8")
    assert listed.count("\n") == 31
    assert "veli" not in listed
    assert loaded(run("stats", "--json"))["watermarks"] == {}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--brand", "1"), f"--brand: expected one of {BRAND}"),
        (of_brand("--synced-at", "yesterday"), "--synced-at: expected a time as YYYY-MM-DD HH:mm:ss"),
        (of_brand("--synced-at", "2099-01-01 00:00:00"), "--synced-at: expected a time that is not in the future"),
        (of_brand("missing.csv"), "missing.csv: No such file or directory"),
    ],
)
def test_an_import_that_cannot_begin_says_why(
    run: Run, export: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    """One sentence, exit code 2, no traceback."""
    result = run("import", export, *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.output


def test_a_wrong_file_is_named(run: Run, tmp_path: Path) -> None:
    """With its line, what was expected and what was found."""
    path = tmp_path / "wrong.csv"
    path.write_text("recipient;type;recipientType;status;source;consentDate\n")
    result = run("import", *of_brand(), path)
    assert result.exit_code == 2
    assert f"{path}, line 1: expected columns separated by commas, found semicolons" in result.stderr


def test_a_recipient_is_shown_with_all_records(run: Run, export: Path) -> None:
    """In the registry's words and ours; the address is not repeated."""
    run("import", *of_brand(), export, "--synced-at", "2025-01-01 00:00:00")
    result = run("show", *of_brand("--recipient", "ALI@example.com"))
    assert result.exit_code == 0
    for wanted in ("EPOSTA", "email", "BIREYSEL", "individual", "TACIR", "business", "ONAY", "RET"):
        assert wanted in result.stdout
    assert "2024-05-31 14:05:09" in result.stdout
    assert "Known up to 2025-01-01 00:00:00" in result.stdout
    answer = loaded(run("show", *of_brand("--recipient", "0532 123 45 67", "--json")))
    assert answer["records"] == [
        {
            "channel": "sms",
            "recipient_type": "individual",
            "status": "approved",
            "source": "HS_MESAJ",
            "consent_date": "2024-05-31 14:05:09",
            "own": False,
        }
    ]


def test_in_eighty_columns_no_word_of_a_record_is_cut_off(
    run: Run, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the longest row there is: a refusal of our own."""
    monkeypatch.setenv("COLUMNS", "80")
    run("import", *of_brand(), export)
    run("set", *SET_REFUSAL, "--consent-date", "2024-07-01 09:00:00")
    shown = run("show", *of_brand("--recipient", "ali@example.com")).stdout
    assert "…" not in shown
    assert all(word in shown for word in ("individual", "business", "registry"))
    assert max(map(len, shown.splitlines())) <= 80


def test_nobody_is_shown_as_nobody(run: Run, export: Path) -> None:
    """Exit code 1; and 2 for what is no address, and before the first import."""
    assert run("show", *of_brand("--recipient", "veli@example.com")).exit_code == 2
    run("import", *of_brand(), export)
    result = run("show", *of_brand("--recipient", "veli@example.com"))
    assert result.exit_code == 1
    assert f"No record under brand {BRAND}." in result.stdout
    wrong = run("show", *of_brand("--recipient", "veli at example.com"))
    assert wrong.exit_code == 2
    assert "expected an e-mail address or a phone number" in wrong.stderr
    assert "veli" not in wrong.output


SET_REFUSAL = of_brand(
    *("--recipient", "ali@example.com", "--channel", "EPOSTA", "--recipient-type", "BIREYSEL"),
    *("--status", "RET", "--source", "HS_WEB"),
)


def test_a_record_is_set_and_shown(run: Run, export: Path) -> None:
    """A refusal that came to the brand counts as its own until the registry shows it."""
    run("import", *of_brand(), export)
    result = run("set", *SET_REFUSAL, "--consent-date", "2024-07-01 09:00:00")
    assert result.exit_code == 0, result.output
    assert "not yet seen in the registry" in result.stdout
    answer = loaded(run("show", *of_brand("--recipient", "ali@example.com", "--json")))
    assert answer["records"][0] == {
        "channel": "email",
        "recipient_type": "individual",
        "status": "rejected",
        "source": "HS_WEB",
        "consent_date": "2024-07-01 09:00:00",
        "own": True,
    }


def test_a_refusal_set_by_hand_is_reported_to_the_registry(run: Run, tmp_path: Path) -> None:
    """One that reached the brand is sealed into the outbox with its address, once however often it is set, due at the
    end of the third business day (Law 6563, 8/3)."""
    for _ in range(2):
        result = run("set", *SET_REFUSAL, "--consent-date", "2024-07-01 09:00:00")
        assert "To be reported to the registry by 2024-07-04 23:59:59 (UTC+3)." in result.stdout
    (item,) = asyncio.run(outbox_of(tmp_path))
    report = SEAL.open(item.item_id, item.sealed)
    key = KEYS.derive(BRAND, b"ali@example.com")
    refused_at = int(datetime(2024, 7, 1, 9, tzinfo=REGISTRY_ZONE).timestamp())
    assert report == RefusalReport(
        BRAND, Channel.EMAIL, RecipientType.INDIVIDUAL, "ali@example.com", key, refused_at, "HS_WEB"
    )
    assert item.due_at == int(datetime(2024, 7, 4, 23, 59, 59, tzinfo=REGISTRY_ZONE).timestamp())
    assert b"ali@example.com" not in (tmp_path / "store" / "data.mdb").read_bytes()


def test_a_refusal_under_a_later_will_is_reported_all_the_same(run: Run, tmp_path: Path) -> None:
    """The index stays as it is; the brand still has to pass on what it received."""
    later = [word.replace("RET", "ONAY") for word in SET_REFUSAL]
    assert run("set", *later, "--consent-date", "2024-08-01 09:00:00").exit_code == 0
    answer = run("set", *SET_REFUSAL, "--consent-date", "2024-07-01 09:00:00", "--json")
    assert answer.exit_code == 1
    assert (loaded(answer)["changed"], loaded(answer)["report_due"]) == (False, "2024-07-04 23:59:59")
    assert len(asyncio.run(outbox_of(tmp_path))) == 1


def test_what_the_registry_knows_is_not_reported_to_it(run: Run, tmp_path: Path) -> None:
    """Neither refusals from its own channels nor approvals; the answer says so."""
    from_registry = [word.replace("HS_WEB", "IYS_WEB") for word in SET_REFUSAL]
    approval = [word.replace("RET", "ONAY") for word in SET_REFUSAL]
    for words in (from_registry, approval):
        assert loaded(run("set", *words, "--json"))["report_due"] is None
    assert asyncio.run(outbox_of(tmp_path)) == []


async def outbox_of(folder: Path) -> list[OutboxItem]:
    store = open_store(
        "lmdb:store", state_directory=folder / "state", secret_fingerprint=KEYS.fingerprint, base_directory=folder
    )
    try:
        return await store.outbox_due(2**40, 10)
    finally:
        await store.close()


def test_a_later_will_is_not_overwritten_by_hand(run: Run) -> None:
    """Exit code 1, and what stands is shown."""
    assert run("set", *SET_REFUSAL, "--consent-date", "2024-07-01 09:00:00").exit_code == 0
    earlier = [word.replace("RET", "ONAY") for word in SET_REFUSAL]
    result = run("set", *earlier, "--consent-date", "2024-06-01 09:00:00", "--json")
    assert result.exit_code == 1
    assert (loaded(result)["changed"], loaded(result)["records"][0]["status"]) == (False, "rejected")


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--channel", "POSTA", "--channel: expected EPOSTA, MESAJ or ARAMA, found 'POSTA'"),
        ("--channel", "sms", "recipient: expected a phone number for channel sms"),
        ("--recipient-type", "KISI", "--recipient-type: expected BIREYSEL or TACIR, found 'KISI'"),
        ("--status", "YES", "--status: expected ONAY or RET, found 'YES'"),
        ("--source", "HS_WEBB", "--source: expected a source of the registry"),
        ("--consent-date", "31.05.2024", "--consent-date: expected a time as YYYY-MM-DD HH:mm:ss"),
        ("--consent-date", "2099-01-01 00:00:00", "consent date: expected a time from 2015-05-01 00:00:00 to now"),
    ],
)
def test_a_wrong_option_is_named(run: Run, option: str, value: str, sentence: str) -> None:
    """With what is expected; nothing is set."""
    result = run("set", *SET_REFUSAL, option, value)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_without_a_date_it_is_now(run: Run) -> None:
    """In registry time."""
    answer = loaded(run("set", *SET_REFUSAL, "--json"))
    at = datetime.strptime(answer["records"][0]["consent_date"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=REGISTRY_ZONE)
    assert abs(datetime.now(REGISTRY_ZONE) - at) < timedelta(minutes=1)


def test_stats_count_what_was_imported(run: Run, export: Path) -> None:
    """By brand, channel, recipient type and status; as tables and as JSON."""
    run("import", *of_brand(), export, "--synced-at", "2025-01-01 00:00:00")
    answer = loaded(run("stats", "--json"))
    assert answer["recipients"] == {str(BRAND): 2}
    assert answer["watermarks"] == {str(BRAND): "2025-01-01 00:00:00"}
    assert [
        (found["channel"], found["recipient_type"], found["status"], found["count"]) for found in answer["records"]
    ] == [
        ("email", "individual", "approved", 1),
        ("sms", "individual", "approved", 1),
        ("email", "business", "rejected", 1),
    ]
    shown = run("stats")
    assert shown.exit_code == 0
    for wanted in ("EPOSTA", "MESAJ", "TACIR", "ONAY", "RET", "2025-01-01 00:00:00", "bytes"):
        assert wanted in shown.stdout


def test_an_emptied_store_needs_an_operators_word(run: Run, export: Path, tmp_path: Path) -> None:
    """Import refuses it and names the command; accepted, the own refusal is back and the import goes through."""
    run("import", *of_brand(), export)
    assert run("set", *SET_REFUSAL, "--consent-date", "2024-07-01 09:00:00").exit_code == 0
    for path in (tmp_path / "store").iterdir():
        path.unlink()
    refused = run("import", *of_brand(), export)
    assert refused.exit_code == 2
    assert "izinkapi consents accept-store" in refused.stderr
    assert run("accept-store", answer="n\n").exit_code != 0
    assert run("import", *of_brand(), export).exit_code == 2
    assert run("accept-store", "--yes").exit_code == 0
    assert run("import", *of_brand(), export).exit_code == 0
    answer = loaded(run("show", *of_brand("--recipient", "ali@example.com", "--json")))
    assert [(found["recipient_type"], found["status"]) for found in answer["records"]] == [
        ("individual", "rejected"),
        ("business", "rejected"),
    ]


def test_a_wrong_configuration_is_told(run: Run, tmp_path: Path) -> None:
    """As check-config would, with exit code 2."""
    (tmp_path / "izinkapi.toml").write_text('[store]\nurl = "mysql:x"\n')
    result = run("stats")
    assert result.exit_code == 2
    assert "store.url" in result.stderr

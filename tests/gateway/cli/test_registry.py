"""``izinkapi registry`` as a person and as a script use it, against a simulated registry: what is printed, exit codes.

The wiring is the program's own; only the registry behind it is simulated.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from adapters.registry import limits_name
from filters.consent import Change, Consent
from filters.exchange import Refusal
from filters.registry.words import render_day, render_time
from filters.vocabulary import Channel, RecipientType, Status
from gateway import app as wiring
from gateway.cli.main import app
from gateway.configuration import Configuration
from gateway.registry.parked import park
from tests.support.redis_server import RedisServer
from tests.support.simulated_registry import SimulatedRegistry

BRAND = 600123
AYSE, ALI = "ayse@example.com", "ali@example.com"
HEADER = "recipient,type,recipientType,status,source,consentDate,retailerCode,retailerAccess\n"
DAY_S = 86400
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def registry() -> Iterator[SimulatedRegistry]:
    """Yesterday Ayşe and Ali consented, and Ayşe refused again. It is now."""
    simulated = SimulatedRegistry("--no-limits", "--allow-http-push")
    simulated.start()
    now = time.time()
    simulated.control("PUT", "settings", {"report_ready_s": 0.0})
    simulated.control("PUT", "clock", {"at": now - DAY_S})
    simulated.control("POST", "movements", [movement(AYSE, "ONAY"), movement(ALI, "ONAY")])
    simulated.control("PUT", "clock", {"advance_s": 2})
    simulated.control("POST", "movements", [movement(AYSE, "RET")])
    simulated.control("PUT", "clock", {"at": now})
    yield simulated
    simulated.stop()


def movement(recipient: str, status: str) -> dict[str, Any]:
    return {"brandCode": BRAND, "recipient": recipient, "type": "EPOSTA", "status": status, "source": "IYS_WEB"}


@pytest.fixture
def folder(tmp_path: Path, registry: SimulatedRegistry) -> Path:
    """An installation: secrets made, store begun."""
    (tmp_path / "izinkapi.toml").write_text(
        f"""
[store]
url = "lmdb:store"
state_directory = "state"
map_size = "64 MiB"

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

[registry]
base_url = "{registry.url}"
username = "kullanici@shop.example"
password_file = "password"

[registry.push]
address = "127.0.0.1:8026"
public_url = "https://push.shop.example/iys"
username = "iys"
password_file = "push-password"
""",
        encoding="utf-8",
    )
    for name, secret in (("password", "sandbox-parola"), ("push-password", "push-parola-uzun")):
        (tmp_path / name).write_text(secret + "\n")
        (tmp_path / name).chmod(0o600)

    async def begin() -> None:
        store = wiring.open_store(configuration_in(tmp_path))
        await store.start()
        await store.initialise()
        await store.close()

    asyncio.run(begin())
    return tmp_path


def configuration_in(folder: Path) -> Configuration:
    return wiring.load(folder / "izinkapi.toml")


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run("status", "-r", AYSE)``, in a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: str | Path, answer: str | None = None) -> Result:
        result = CliRunner().invoke(
            app, ["registry", *map(str, words), "-c", str(folder / "izinkapi.toml")], input=answer
        )
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        tables = [line for line in result.stdout.splitlines() if line[:1] in "┏┃┡│├└"]
        assert max(map(len, tables), default=0) <= 80
        return result

    return run


def loaded(result: Result) -> Any:
    return json.loads(result.stdout)


def of_brand(*words: str) -> tuple[str, ...]:
    return (*words, "--brand", str(BRAND))


def put(folder: Path, *addresses: str, parked_as: str = "", refused_at: int | None = None) -> None:
    """Refusals of these people in the outbox, or parked there."""
    configuration = configuration_in(folder)

    async def work() -> None:
        store = wiring.open_store(configuration)
        await store.start()
        reports, keys = wiring.refusal_reports(configuration), wiring.consent_keys(configuration)
        at = int(time.time()) if refused_at is None else refused_at
        for address in addresses:
            key = keys.derive(BRAND, address.encode())
            refusal = Refusal(BRAND, Channel.EMAIL, key, address.encode(), RecipientType.INDIVIDUAL, at, "HS_WEB")
            item = reports.make(refusal, RecipientType.INDIVIDUAL)
            await store.apply(BRAND, [], outbox=[park(item, parked_as) if parked_as else item])
        await store.close()

    asyncio.run(work())


def test_brands_are_listed_with_their_counts(run: Run) -> None:
    result = run("brands")
    assert result.exit_code == 0
    assert str(BRAND) in result.stdout
    listed = loaded(run("brands", "--json"))
    assert [each["is_ours"] for each in listed["brands"] if each["brand_code"] == BRAND] == [True]
    assert listed["missing"] == []


def test_a_status_is_what_the_registry_holds(run: Run) -> None:
    result = run(*of_brand("status", "-r", AYSE))
    assert result.exit_code == 0
    assert "RET" in result.stdout
    told = loaded(run(*of_brand("status", "-r", "AYSE@example.com", "--json")))
    assert (told["status"], told["channel"], told["recipient_type"]) == ("RET", "EPOSTA", "BIREYSEL")


def test_no_record_is_told_by_the_exit_code(run: Run) -> None:
    result = run(*of_brand("status", "-r", "yok@example.com"))
    assert (result.exit_code, result.stdout) == (1, f"No record under brand {BRAND}.\n")
    assert loaded(run(*of_brand("status", "-r", "yok@example.com", "--json"))) is None


def test_many_are_asked_at_once(run: Run, tmp_path: Path) -> None:
    result = run(*of_brand("multi-status", AYSE, ALI))
    assert result.exit_code == 1
    assert "1 of 2 have given consent" in result.stdout
    (tmp_path / "list.txt").write_text(f"{ALI}\n\n{ALI}\n")
    told = loaded(run(*of_brand("multi-status", "--file", str(tmp_path / "list.txt"), "--json")))
    assert told == {"asked": 1, "approved": [ALI]}


def test_a_bad_address_is_named_by_its_place_only(run: Run) -> None:
    result = run(*of_brand("multi-status", ALI, "kişi@@example.com"))
    assert result.exit_code == 2
    assert "address 2" in result.stderr
    assert "example.com" not in result.stderr


def test_a_history_is_newest_first(run: Run) -> None:
    told = loaded(run(*of_brand("history", "-r", AYSE, "--json")))
    assert [each["status"] for each in told["movements"]] == ["RET", "ONAY"]
    assert "2 of 2 movements" in run(*of_brand("history", "-r", AYSE)).stdout


def test_push_says_what_it_would_do(run: Run) -> None:
    result = run("push", "register", "--dry-run")
    assert result.exit_code == 0
    assert "would be registered" in result.stdout
    assert loaded(run("push", "list", "--json")) == []


def test_a_push_that_the_registry_cannot_reach_is_not_registered(run: Run) -> None:
    """The registry tries it at once; the failure is told by its code."""
    result = run("push", "register")
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert "refused H530, push connection failed; the same again would be refused again" in said
    assert "push-parola" not in result.stderr


def test_a_dry_reconciliation_changes_nothing(run: Run) -> None:
    first = run(*of_brand("reconcile", "--dry-run", "--json"))
    told = loaded(first)
    assert (first.exit_code, told["state"], told["movements"], told["missing"]) == (1, "different", 3, 2)
    assert loaded(run(*of_brand("reconcile", "--dry-run", "--json")))["missing"] == 2


def test_a_reconciliation_repairs_and_saves_only_when_told(run: Run) -> None:
    """Repaired at once; agreed to by ``--save`` and a yes alone."""
    told = loaded(run(*of_brand("reconcile", "--json")))
    assert (told["state"], told["counts_agree"], told["is_saved"], told["saved_now"]) == (
        "repaired",
        True,
        False,
        False,
    )
    refused = run(*of_brand("reconcile", "--save"), answer="n\n")
    assert refused.exit_code == 1
    assert "Not saved." in refused.stdout
    saved = run(*of_brand("reconcile", "--save", "--yes"))
    assert (saved.exit_code, "Saved: the registry has our word" in saved.stdout) == (0, True)
    assert loaded(run(*of_brand("reconcile", "--json")))["is_saved"] is True


def test_a_day_out_of_reach_is_told_with_the_registrys_code(run: Run) -> None:
    day = render_day(int(time.time()) - 9 * DAY_S)
    told = loaded(run(*of_brand("reconcile", "--day", day, "--json")))
    assert (told["state"], told["problem"]) == ("failed", "refused H502")


def test_the_daily_report_counts_both_lists(run: Run) -> None:
    run(*of_brand("reconcile", "--json"))
    (told,) = loaded(run("report", "--json"))
    assert told["registry"]["ONAY"] >= 1
    counts = {row["status"]: row["count"] for row in told["index"]}
    assert counts == {"ONAY": 1, "RET": 1}
    assert told["proof"]["state"] in ("agreed", "repaired")
    assert told["verdicts"] == []
    assert "Nothing was decided that day." in run("report").stdout


def test_an_empty_outbox_is_in_order(run: Run) -> None:
    """And says so, in place of a table with nothing in it."""
    shown = run("outbox")
    assert shown.exit_code == 0
    assert shown.stdout == "No report waits to be made.\n"
    assert loaded(run("outbox", "--json"))["waiting"] == {}


def test_the_outbox_shows_deadlines_and_what_cannot_go(run: Run, folder: Path) -> None:
    """And no address in full."""
    put(folder, AYSE)
    put(folder, ALI, parked_as="H467", refused_at=int(time.time()) - 9 * DAY_S)
    result = run("outbox", "--parked")
    assert result.exit_code == 1
    assert "H467" in result.stdout
    assert "ali@" not in result.stdout
    told = loaded(run("outbox", "--json", "--parked"))
    assert told["waiting"] == {str(BRAND): 1}
    assert told["parked"] == {"H467": 1}
    assert told["items"][0]["code"] == "H467"
    assert 0 < told["seconds_left"] < 10 * DAY_S


def test_what_was_parked_goes_again_when_told(run: Run, folder: Path) -> None:
    put(folder, ALI, parked_as="H467", refused_at=int(time.time()) - 9 * DAY_S)
    assert loaded(run("retry", "--code", "H467", "--dry-run", "--json"))["moved"] == 1
    assert loaded(run("outbox", "--json"))["parked"] == {"H467": 1}
    assert loaded(run("retry", "--code", "H467", "--own-decision", "--json"))["moved"] == 1
    told = loaded(run("outbox", "--json"))
    assert (told["parked"], told["waiting"], told["overdue"]) == ({}, {str(BRAND): 1}, 0)
    assert run("retry", "--code", "H467").exit_code == 1


def test_consents_of_a_file_are_put_on_their_way(run: Run, tmp_path: Path) -> None:
    """Bad rows by line and code, nothing written on a dry run, the same file twice harmless."""
    at = render_time(int(time.time()) - 3600)
    path = tmp_path / "consents.csv"
    path.write_text(
        HEADER
        + f"{AYSE},EPOSTA,BIREYSEL,ONAY,HS_WEB,{at},,\n"
        + f"+905321234567,MESAJ,BIREYSEL,RET,HS_MESAJ,{at},,\n"
        + f"bozuk@,EPOSTA,BIREYSEL,ONAY,HS_WEB,{at},,\n"
        + f'{ALI},EPOSTA,BIREYSEL,ONAY,HS_WEB,{at},12345678,"12345678,87654321"\n'
        + "eski@example.com,EPOSTA,BIREYSEL,ONAY,HS_WEB,2020-01-02 03:04:05,,\n"
    )
    dry = run(*of_brand("load", str(path), "--dry-run"))
    assert dry.exit_code == 1
    assert "line 4: H120" in dry.stdout
    assert "line 6: H467" in dry.stdout
    assert "bozuk" not in dry.stdout
    assert loaded(run("outbox", "--json"))["waiting"] == {}
    for _ in range(2):
        told = loaded(run(*of_brand("load", str(path), "--json", "--rejects", str(tmp_path / "bad.csv"))))
        assert (told["accepted"], told["refused"]) == ({"ONAY": 2, "RET": 1}, 2)
    assert loaded(run("outbox", "--json"))["waiting"] == {str(BRAND): 3}
    assert (tmp_path / "bad.csv").read_text().splitlines()[1:] == [f"{path},4,H120", f"{path},6,H467"]


def test_a_refusal_of_a_file_is_taken_as_any_other(run: Run, folder: Path, tmp_path: Path) -> None:
    """In force, on its way to the registry, and in the evidence, whose chain is whole; a dry run begins none."""
    at = render_time(int(time.time()) - 3600)
    path = tmp_path / "consents.csv"
    path.write_text(HEADER + "".join(f"kisi{n}@example.com,EPOSTA,BIREYSEL,RET,HS_WEB,{at},,\n" for n in range(20)))
    asked = ["-c", str(folder / "izinkapi.toml")]
    run(*of_brand("load", str(path), "--dry-run"))
    assert not configuration_in(folder).evidence.directory.exists()
    told = loaded(run(*of_brand("load", str(path), "--json")))
    assert (told["accepted"], told["without_evidence"]) == ({"RET": 20}, 0)
    found = CliRunner().invoke(app, ["evidence", "find", *asked, "-r", "kisi7@example.com", "--json"])
    [record] = [each.get("record", each) for each in loaded(found)["records"]]
    assert (record["source"], record["address_known"], record["types"]) == ("HS_WEB", True, ["individual"])
    assert CliRunner().invoke(app, ["evidence", "verify", *asked]).exit_code == 0
    explained = CliRunner().invoke(app, ["explain", *asked, *of_brand("-r", "kisi7@example.com"), "--json"])
    assert json.loads(explained.stdout)["reason"] == "LOCAL_RET"


def test_a_number_is_explained_for_sms_and_an_address_for_mail(folder: Path) -> None:
    """Where no channel is said: nobody has to say what the recipient shows."""
    for recipient, channel in (("+905550000001", "sms"), ("a@example.com", "email")):
        shown = CliRunner().invoke(app, ["explain", "-c", str(folder / "izinkapi.toml"), *of_brand("-r", recipient)])
        assert f"channel {channel}" in " ".join(shown.stdout.split())


def test_a_consent_on_its_way_explains_a_drop(run: Run, folder: Path, tmp_path: Path) -> None:
    """And permits nothing (edge case E5)."""
    at = render_time(int(time.time()) - 3600)
    path = tmp_path / "consents.csv"
    path.write_text(HEADER + f"yeni@example.com,EPOSTA,BIREYSEL,ONAY,HS_WEB,{at},,\n")
    run(*of_brand("load", str(path)))
    words = ["explain", "-c", str(folder / "izinkapi.toml"), *of_brand("-r", "yeni@example.com")]
    shown = CliRunner().invoke(app, words)
    assert "not yet in İYS: it permits nothing before" in " ".join(shown.stdout.split())
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert told["pending"][0]["state"] == "waiting"
    assert told["verdict"] != "permit"


def test_a_file_with_other_columns_is_not_loaded(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    result = run(*of_brand("load", str(tmp_path / "x.csv")))
    assert result.exit_code == 2
    assert "expected the columns" in result.stderr


def test_dealers_are_added_listed_opened_to_and_deleted(run: Run, tmp_path: Path) -> None:
    """The whole life of one."""
    dealer = {
        "title": "Örnek Bayi Ltd.",
        "name": "Örnek Bayi",
        "tckn": "10000000146",
        "tin": "1234567890",
        "city": {"name": "Yalova", "code": 77},
        "town": {"name": "Termal", "code": 945},
    }
    path = tmp_path / "dealer.json"
    path.write_text(json.dumps(dealer))
    assert loaded(run(*of_brand("retailers", "add", str(path), "--dry-run", "--json")))["retailer_code"] is None
    code = loaded(run(*of_brand("retailers", "add", str(path), "--json")))["retailer_code"]
    assert "Örnek Bayi Ltd." in run(*of_brand("retailers", "list")).stdout
    opened = loaded(run(*of_brand("retailers", "access", "-r", ALI, "--add", str(code), "--json")))
    assert [each["retailer_code"] for each in opened] == [code]
    closed = run(*of_brand("retailers", "access", "-r", ALI, "--remove", str(code), "--json"))
    assert (closed.exit_code, loaded(closed)) == (1, [])
    assert run(*of_brand("retailers", "delete", str(code), "--dry-run")).exit_code == 0
    assert "is deleted" in run(*of_brand("retailers", "delete", str(code), "--yes")).stdout
    assert run(*of_brand("retailers", "list")).exit_code == 1


def test_a_dealer_may_send_once_the_index_knows_of_its_access(run: Run, folder: Path) -> None:
    """E11: what the registry answers about access is what decisions go by, until it answers otherwise."""

    async def know() -> None:
        store = wiring.open_store(configuration_in(folder))
        await store.start()
        key = wiring.consent_keys(configuration_in(folder)).derive(BRAND, ALI.encode())
        consent = Consent(Status.APPROVED, int(time.time()) - 3600, "HS_WEB")
        change = Change(key, Channel.EMAIL, RecipientType.INDIVIDUAL, consent)
        await store.apply(BRAND, [change], watermark_at=int(time.time()))
        await store.close()

    def explained(dealer: int) -> str:
        asked = ["explain", "-c", str(folder / "izinkapi.toml"), "-b", str(BRAND), "-r", ALI, "--json"]
        found = loaded(CliRunner().invoke(app, [*asked, "--dealer", str(dealer)]))
        return f"{found['verdict']} {found['reason']} {found['row']}"

    asyncio.run(know())
    dealer = {
        "title": "Örnek Bayi Ltd.",
        "name": "Örnek Bayi",
        "tckn": "10000000146",
        "tin": "1234567890",
        "city": {"name": "Yalova", "code": 77},
        "town": {"name": "Termal", "code": 945},
    }
    (folder / "dealer.json").write_text(json.dumps(dealer))
    code = loaded(run(*of_brand("retailers", "add", str(folder / "dealer.json"), "--json")))["retailer_code"]
    assert explained(code) == "drop DEALER_NO_ACCESS E11"
    run(*of_brand("retailers", "access", "-r", ALI, "--add", str(code)))
    assert explained(code) == "permit CONSENT R10"
    assert explained(code + 1) == "drop DEALER_NO_ACCESS E11"
    run(*of_brand("retailers", "access", "-r", ALI, "--remove", str(code)))
    assert explained(code) == "drop DEALER_NO_ACCESS E11"
    run(*of_brand("retailers", "delete", str(code), "--yes"))


def test_a_dealers_file_is_checked_without_repeating_it(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "dealer.json"
    path.write_text(json.dumps({"title": "x", "name": "y", "tckn": 10000000146, "tin": "1"}))
    result = run(*of_brand("retailers", "add", str(path)))
    assert (result.exit_code, "tckn: expected a text" in result.stderr) == (2, True)
    assert "10000000146" not in result.stderr


def test_with_a_shared_store_commands_count_where_all_machines_do(
    run: Run, folder: Path, registry: SimulatedRegistry, redis_server: RedisServer
) -> None:
    """And where the store is away, nothing is sent."""
    path = folder / "izinkapi.toml"
    path.write_text(path.read_text("utf-8").replace('"lmdb:store"', f'"{redis_server.url}"'), "utf-8")
    assert run("brands").exit_code == 0

    async def counted() -> bytes | None:
        store = wiring.open_store(configuration_in(folder))
        await store.start()
        found = await store.recall(f"registry/limits/{limits_name(registry.url)}")
        await store.close()
        return found

    assert b"recent" in (asyncio.run(counted()) or b"")
    redis_server.stop()
    try:
        assert run("brands").exit_code == 2
    finally:
        redis_server.start()


def test_a_brand_without_an_account_is_refused_with_those_that_have_one(run: Run) -> None:
    result = run("status", "-r", AYSE, "--brand", "1")
    assert result.exit_code == 2
    assert str(BRAND) in result.stderr


def test_a_registry_that_does_not_answer_is_one_sentence(run: Run, registry: SimulatedRegistry) -> None:
    """Its failure in words, what to do, and no address."""
    registry.control("PUT", "faults", {"faults": [{"kind": "maintenance"}]})
    try:
        result = run(*of_brand("status", "-r", AYSE))
    finally:
        registry.control("DELETE", "faults")
    assert result.exit_code == 2
    assert "the registry: " in result.stderr
    assert AYSE not in result.stderr

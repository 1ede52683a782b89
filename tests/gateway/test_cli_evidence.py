"""``izinkapi evidence`` over real files, as a person and as a script sees it."""

from __future__ import annotations

import asyncio
import importlib
import time
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest
from typer.testing import CliRunner

from adapters.evidence.files import list_segments
from adapters.evidence.sealing import seal
from adapters.evidence.search import EvidenceReader
from adapters.evidence.signing import TrustedKeys, load_or_create_signer, load_public_key, load_trusted_keys
from adapters.evidence.writer import EvidenceWriter, WriterSettings
from filters.consent import Consent
from filters.consent_key import ConsentKeys
from filters.evidence.record import RecordKind, encode_decision, encode_event, index_reading, recipient_entry
from filters.reply import Reply
from filters.vocabulary import (
    Channel,
    FreshnessState,
    MessageClass,
    Outcome,
    RecipientType,
    Status,
    Verdict,
)

command = importlib.import_module("gateway.cli.evidence")
KEYS = ConsentKeys(b"a secret of at least thirty-two bytes")
BRAND = 600123
ADDRESS = "ayse@example.com"
START = 1_785_600_000.0  # 2026-08-01 16:00 UTC


def decision(number: int, address: str) -> bytes:
    is_permitted = number % 2 == 0
    state = {
        (Channel.EMAIL, RecipientType.INDIVIDUAL): Consent(
            Status.APPROVED if is_permitted else Status.REJECTED, 1_700_000_000, "HS_WEB", own=not is_permitted
        )
    }
    return encode_decision(
        decided_at=START + number,
        message_id=f"m{number}",
        node="mx1-0",
        session="s",
        client="shop",
        listener="smtp",
        upstream="relay",
        brand=BRAND,
        iys_code=BRAND,
        channel=Channel.EMAIL,
        message_class=MessageClass.COMMERCIAL,
        class_from="header",
        campaign="",
        policy="enforce",
        size_bytes=1,
        content_sha256="",
        index=index_reading("lmdb", 1, 1, START, 86400, FreshnessState.FRESH),
        recipients=[
            recipient_entry(
                KEYS.derive(BRAND, address.encode()),
                Channel.EMAIL,
                RecipientType.INDIVIDUAL,
                state,
                "R1" if is_permitted else "R2",
                "CONSENT" if is_permitted else "LOCAL_RET",
                Verdict.PERMIT if is_permitted else Verdict.DROP,
                Outcome.RELAYED if is_permitted else Outcome.DROPPED,
                reply=Reply(250, "2.0", "ok") if is_permitted else None,
            )
        ],
    )


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    return tmp_path / "evidence"


@pytest.fixture
def run(tmp_path: Path, evidence: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs a command over ten decisions (five about ``ADDRESS``) and a refusal; its exit code and output."""
    signer = load_or_create_signer(tmp_path / "secrets" / "evidence.pem")

    async def write() -> None:
        writer = EvidenceWriter(evidence, "mx1", 0, signer, WriterSettings(segment_bytes=4000))
        writer.start()
        for number in range(10):
            writer.append(decision(number, ADDRESS if number < 5 else f"x{number}@example.com"), lambda _kept: None)
            await asyncio.sleep(0.002)
        key = KEYS.derive(BRAND, ADDRESS.encode()).hex()
        fields = {"id": "r1", "brand": BRAND, "channel": "email", "source": "HS_WEB", "key": key}
        writer.append(encode_event(RecordKind.REFUSAL, START + 100, fields), lambda _kept: None)
        await writer.close()

    asyncio.run(write())
    brand = SimpleNamespace(brand=SimpleNamespace(code=BRAND, name="Örnek Mağaza"))
    wiring = SimpleNamespace(
        load=lambda _path: SimpleNamespace(brands=[brand]),
        open_evidence_reader=lambda _configuration: EvidenceReader(
            evidence, load_trusted_keys(tmp_path / "secrets" / "evidence.pem")
        ),
        consent_keys=lambda _configuration, **_: KEYS,
        seal_evidence=lambda _configuration, progress: seal(evidence, signer, 10, time.time(), progress),
        trust_public_keys=lambda paths: TrustedKeys(map(load_public_key, paths)).has_signed,
    )
    monkeypatch.setattr(command, "_wiring", lambda: wiring)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: str) -> tuple[int, str]:
        name, *rest = arguments
        config = [] if name == "check" else ["-c", "izinkapi.toml"]
        result = CliRunner().invoke(command.app, [name, *config, *rest])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    return invoke


def test_a_complaint_is_answered_by_one_command(run):
    """When, by which rule, what the registry said, and what became of it; in both languages."""
    code, output = run("find", "--recipient", "AYSE@Example.COM")
    assert code == 0
    assert "6 records found" in output
    for words in (
        "2026-08-01 19:00:01",
        "izin / permit",
        "iletildi / relayed 250 2.2.0",
        "engel / drop",
        "R2 LOCAL_RET",
        "ONAY individual 2023-11-15 01:13 HS_WEB",
        "RET individual",
        "ours",
        "RET / refusal",
        "Örnek Mağaza",
    ):
        assert words in output, words
    assert "ayse" not in output.lower()


def test_a_script_gets_the_records_as_kept(run):
    code, output = run("find", "-m", "m3", "--json")
    answer = orjson.loads(output)
    assert code == 0
    assert answer["found"] == 1
    assert answer["records"][0]["record"] == orjson.loads(decision(3, ADDRESS))


def test_time_and_brand_narrow_the_search(run):
    """Dates are Istanbul's: 19:00:02 there is 16:00:02 UTC."""
    _, output = run("find", "-r", ADDRESS, "--since", "2026-08-01T19:00:02", "--until", "2026-08-01T19:00:04", "--json")
    assert [one["record"]["id"] for one in orjson.loads(output)["records"]] == ["m2", "m3"]
    assert run("find", "-r", ADDRESS, "--brand", "1")[0] == 1
    assert run("find", "-r", ADDRESS, "--since", "2027-01-01")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["find"], "either --recipient or --message-id"),
        (["find", "-r", ADDRESS, "-m", "x"], "either --recipient or --message-id"),
        (["find", "-r", "not an address@"], "--recipient: "),
        (["find", "-r", "12"], "--recipient: "),
        (["find", "-r", ADDRESS, "--since", "yesterday"], "--since: expected a date or time"),
        (["verify", "--kept", "/nonexistent"], "holds no signed heads"),
    ],
)
def test_a_question_that_cannot_be_asked_is_a_sentence_and_code_2(run, arguments, expected):
    code, output = run(*arguments)
    assert code == 2
    assert expected in output


def test_intact_evidence_is_said_to_be_so_open_and_sealed(run):
    assert run("verify")[0] == 0
    code, output = run("seal", "--json")
    assert code == 0
    assert orjson.loads(output)["records"] == 11
    code, output = run("verify")
    assert code == 0
    assert "the evidence is intact" in output
    assert "11 records, signed up to" in output
    assert run("find", "-m", "m3")[0] == 0


def test_no_evidence_is_not_intact_evidence(run, evidence):
    """A folder that was emptied, or is named wrongly in the configuration, proves nothing."""
    evidence.rename(evidence.with_name("elsewhere"))
    code, said = run("verify")
    assert code == 2
    assert "no evidence found in" in said


def test_verify_names_the_altered_record(run, evidence):
    """File, record, byte and time, for people and for scripts; code 1."""
    file = list_segments(evidence)[0]
    content = file.path.read_bytes()
    file.path.write_bytes(content.replace(b'"id":"m1"', b'"id":"m9"'))
    code, output = run("verify")
    assert code == 1
    assert f"altered: {file.name}, record 2, byte " in output
    assert "2026-08-01T16:00:01Z" in output
    code, output = run("verify", "--json")
    answer = orjson.loads(output)
    assert (code, answer["intact"]) == (1, False)
    problem = answer["writers"][0]["problems"][0]
    assert (problem["kind"], problem["record"], problem["is_tampering"]) == ("altered", 2, True)


def test_a_rollback_is_noticed_with_what_was_kept_from_an_earlier_run(run, evidence, tmp_path):
    """All of a writer's files gone together: only a head kept elsewhere knows."""
    kept = tmp_path / "kept.json"
    kept.write_text(run("verify", "--json")[1])
    assert run("verify", "--kept", str(kept))[0] == 0
    lines = tmp_path / "kept.heads"
    lines.write_bytes((evidence / "heads" / "mx1-0.heads").read_bytes())
    for entry in [*evidence.glob("*/*.izl"), *evidence.glob("heads/*")]:
        entry.unlink()
    assert run("verify")[0] == 2  # nothing there to be checked
    for file in (kept, lines):
        code, output = run("verify", "--kept", str(file))
        assert code == 1
        assert "the head kept from" in output


def test_an_export_is_checked_with_the_public_key_alone(run, tmp_path):
    """Export, hand over file and key, check; a changed word shows."""
    exported, key = tmp_path / "complaint.jsonl", tmp_path / "public.pem"
    key.write_text(run("public-key")[1])
    code, output = run("export", "-r", ADDRESS, "-o", str(exported))
    assert (code, "6 records written" in output) == (0, True)
    assert ADDRESS not in exported.read_text()
    assert run("check", str(exported), "-k", str(key)) == (0, "6 records, all proved\n")
    assert run("export", "-r", ADDRESS, "-o", str(exported))[0] == 2
    exported.write_text(exported.read_text().replace("LOCAL_RET", "LOCAL_YES"))
    code, output = run("check", str(exported), "-k", str(key), "--json")
    assert code == 1
    assert [problem["line"] for problem in orjson.loads(output)["problems"]] == [3, 5]


def test_nothing_found_exports_nothing(run, tmp_path):
    assert run("export", "-m", "none", "-o", str(tmp_path / "x"))[0] == 1
    assert not (tmp_path / "x").exists()


def test_a_former_key_still_counts_when_it_is_kept_beside_the_present_one(run, tmp_path):
    """After the key was changed, evidence signed before verifies by the old public key."""
    old = run("public-key")[1]
    (tmp_path / "secrets" / "evidence.pem").unlink()
    load_or_create_signer(tmp_path / "secrets" / "evidence.pem")
    assert run("verify")[0] == 1
    (tmp_path / "secrets" / "evidence-trusted").mkdir()
    (tmp_path / "secrets" / "evidence-trusted" / "2026.pem").write_text(old)
    assert run("verify")[0] == 0

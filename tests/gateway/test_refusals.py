"""A refusal is made durable, reported once, kept as evidence, and only then confirmed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.store import open_store
from filters.consent import RECIPIENT_TYPES, Change, Consent, unpack
from filters.exchange import Refusal
from filters.refusal_report import RefusalReport, ReportSeal
from filters.vocabulary import Channel, RecipientType, Status
from gateway import refusals as module
from gateway.holidays import load_holidays
from gateway.refusals import Refusals
from tests.support.memory_writer import MemoryEvidence, MemoryWriter

KEY = b"k" * 10
REFUSED_AT = int(datetime(2026, 3, 18, 9, 0, tzinfo=UTC).timestamp())
DUE_AT = int(datetime(2026, 3, 24, 20, 59, 59, tzinfo=UTC).timestamp())
REFUSAL = Refusal(600123, Channel.EMAIL, KEY, b"ayse@example.com", RecipientType.INDIVIDUAL, REFUSED_AT, "HS_WEB")
SLOT = (Channel.EMAIL, RecipientType.INDIVIDUAL)


class Told:
    """What the observer was told, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def refusal_recorded(self, refusal: Refusal, *, has_evidence: bool) -> None:
        self.events.append(f"recorded, evidence {has_evidence}, address {bool(refusal.address)}")

    def refusal_failed(self, refusal: Refusal) -> None:
        self.events.append("failed")


class House:
    def __init__(self) -> None:
        self.writer, self.evidence, self.told = MemoryWriter(), MemoryEvidence(), Told()
        self.seal = ReportSeal({1: b"s" * 32}, current=1)
        calendar = load_holidays(Path(__file__).parents[2] / "config" / "holidays-tr.toml")
        self.refusals = Refusals(
            self.writer, self.evidence, self.seal, calendar, self.told, clock=lambda: REFUSED_AT + 0.25
        )


@pytest.fixture
def house() -> House:
    return House()


async def test_a_refusal_enters_the_index_as_our_own(house: House) -> None:
    """Rejected, dated with its arrival, in the channel concerned and no other (Reg. 9/2)."""
    await house.refusals.record(REFUSAL)
    assert house.writer.state(600123, KEY) == {SLOT: Consent(Status.REJECTED, REFUSED_AT, "HS_WEB", own=True)}


async def test_without_a_declared_type_both_records_are_refused(house: House) -> None:
    """Else row R10 would permit on the record that was left."""
    await house.refusals.record(REFUSAL._replace(recipient_type=None))
    state = house.writer.state(600123, KEY)
    assert set(state) == {(Channel.EMAIL, kind) for kind in RECIPIENT_TYPES}
    assert {report.recipient_type for report in _reports(house)} == set(RECIPIENT_TYPES)


async def test_the_report_enters_the_outbox_with_the_deadline(house: House) -> None:
    """In the same call as the index; the third business day after Wednesday 18 March 2026 is Tuesday the 24th."""
    await house.refusals.record(REFUSAL)
    assert house.writer.calls == 1
    (item,) = house.writer.outbox.values()
    assert (item.brand, item.due_at) == (600123, DUE_AT)
    (report,) = _reports(house)
    assert report.address == "ayse@example.com"
    assert (report.refused_at, report.source, report.key) == (REFUSED_AT, "HS_WEB", KEY)


async def test_a_repeated_refusal_makes_no_second_report(house: House) -> None:
    """Nor does it change anything but the date."""
    await house.refusals.record(REFUSAL)
    await house.refusals.record(REFUSAL)
    await house.refusals.record(REFUSAL._replace(received_at=REFUSED_AT + 60, source="HS_EPOSTA"))
    assert len(house.writer.outbox) == 1
    assert house.writer.state(600123, KEY)[SLOT].consent_at == REFUSED_AT + 60
    assert house.told.events == ["recorded, evidence True, address True"] * 3


async def test_a_later_refusal_undoes_a_consent_given_in_between(house: House) -> None:
    """The later will rules, whatever the report says."""
    await house.refusals.record(REFUSAL)
    consent = Consent(Status.APPROVED, REFUSED_AT + 10, "IYS_WEB")
    await house.writer.apply(600123, [Change(KEY, *SLOT, consent)])
    await house.refusals.record(REFUSAL._replace(received_at=REFUSED_AT + 20))
    assert house.writer.state(600123, KEY)[SLOT].status is Status.REJECTED


async def test_evidence_names_the_recipient_by_key_only(house: House) -> None:
    await house.refusals.record(REFUSAL)
    (record,) = house.evidence.records
    assert b"ayse" not in record
    assert b"example" not in record
    fields = json.loads(record)
    assert fields["kind"] == "refusal"
    assert fields["key"] == KEY.hex()
    assert fields["due_at"] == DUE_AT
    assert fields["received_at"] == REFUSED_AT
    assert fields["at"] == "2026-03-18T09:00:00.250000Z"
    assert fields["reports"] == [item.hex() for item in house.writer.outbox]


async def test_a_failing_store_confirms_nothing(house: House) -> None:
    """Neither index, outbox nor evidence say that there was a refusal, and the caller is told."""
    house.writer.is_failing = True
    with pytest.raises(OSError, match="no space"):
        await house.refusals.record(REFUSAL)
    assert not house.writer.values
    assert not house.writer.outbox
    assert not house.evidence.records
    assert house.told.events == ["failed"]


async def test_failing_evidence_does_not_undo_a_refusal(house: House) -> None:
    """It is in force and its report is in the outbox; the loss is counted."""
    house.evidence.is_failing = True
    await house.refusals.record(REFUSAL)
    assert house.writer.state(600123, KEY)[SLOT].status is Status.REJECTED
    assert house.told.events == ["recorded, evidence False, address True"]


async def test_evidence_that_never_answers_does_not_keep_the_person_waiting(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_EVIDENCE_TIMEOUT_S", 0.05)
    house.evidence.is_hanging = True
    await house.refusals.record(REFUSAL)
    assert house.told.events == ["recorded, evidence False, address True"]


async def test_a_refusal_without_an_address_is_in_force_and_counted(house: House) -> None:
    """Its report does not stand in the way of a later one that has the address."""
    await house.refusals.record(REFUSAL._replace(address=b""))
    assert house.told.events == ["recorded, evidence True, address False"]
    await house.refusals.record(REFUSAL)
    assert sorted(report.address for report in _reports(house)) == ["", "ayse@example.com"]


def _reports(house: House) -> list[RefusalReport]:
    return [house.seal.open(item.item_id, item.sealed) for item in house.writer.outbox.values()]


async def test_a_refusal_beats_a_consent_that_we_hold_already_whatever_its_date(house: House, tmp_path: Path) -> None:
    """The registry's clock may run ahead: by date alone that consent would outlive a confirmed refusal."""
    store = open_store(
        f"lmdb:{tmp_path / 'store'}", state_directory=tmp_path / "state", secret_fingerprint=b"f" * 8,
        clock=lambda: REFUSED_AT,
    )  # fmt: skip
    await store.initialise()
    await store.start()
    try:
        ahead = Consent(Status.APPROVED, REFUSED_AT + 200, "HS_WEB")
        await store.apply(600123, [Change(KEY, *SLOT, ahead)])
        calendar = load_holidays(Path(__file__).parents[2] / "config" / "holidays-tr.toml")
        await Refusals(store, house.evidence, house.seal, calendar, house.told, index=store).record(REFUSAL)
        value = (await store.find(600123, [KEY])).values[0]
        assert value is not None
        assert unpack(value)[SLOT] == Consent(Status.REJECTED, REFUSED_AT + 200, "HS_WEB", own=True)
        (item,) = await store.outbox_due(2**40, 10)
        assert house.seal.open(item.item_id, item.sealed).refused_at == REFUSED_AT
        later = Consent(Status.APPROVED, REFUSED_AT + 201, "HS_WEB")
        await store.apply(600123, [Change(KEY, *SLOT, later)])
        value = (await store.find(600123, [KEY])).values[0]
        assert value is not None
        assert unpack(value)[SLOT] == later
    finally:
        await store.close()

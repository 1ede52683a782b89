"""Verification: after it the index permits nobody whom the registry does not, however it was interrupted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.consent import Change, Consent, State, merge
from filters.registry.merging import settle
from filters.registry.values import ConsentSubject, StoredConsent
from filters.vocabulary import Channel, RecipientType, Status
from gateway.consents.csv_file import CsvFileError
from gateway.registry import comparison
from gateway.registry.comparison import Checked
from gateway.registry.verify import VerifyReport, verify_files
from tests.support.registry_world import CONSENTS, item
from tests.support.sync_world import BRAND, KEYS, SLOT, SyncWorld

AT = 1_700_000_000


class Watching:
    """Remembers what it was told last; ends the verification after ``most`` blocks."""

    def __init__(self, most: int = 1_000_000) -> None:
        self.counts: list[int] = []
        self.behind = (-1, -1)
        self.told: list[Checked] = []
        self._most = most

    def counted(self, done_bytes: int, total_bytes: int) -> None:
        assert 0 < done_bytes <= total_bytes
        assert not self.told
        self.counts.append(done_bytes)

    def began(self, done_bytes: int, total_bytes: int, checked: Checked) -> None:
        assert 0 <= done_bytes < total_bytes
        self.behind = done_bytes, checked.rows

    def verified(self, done_bytes: int, total_bytes: int, checked: Checked) -> None:
        assert 0 < done_bytes <= total_bytes
        self.told.append(checked)
        if len(self.told) >= self._most:
            raise asyncio.CancelledError


@pytest.fixture
def check(sync: SyncWorld, tmp_path: Path) -> Any:
    """``await check("a@example.com", …)`` verifies a list of these rows."""

    async def run(*rows: str, header: str = "recipient", watching: Watching | None = None, **more: Any) -> VerifyReport:
        path = tmp_path / "list.csv"
        if not path.exists() or path.read_text() != "\n".join((header, *rows, "")):
            path.write_text("\n".join((header, *rows, "")))
        return await verify_files(
            sync.link,
            sync.store,
            KEYS,
            [path],
            state_directory=tmp_path / "state",
            observer=watching or Watching(),
            clock=sync.world.clock.now,
            **more,
        )

    return run


async def know(sync: SyncWorld, person: str, status: Status, at: int = AT, **more: Any) -> None:
    key = KEYS.derive(BRAND, person.encode())
    await sync.store.apply(BRAND, [Change(key, *SLOT, Consent(status, at, more.pop("source", "HS_WEB"), **more))])


async def test_a_consent_the_registry_does_not_hold_is_withdrawn(sync: SyncWorld, check: Any) -> None:
    """And one that it holds stays."""
    await know(sync, "loose@example.com", Status.APPROVED)
    await sync.world.call("POST", CONSENTS, item(recipient="good@example.com"))
    await know(sync, "good@example.com", Status.APPROVED)
    report = await check("loose@example.com", "good@example.com")
    assert await sync.status("loose@example.com") is Status.REJECTED
    assert await sync.status("good@example.com") is Status.APPROVED
    assert report.checked == Checked(rows=2, asked=2, requests=2, withdrawn=1)


async def test_a_consent_we_did_not_know_is_entered_as_the_registry_dates_it(sync: SyncWorld, check: Any) -> None:
    """By a single query, as the list query tells no dates."""
    await sync.world.call("POST", CONSENTS, item(recipient="new@example.com"))
    report = await check("new@example.com", "nobody@example.com")
    assert await sync.status("new@example.com") is Status.APPROVED
    assert await sync.status("nobody@example.com") is None
    assert (report.checked.entered, report.checked.open) == (1, 0)


async def test_a_refusal_here_of_the_very_date_of_the_consent_there_stands_and_is_counted(
    sync: SyncWorld, check: Any
) -> None:
    """As a list says it that was wrong about somebody: nobody is told that a consent was entered which was not."""
    at = int(sync.world.clock.now()) - 7200
    await know(sync, "both@example.com", Status.REJECTED, at)
    await sync.world.call("POST", CONSENTS, item(recipient="both@example.com", consentDate=sync.world.ago(7200)))
    report = await check("both@example.com")
    assert await sync.status("both@example.com") is Status.REJECTED
    assert report.checked == Checked(rows=1, asked=1, requests=2, kept=1)


async def test_an_older_refusal_here_gives_way_to_the_consent_there(sync: SyncWorld, check: Any) -> None:
    """By the registry's date."""
    at = int(sync.world.clock.now()) - 7200
    await know(sync, "older@example.com", Status.REJECTED, at - 1)
    await sync.world.call("POST", CONSENTS, item(recipient="older@example.com", consentDate=sync.world.ago(7200)))
    report = await check("older@example.com")
    assert await sync.status("older@example.com") is Status.APPROVED
    assert (report.checked.entered, report.checked.kept) == (1, 0)


async def test_a_refusal_of_our_own_is_no_difference(sync: SyncWorld, check: Any) -> None:
    """The registry is still to hear of it."""
    await sync.world.call("POST", CONSENTS, item(recipient="own@example.com"))
    await know(sync, "own@example.com", Status.REJECTED, own=True)
    report = await check("own@example.com")
    assert await sync.status("own@example.com") is Status.REJECTED
    assert report.checked == Checked(rows=1, asked=1, requests=2)


async def test_a_withdrawn_consent_that_is_registered_later_is_entered(sync: SyncWorld, check: Any) -> None:
    """With the very date it had here: what stood against it was nobody's will."""
    at = int(sync.world.clock.now()) - 7200
    await know(sync, "late@example.com", Status.APPROVED, at)
    await check("late@example.com")
    assert await sync.status("late@example.com") is Status.REJECTED
    added = await sync.world.call(
        "POST", CONSENTS, item(recipient="late@example.com", consentDate=sync.world.ago(7200))
    )
    assert added.status == 200
    await check("late@example.com")
    assert await sync.status("late@example.com") is Status.APPROVED


async def test_a_complete_list_moves_the_watermark_to_its_beginning(sync: SyncWorld, check: Any) -> None:
    """What closes a gap; rows that are no addresses do not count for anybody."""
    await know(sync, "a@example.com", Status.REJECTED)
    began_at = int(sync.world.clock.now())
    report = await check("a@example.com", "not an address", "b@example.com")
    assert report.watermark_at == began_at == await sync.watermark()
    assert report.checked.unusable == 1


async def test_a_list_that_misses_somebody_moves_nothing(sync: SyncWorld, check: Any) -> None:
    """Nobody has asked for that one."""
    await know(sync, "a@example.com", Status.APPROVED)
    await know(sync, "missing@example.com", Status.APPROVED)
    report = await check("a@example.com", "a@example.com", "b@example.com")
    assert report.watermark_at is None
    assert (report.known, report.named) == (2, 1)
    assert await sync.watermark() is None


async def test_who_comes_during_the_verification_stands_in_for_nobody(
    sync: SyncWorld, check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list as long as what the index knew is no complete list, if one on it was not known when the asking began."""
    monkeypatch.setattr("gateway.consents.csv_file.BLOCK_BYTES", 200)
    people = [f"person-{number:04}@example.com" for number in range(40)]
    for person in [*people[:-1], "missing@example.com"]:
        await know(sync, person, Status.REJECTED)
    with pytest.raises(asyncio.CancelledError):
        await check(*people, watching=Watching(most=1))
    await know(sync, people[-1], Status.APPROVED)
    report = await check(*people)
    assert report.resumed_rows > 0
    assert (report.known, report.named) == (40, 39)
    assert await sync.watermark() is None


async def test_phones_are_asked_for_messages_and_calls(sync: SyncWorld, check: Any) -> None:
    """Each channel has its own consent."""
    report = await check("+905320000001", "0532 000 00 02")
    assert report.checked == Checked(rows=2, asked=4, requests=4)


async def test_reading_the_list_shows_its_progress_too(sync: SyncWorld, check: Any) -> None:
    """From the first block to the last, before the first question; then the asking begins at the beginning."""
    watching = Watching()
    await check(*(f"p{number}@example.com" for number in range(10)), watching=watching)
    assert watching.counts == sorted(watching.counts)
    assert watching.counts
    assert watching.behind == (0, 0)


async def test_a_dry_run_changes_nothing(sync: SyncWorld, check: Any) -> None:
    """It says what differs."""
    await know(sync, "loose@example.com", Status.APPROVED)
    report = await check("loose@example.com", repairs=False)
    assert await sync.status("loose@example.com") is Status.APPROVED
    assert report.checked.withdrawn == 1
    assert report.watermark_at is None


async def test_an_address_the_registry_takes_for_none_costs_the_others_nothing(sync: SyncWorld, check: Any) -> None:
    """One bad address fails a request of a thousand; it is found by halving and taken for no consent."""
    await sync.world.call("POST", CONSENTS, item(recipient="good@example.com"))
    await sync.world.sim("PUT", "faults", {"faults": [{"kind": "code", "code": "H120", "path": "status", "count": 1}]})
    await know(sync, "good@example.com", Status.APPROVED)
    report = await check("good@example.com", "b@example.com", "c@example.com")
    assert await sync.status("good@example.com") is Status.APPROVED
    assert report.checked.requests > 2


async def test_an_interrupted_verification_goes_on_where_it_was(
    sync: SyncWorld, check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Block by block; what was done is not asked for again, and all of it counts."""
    monkeypatch.setattr("gateway.consents.csv_file.BLOCK_BYTES", 200)
    people = [f"person-{number:04}@example.com" for number in range(100)]
    for person in people:
        await know(sync, person, Status.APPROVED)
    with pytest.raises(asyncio.CancelledError):
        await check(*people, watching=Watching(most=4))
    watching = Watching()
    report = await check(*people, watching=watching)
    assert 0 < report.resumed_rows < 100
    assert watching.behind[0] > 0
    assert watching.behind[1] == report.resumed_rows
    assert watching.counts == []  # that was done before
    assert report.checked.rows == 100
    assert report.checked.withdrawn == 100
    assert report.named == 100
    assert report.watermark_at is not None


async def test_a_registry_that_goes_on_failing_ends_it_without_a_claim(
    sync: SyncWorld, check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names the failure; nothing was withdrawn because nobody answered."""
    monkeypatch.setattr(comparison, "_TRIES", 1)
    await know(sync, "a@example.com", Status.APPROVED)
    await sync.world.sim("PUT", "faults", {"faults": [{"kind": "garbage", "path": "status"}]})
    with pytest.raises(OSError, match="unreadable"):
        await check("a@example.com")
    assert await sync.status("a@example.com") is Status.APPROVED
    assert await sync.watermark() is None


async def test_a_list_without_addresses_is_no_list(check: Any) -> None:
    """The column has to be named."""
    with pytest.raises(CsvFileError, match="recipient"):
        await check("a@example.com", header="adres")


CONSENT = st.builds(
    Consent,
    st.sampled_from(Status),
    st.integers(AT, AT + 3),
    st.sampled_from(["UNKNOWN", "HS_WEB", "IYS_WEB"]),
    st.booleans(),
)


@given(st.none() | CONSENT, st.none() | CONSENT)
@settings(max_examples=300)
def test_an_answer_never_permits_what_the_registry_does_not(held: Consent | None, theirs: Consent | None) -> None:
    """And after it nobody is permitted whose own refusal is as late as the registry's consent."""
    state: State = {} if held is None else {SLOT: held}
    subject = ConsentSubject("a@example.com", *SLOT)
    answer = (
        None
        if theirs is None
        else StoredConsent(
            subject, theirs.status, theirs.source, theirs.consent_at, theirs.consent_at, "", 0, None, None
        )
    )
    change = settle(answer, b"k" * 10, state, Channel.EMAIL, RecipientType.INDIVIDUAL)
    if change is not None:
        merge(state, change.channel, change.recipient_type, change.consent)
    after = state.get(SLOT)
    is_permitted = after is not None and after.status is Status.APPROVED
    if theirs is None:
        assert not is_permitted
    elif is_permitted and held is not None and held.own and held.status is Status.REJECTED:
        assert theirs.consent_at > held.consent_at

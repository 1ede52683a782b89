"""The parts of reporting, each by itself: fates by code, parked reports, notes of bulk requests, sealed consents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.consent_report import ConsentReport, consent_to_add, open_report, seal_consent
from filters.exchange import OutboxItem
from filters.refusal_report import RefusalReport, ReportSeal
from filters.registry.error_codes import ERROR_RULES, Advice
from filters.registry.failures import Limited, LoginRefused, Refused, ServerFault, TransportFault, TransportProblem
from filters.registry.values import BulkItem, BulkState, ConsentToAdd, ErrorEntry, SubRequest
from filters.vocabulary import Channel, RecipientType, Status
from gateway.registry.parked import PARKED_AT, is_parked, park, unpark
from gateway.registry.reporting.fates import DONE, OTHER, Fate, is_of_the_item, judge_codes
from gateway.registry.reporting.flights import MOST_FLIGHTS, Flights, list_items

SEAL = ReportSeal({1: b"o" * 32}, 1)


class Memory:
    """A ``SyncMemory`` in a dictionary, with the bound of the real one."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def recall(self, name: str) -> bytes | None:
        return self.values.get(name)

    async def keep(self, name: str, value: bytes | None) -> None:
        if value is None:
            self.values.pop(name, None)
        else:
            assert len(value) < 64 * 1024
            self.values[name] = value

    async def replace(self, name: str, expected: bytes | None, value: bytes) -> bool:
        if self.values.get(name) != expected:
            return False
        self.values[name] = value
        return True


@pytest.mark.parametrize("code", sorted(ERROR_RULES))
def test_every_documented_code_has_a_fate_and_only_three_end_a_report(code: str) -> None:
    """Nothing leaves the outbox by a code but H174, H175 and, after a status query, H178."""
    judged = judge_codes((code,), ERROR_RULES[code].statuses[0])
    assert (judged.fate in DONE) is (code in {"H174", "H175"})
    assert (judged.fate is Fate.READ_AGAIN) is (code == "H178")
    assert (judged.fate is Fate.LATE) is (code == "H467")
    if judged.fate is Fate.AGAIN:
        assert judged.pause_s >= 5
    if ERROR_RULES[code].advice is Advice.RESEND:
        assert judged.fate is Fate.AGAIN, "what the registry lists as worth resending is sent again"


def test_a_code_nobody_documented_is_parked_under_one_word() -> None:
    """Labels stay closed, and nothing the registry writes there can be an address in our log."""
    assert judge_codes(("ayse@example.com",), 422) == (Fate.PARKED, OTHER, 0.0)
    assert judge_codes((), 400).fate is Fate.PARKED


@pytest.mark.parametrize(
    "failure",
    [
        TransportFault(TransportProblem.TIMED_OUT, may_be_done=True),
        Limited(3.0, "H124"),
        ServerFault(500, ()),
        LoginRefused(400, "invalid_request", 60.0),
        Refused(403, (ErrorEntry("H520"),)),
        Refused(401, (ErrorEntry("H351"),)),
        Refused(400, (ErrorEntry("H123"),)),
        Refused(422, (ErrorEntry("H525"),)),
    ],
    ids=lambda failure: type(failure).__name__ + "".join(getattr(failure, "codes", ())),
)
def test_what_is_wrong_with_us_or_the_way_says_nothing_of_the_report(failure: Limited) -> None:
    """It waits; it is not settled."""
    assert not is_of_the_item(failure)


@given(
    st.binary(min_size=16, max_size=16),
    st.integers(1, 2**32 - 1),
    st.integers(0, PARKED_AT - 1),
    st.binary(max_size=400),
    st.text(max_size=60),
)
def test_a_parked_report_comes_back_as_it_was(
    item_id: bytes, brand: int, due_at: int, sealed: bytes, code: str
) -> None:
    item = OutboxItem(item_id, brand, due_at, sealed)
    parked = park(item, code)
    assert is_parked(parked)
    assert not is_parked(item)
    assert parked.item_id != item_id
    assert unpark(parked).report == item


@given(st.binary(max_size=80))
def test_what_is_no_parked_report_is_refused(sealed: bytes) -> None:
    item = OutboxItem(b"x" * 16, 1, PARKED_AT, sealed)
    try:
        unpark(item)
    except ValueError:
        return
    assert len(sealed) >= 10


async def test_bulk_requests_survive_a_kill_by_their_notes() -> None:
    """A thousand items fit one value of the memory; what another process finds is the same."""
    memory = Memory()
    flights = Flights(memory)
    ids = [number.to_bytes(16, "big") for number in range(1000)]
    subs = [SubRequest(f"0000-{number}", None) for number in range(1000)]
    flight = await flights.begin(7, "a" * 36, 1_795_000_000.0, list_items(ids, [i[-8:] for i in ids], subs))
    again = Flights(memory)
    await again.recall(1_795_000_100.0)
    (found,) = again.open.values()
    assert (found.request_id, found.brand, found.items) == (flight.request_id, 7, flight.items)
    assert found.poll_at == flight.accepted_at + 300
    await again.go_on(found, (), 0.0)
    assert memory.values == {}


async def test_there_is_room_for_so_many_bulk_requests_only() -> None:
    """What waits in memory is bounded by it."""
    flights = Flights(Memory())
    for number in range(MOST_FLIGHTS):
        assert not flights.is_full
        await flights.begin(7, f"{number}", 0.0, list_items([b"i" * 16], [b"p" * 8], []))
    assert flights.is_full


async def test_a_damaged_note_is_dropped_and_its_items_go_again() -> None:
    memory = Memory()
    memory.values["report/flight/3"] = b"\x09damaged"
    flights = Flights(memory)
    await flights.recall(0.0)
    assert (flights.open, memory.values) == ({}, {})


def result(place: int | None, sub: str | None) -> BulkItem:
    return BulkItem(place, BulkState.STORED, sub, "t", None, None)


@pytest.mark.parametrize("shift", [0, 1])
async def test_results_are_matched_by_the_registrys_ids_whatever_it_counts_from(shift: int) -> None:
    """An old sample counts places from one."""
    ids = [bytes([number]) * 16 for number in range(3)]
    flights = Flights(Memory())
    subs = [SubRequest(f"s{number}", None) for number in range(3)]
    flight = await flights.begin(7, "r", 0.0, list_items(ids, [i[:8] for i in ids], subs))
    matched = flight.match([result(number + shift, f"s{number}") for number in (2, 0)])
    assert [item.item_id for item, _ in matched] == [ids[2], ids[0]]
    assert flight.match([result(1, "stranger"), result(1, None)]) == []


async def test_without_ids_the_place_counts() -> None:
    ids = [bytes([number]) * 16 for number in range(3)]
    flights = Flights(Memory())
    flight = await flights.begin(7, "r", 0.0, list_items(ids, [i[:8] for i in ids], []))
    assert [item.item_id for item, _ in flight.match([result(1, None)])] == [ids[1]]


CONSENTS = st.builds(
    ConsentToAdd,
    st.sampled_from(["ayse@example.com", "+905321234567"]),
    st.sampled_from(Channel),
    st.sampled_from(RecipientType),
    st.sampled_from(Status),
    st.none() | st.integers(0, 2**32 - 1),
    st.none() | st.sampled_from(["HS_WEB", "HS_2015"]),
    st.none() | st.integers(10_000_000, 99_999_999),
    st.lists(st.integers(10_000_000, 99_999_999), max_size=3).map(tuple),
)


@given(CONSENTS, st.binary(min_size=10, max_size=10))
def test_a_sealed_consent_comes_back_and_shows_nobody(consent: ConsentToAdd, key: bytes) -> None:
    report = ConsentReport(600123, key, consent, 1_795_000_000)
    sealed = seal_consent(SEAL, report, bytes(12))
    assert consent.recipient.encode() not in sealed
    assert open_report(SEAL, report.item_id, sealed) == report
    with pytest.raises(ValueError, match="altered"):
        open_report(SEAL, b"another id here!", sealed)


@given(CONSENTS, CONSENTS)
def test_two_consents_share_an_id_only_if_they_are_the_same(first: ConsentToAdd, second: ConsentToAdd) -> None:
    """So a repetition is one report, and another will or date is another."""
    ids = {ConsentReport(1, each.recipient.encode(), each, taken).item_id for taken, each in enumerate((first, second))}
    assert (len(ids) == 1) is (first == second)


def test_a_refusal_opens_as_a_refusal_beside_consents() -> None:
    report = RefusalReport(
        1, Channel.SMS, RecipientType.BUSINESS, "+905321234567", b"k" * 10, 1_795_000_000, "HS_MESAJ"
    )
    opened = open_report(SEAL, report.item_id, SEAL.seal(report, bytes(12)))
    assert opened == report
    assert consent_to_add(opened).status is Status.REJECTED

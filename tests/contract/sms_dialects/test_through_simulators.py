"""Codec and simulated provider understand each other although neither knows the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from filters.reason import Reason
from filters.sms.dialect import Dialect, Segments
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Relayed, ReportEntry, SmsFate, Submission
from filters.vocabulary import Outcome
from tests.support.sms_dialect_case import DialectCase, Pair
from tests.support.sms_provider import RunningProvider

PAIRS = [(f"{prefix}53211100{number:02d}", "Merhaba çğıöşü & <dost>") for number, prefix in enumerate(["", "0", "90"])]
AT = 1_800_000_000.0


@pytest.fixture
async def provider(simulated_case: DialectCase) -> AsyncIterator[RunningProvider]:
    assert simulated_case.make_simulator is not None
    async with RunningProvider(simulated_case.make_simulator()) as running:
        yield running


def read(dialect: Dialect, request: HttpRequest) -> Submission:
    call = dialect.recognise(request)
    assert call is not None
    return dialect.read(request, call)


async def send(
    case: DialectCase, provider: RunningProvider, pairs: list[Pair], kept: list[int], tag: int = 0
) -> tuple[Submission, Relayed, HttpResponse]:
    pairs = [(case.spell(number), text) for number, text in pairs]
    submission = read(case.dialect, case.compose(pairs, case.tags[tag]))
    texts = [submission.texts[submission.recipients[position].text] for position in kept]
    response = await provider.ask(case.dialect.write(submission, kept, texts))
    return submission, case.dialect.read_answer(submission, kept, response), response


async def test_the_provider_takes_who_is_kept_and_nobody_else(
    simulated_case: DialectCase, provider: RunningProvider
) -> None:
    """Numbers, texts and order arrive; the job's id is the one that the sender hears."""
    case = simulated_case
    pairs = PAIRS[:1] if case.is_single else PAIRS
    kept = [0] if case.is_single else [0, 2]
    submission, relayed, response = await send(case, provider, pairs, kept)
    sent = await provider.sent()
    assert [(each["number"][-10:], each["text"]) for each in sent] == [
        (pairs[at][0][-10:], pairs[at][1]) for at in kept
    ]
    assert {fate.outcome for fate in relayed.fates} == {Outcome.RELAYED}
    fates = [SmsFate(Outcome.DROPPED, Reason.NO_CONSENT)] * len(pairs)
    for at in kept:
        fates[at] = SmsFate(Outcome.RELAYED)
    answer = case.dialect.write_answer(submission, fates, response, case.dialect.mint_id(1), [Segments(1, 1)])
    assert case.is_success(answer)
    assert relayed.job_id == case.job_id(answer) == sent[0]["job"]


@pytest.mark.parametrize("mode", ["error", "garbage", "cut"])
async def test_a_provider_in_trouble_leaves_the_outcome_unknown(
    simulated_case: DialectCase, provider: RunningProvider, mode: str
) -> None:
    """An answer that cannot be read, or only half of it, is neither success nor refusal."""
    case = simulated_case
    await provider.tell("fault", mode=mode, count=1)
    try:
        async with asyncio.timeout(5):
            _, relayed, _ = await send(case, provider, PAIRS[:1], [0])
    except aiohttp.ClientError:
        assert mode == "cut"
        assert len(await provider.sent()) == 1
    else:
        assert {fate.outcome for fate in relayed.fates} == {Outcome.UNKNOWN}


async def test_wrong_credentials_are_handed_back_as_the_provider_says_it(
    simulated_case: DialectCase, provider: RunningProvider
) -> None:
    """The sender hears the provider's own refusal, as if nobody stood between them."""
    case = simulated_case
    provider.simulator.accounts = {}
    provider.simulator.passwords = {}
    submission, relayed, response = await send(case, provider, PAIRS[:1], [0])
    assert {fate.outcome for fate in relayed.fates} == {Outcome.REFUSED}
    assert relayed.is_passed_on
    answer = case.dialect.write_answer(submission, relayed.fates, response, case.dialect.mint_id(1), ())
    assert not case.is_success(answer)
    assert await provider.sent() == []


def dropped_entries(count: int) -> list[ReportEntry]:
    return [
        ReportEntry(f"0532999{number:04d}", f"+90532999{number:04d}", "", Reason.NO_CONSENT, AT)
        for number in range(count)
    ]


@pytest.mark.parametrize("dropped_count", [1, 250])
async def test_dropped_numbers_are_in_the_report_once(
    simulated_case: DialectCase, provider: RunningProvider, dropped_count: int
) -> None:
    """Page after page until one is empty: everybody stands there once, dropped ones as refused by İYS."""
    case = simulated_case
    if case.report is None or case.rows is None:
        return
    _, relayed, _ = await send(case, provider, PAIRS, [0, 1, 2])
    await provider.tell("clock", seconds=60)
    dropped = {relayed.job_id: dropped_entries(dropped_count)}
    rows = await every_row(case, provider, relayed.job_id, dropped)
    ours = [(number, status) for number, status in rows if "532999" in number]
    assert ours == [(entry.spelled, case.refused_status) for entry in dropped[relayed.job_id]]
    assert sorted(number[-10:] for number, _ in rows if "532999" not in number) == [n[-10:] for n, _ in PAIRS]


async def test_a_job_of_ours_is_reported_without_asking_the_provider(
    simulated_case: DialectCase, provider: RunningProvider
) -> None:
    """The provider has never heard of a minted id; the report lists everybody as refused."""
    case = simulated_case
    if case.report is None or case.rows is None:
        return
    minted = case.dialect.mint_id(99)
    rows = await every_row(case, None, minted, {minted: dropped_entries(150)})
    assert rows == [(entry.spelled, case.refused_status) for entry in dropped_entries(150)]


async def every_row(
    case: DialectCase, provider: RunningProvider | None, job_id: str, dropped: dict[str, list[ReportEntry]]
) -> list[tuple[str, object]]:
    assert case.report is not None
    assert case.rows is not None
    found: list[tuple[str, object]] = []
    answer: HttpResponse | None = None
    for page in range(8):
        request = case.report([job_id], page, 100)
        if case.next_page is not None and answer is not None:
            request = case.next_page(request, answer)
        call = case.dialect.recognise(request)
        assert call is not None
        assert list(case.dialect.report_ids(request, call)) == [job_id]
        response = await provider.ask(request) if provider is not None else None
        answer = case.dialect.overlay_report(request, call, response, dropped)
        rows = case.rows(answer)
        if not rows or not case.has_pages:
            return found + rows
        found += rows
    raise AssertionError("the report never ends")

"""What all of these commands share: options, the registry and the store opened, failures as sentences."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated, NamedTuple, NoReturn, Protocol, TypeVar, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from filters.business_days import HolidayCalendar
from filters.consent_key import ConsentKeys
from filters.refusal_report import ReportSeal
from filters.registry.error_codes import ERROR_RULES, Advice
from filters.registry.failures import CallFailure, Failure
from filters.registry.merging import find_address
from filters.registry.values import (
    Added,
    ConsentSubject,
    Page,
    RegistryBrand,
    Retailer,
    RetailerToAdd,
)
from filters.registry.writing import UnsendableError
from filters.vocabulary import Channel, RecipientType
from gateway.configuration.problems import ConfigurationError
from gateway.configuration.settings import Configuration
from gateway.consents.csv_file import CsvFileError
from gateway.consents.ports import ConsentStore
from gateway.consents.words import CHANNEL_WORDS, RECIPIENT_TYPE_WORDS, parse_word
from gateway.ports import RefusalRecorder
from gateway.refusals import RefusalObserver
from gateway.registry.failures import failure_words
from gateway.registry.pending import NoteStore
from gateway.registry.ports import BrandLink, RegistryApi, SyncIndex, SyncMemory

NO, NOT_DONE = 1, 2
WIDTH = 80

Config = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", show_default=False)]
Brand = Annotated[int, typer.Option("--brand", "-b", help="The brand's code.", show_default=False)]
AnyBrand = Annotated[
    int | None, typer.Option("--brand", "-b", help="The brand's code; left out: all.", show_default=False)
]
Recipient = Annotated[
    str, typer.Option("--recipient", "-r", help="E-mail address or phone number.", show_default=False)
]
ChannelWord = Annotated[str, typer.Option("--channel", help="EPOSTA, MESAJ or ARAMA (email, sms, call).")]
KindWord = Annotated[str, typer.Option("--recipient-type", help="BIREYSEL or TACIR (individual, business).")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]

_Answer = TypeVar("_Answer")


class CommandApi(RegistryApi, Protocol):
    """What only commands ask of the registry, beside the sync service's calls."""

    async def retailer(self, brand: RegistryBrand, retailer_code: int) -> Retailer | CallFailure: ...

    async def add_retailer(self, brand: RegistryBrand, retailer: RetailerToAdd) -> int | CallFailure: ...

    async def delete_retailer(self, brand: RegistryBrand, retailer_code: int) -> CallFailure | None: ...

    async def access(
        self, brand: RegistryBrand, subject: ConsentSubject, offset: int = 0, limit: int = 100
    ) -> Page[Retailer] | CallFailure: ...

    async def add_access(
        self, brand: RegistryBrand, subject: ConsentSubject, codes: Sequence[int]
    ) -> Added | CallFailure: ...

    async def set_access(
        self,
        brand: RegistryBrand,
        channel: Channel,
        recipient_type: RecipientType,
        recipients: Sequence[str],
        codes: Sequence[int],
    ) -> CallFailure | None: ...

    async def remove_access(
        self,
        brand: RegistryBrand,
        channel: Channel,
        recipient_type: RecipientType,
        recipients: Sequence[str],
        codes: Sequence[int],
    ) -> CallFailure | None: ...


class CommandStore(SyncIndex, SyncMemory, NoteStore, ConsentStore, Protocol):
    """The store as these commands use it."""


class Links(Protocol):
    """The registry opened for one command."""

    links: list[BrandLink]

    async def close(self) -> None: ...


class Wiring(Protocol):
    """What ``gateway.app`` gives to these commands."""

    def load(self, config_path: Path) -> Configuration: ...

    def open_store(self, configuration: Configuration, *, may_begin: bool = True) -> CommandStore: ...

    def consent_keys(self, configuration: Configuration, *, may_begin: bool = True) -> ConsentKeys: ...

    def report_sealing(self, configuration: Configuration) -> tuple[ReportSeal, HolidayCalendar]: ...

    def count_verdicts(
        self, configuration: Configuration, since_at: float, until_at: float
    ) -> Mapping[tuple[int, str, str, str], int]: ...

    def refusal_recorder(
        self, configuration: Configuration, store: CommandStore, observer: RefusalObserver
    ) -> AbstractAsyncContextManager[RefusalRecorder]: ...

    def shares_limits(self, configuration: Configuration) -> bool: ...

    def RegistryLinks(  # noqa: N802 - a class of the wiring
        self, configuration: Configuration, *, store: CommandStore | None
    ) -> Links: ...


class Opened(NamedTuple):
    """The store, and the keys to its records."""

    store: CommandStore
    keys: ConsentKeys


_ADVICE_WORDS = {
    Advice.TAKE_AS_DONE: "nothing is left to do",
    Advice.KEEP_VETO: "our own refusal stays in force",
    Advice.READ_AGAIN: "ask what the registry holds now",
    Advice.RESEND: "try again later",
    Advice.LOG_IN: "see to user name and password",
    Advice.CHECK_FIRST: "it may have been carried out: look before trying again",
    Advice.MEND_ACCOUNT: "a right, contract or setting of the account is missing at the registry",
    Advice.NEVER: "the same again would be refused again",
}


class CallFailedError(Exception):
    """The registry did not do it; the text is its failure in words, never an address."""


def wiring() -> Wiring:
    """Imported when a command runs: ``--help`` needs no adapter."""
    return cast("Wiring", importlib.import_module("gateway.app"))  # a module has no type of its own


def api_of(link: BrandLink) -> CommandApi:
    return cast("CommandApi", link.api)  # the adapter's has both faces; links promise the duties' one


def done(answer: _Answer | CallFailure) -> _Answer:
    """The answer, or ``CallFailedError``."""
    if isinstance(answer, Failure):
        raise CallFailedError(_told(answer))
    return answer


def _told(failure: Failure) -> str:
    """A failure for whoever typed the command: what the registry's code means, and what to do."""
    words = failure_words(failure)
    rule = ERROR_RULES.get(words.rpartition(" ")[2])
    return f"{words}{f', {rule.meaning}' if rule is not None else ''}; {_ADVICE_WORDS[failure.advice]}"


def ask(config: Path, brand: int | None, work: Callable[[list[BrandLink]], Awaitable[_Answer]]) -> _Answer:
    """Do ``work`` with the registry, for one brand or all."""

    async def run(configuration: Configuration) -> _Answer:
        return await _with_links(configuration, brand, work)

    return _guarded(config, run)


def ask_with_store(
    config: Path,
    brand: int | None,
    work: Callable[[list[BrandLink], Opened, Configuration], Awaitable[_Answer]],
) -> _Answer:
    """Do ``work`` with registry and store."""

    async def run(configuration: Configuration) -> _Answer:
        async def with_store(links: list[BrandLink]) -> _Answer:
            return await _with_store(configuration, lambda opened: work(links, opened, configuration))

        return await _with_links(configuration, brand, with_store)

    return _guarded(config, run)


def work_on_store(config: Path, work: Callable[[Opened, Configuration], Awaitable[_Answer]]) -> _Answer:
    """Do ``work`` with the store only; the registry is not asked."""

    async def run(configuration: Configuration) -> _Answer:
        return await _with_store(configuration, lambda opened: work(opened, configuration))

    return _guarded(config, run)


async def _with_links(
    configuration: Configuration, brand: int | None, work: Callable[[list[BrandLink]], Awaitable[_Answer]]
) -> _Answer:
    store = wiring().open_store(configuration, may_begin=False) if wiring().shares_limits(configuration) else None
    opened = wiring().RegistryLinks(configuration, store=store)
    try:
        if store is not None:
            await store.start()
        links = [link for link in opened.links if brand in (None, link.code)]
        if not links:
            codes = ", ".join(str(link.code) for link in opened.links) or "none"
            raise ValueError(f"--brand: expected a brand that an account of [registry] acts for ({codes})")
        return await work(links)
    finally:
        await opened.close()
        if store is not None:
            await store.close()


async def _with_store(configuration: Configuration, work: Callable[[Opened], Awaitable[_Answer]]) -> _Answer:
    store = wiring().open_store(configuration, may_begin=False)
    try:
        await store.start()
        return await work(Opened(store, wiring().consent_keys(configuration, may_begin=False)))
    finally:
        await store.close()


def _guarded(config: Path, run: Callable[[Configuration], Awaitable[_Answer]]) -> _Answer:
    async def running(configuration: Configuration) -> _Answer:
        return await run(configuration)

    try:
        return asyncio.run(running(wiring().load(config)))
    except CallFailedError as error:
        fail(f"the registry: {error}")
    except UnsendableError as error:
        fail(f"not sent, the registry would refuse it: {error}")
    except (ConfigurationError, CsvFileError, OSError, ValueError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted")


def parse_channel(text: str) -> Channel:
    return _named("--channel", lambda: parse_word(CHANNEL_WORDS, text))


def parse_kind(text: str) -> RecipientType:
    return _named("--recipient-type", lambda: parse_word(RECIPIENT_TYPE_WORDS, text))


def parse_subject(recipient: str, channel: str, kind: str) -> ConsentSubject:
    """The subject of a question; fails with a sentence that does not repeat the address."""
    meant = parse_channel(channel)
    address = find_address(recipient, meant)
    if address is None:
        fail(f"--recipient: expected {'an e-mail address' if meant is Channel.EMAIL else 'a phone number'}")
    return ConsentSubject(address.decode(), meant, parse_kind(kind))


def _named(option: str, parse: Callable[[], _Answer]) -> _Answer:
    try:
        return parse()
    except ValueError as error:
        fail(f"{option}: {error}")


def fail(sentence: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True, highlight=False).print(Text.assemble(("error ", "bold red"), sentence))
    raise typer.Exit(NOT_DONE)


def print_json(answer: object) -> None:
    sys.stdout.write(json.dumps(answer, ensure_ascii=False, default=str) + "\n")


def print_table(rows: Sequence[Sequence[str | Text]], *columns: str, numbers: Sequence[str] = ()) -> None:
    """A table that fits ``WIDTH`` columns: what is longer is folded, not cut."""
    table = Table(expand=False)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    Console(highlight=False).print(table)


def say(sentence: str, style: str = "") -> None:
    Console(soft_wrap=True, highlight=False).print(Text(sentence, style=style))


def progress_bar(*, hidden: bool) -> Progress:
    """On stderr, with an estimate; gone afterwards where nobody watches."""
    console = Console(stderr=True, highlight=False)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=hidden,
        transient=not console.is_terminal,
    )

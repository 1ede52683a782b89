"""``izinkapi evidence``: answer a complaint, prove it, and show that nothing was tampered with.

Exit codes: 0 found, or intact; 1 nothing found, or not intact; 2 not done.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple, NoReturn, Protocol, TypeVar, cast

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from filters.address import AddressError, parse_email
from filters.consent_key import ConsentKeys
from filters.evidence.chain import HasSigned, Head, parse_head
from filters.evidence.check import Problem, WriterReport
from filters.evidence.export import Located, check_export, render_export
from filters.evidence.record import ISTANBUL, RecordKind
from filters.phone import PhoneError, parse_phone
from filters.vocabulary import Outcome, Verdict
from gateway.configuration.problems import ConfigurationError
from gateway.configuration.settings import Configuration

_FOUND, _NOT_FOUND, _NOT_DONE = 0, 1, 2
# Columns of a terminal in which the eight of the table have room.
_WIDE = 150

app = typer.Typer(help="Find, verify and export what was kept of each decision.", no_args_is_help=True)

Config = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", show_default=False)]
Recipient = Annotated[
    str | None, typer.Option("--recipient", "-r", help="E-mail address or phone number.", show_default=False)
]
MessageId = Annotated[
    str | None, typer.Option("--message-id", "-m", help="Our message id, from a reply or a log.", show_default=False)
]
Brand = Annotated[
    list[int] | None,
    typer.Option(
        "--brand", "-b", help="Brand code, also of a former brand; left out, all configured.", show_default=False
    ),
]
Since = Annotated[
    str | None, typer.Option(help="From this date or time on (2026-08-01, 2026-08-01T10:00; Istanbul time).")
]
Until = Annotated[str | None, typer.Option(help="Before this date or time.")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")]


_Answer = TypeVar("_Answer")


class EvidenceReader(Protocol):
    """What these commands ask of the evidence."""

    def find_recipient(
        self, keys: Iterable[bytes], since_at: float | None = None, until_at: float | None = None
    ) -> list[Located]: ...

    def find_message(self, message_id: str) -> list[Located]: ...

    def verify(
        self, kept: Iterable[Head] = (), progress: Callable[[str, int], None] | None = None
    ) -> list[WriterReport]: ...

    def prove(self, located: Sequence[Located]) -> Iterator[dict[str, object]]: ...

    def public_keys(self) -> dict[str, str]: ...

    def total_bytes(self) -> int: ...


class Sealed(Protocol):
    """What one run of sealing did."""

    def _asdict(self) -> dict[str, Any]: ...


class _Wiring(Protocol):
    """What ``gateway.app`` gives to these commands."""

    def load(self, path: Path) -> Configuration: ...

    def open_evidence_reader(self, configuration: Configuration) -> EvidenceReader: ...

    def consent_keys(self, configuration: Configuration, *, may_begin: bool = True) -> ConsentKeys: ...

    def seal_evidence(self, configuration: Configuration, progress: Callable[[str, int], None] | None) -> Sealed: ...

    def trust_public_keys(self, paths: Sequence[Path]) -> HasSigned: ...


def _wiring() -> _Wiring:
    # Imported when a command runs: `--help` needs no adapter.
    return cast("_Wiring", importlib.import_module("gateway.app"))  # a module has no type of its own


class _Question(NamedTuple):
    """What is looked for; exactly one of recipient and message id is given."""

    recipient: str | None
    message_id: str | None
    brands: Sequence[int]
    since: str | None
    until: str | None

    def describe(self) -> dict[str, object]:
        """For an export: the address stays out, whoever receives the file knows whose it is."""
        return {"message_id": self.message_id, "brands": list(self.brands), "since": self.since, "until": self.until}


# -- commands ------------------------------------------------------------------------------------------------------


@app.command()
def find(
    config: Config,
    recipient: Recipient = None,
    message_id: MessageId = None,
    brand: Brand = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """What was decided for one recipient, or about one message: when, by which rule, and what became of it."""
    question = _Question(recipient, message_id, brand or (), since, until)
    configuration, _, located, keys = _search(config, question)
    names = {known.brand.code: known.brand.name for known in configuration.brands}
    if as_json:
        _print_json({"found": len(located), "records": [_as_json(one) for one in located]})
    else:
        _print_table(located, names, keys)
    raise typer.Exit(_FOUND if located else _NOT_FOUND)


@app.command()
def verify(
    config: Config,
    kept: Annotated[
        Path | None,
        typer.Option(help="Heads kept from earlier: the --json answer of a former run, or heads one a line."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check every record, link and signature; name the first record that was altered."""
    reader = _open(config)[1]
    heads = _read_heads(kept) if kept else []
    try:
        reports = _with_progress(lambda step: reader.verify(heads, step), reader.total_bytes(), as_json)
    except (OSError, ValueError) as error:
        _fail(str(error))
    if not reports and not heads:
        # An emptied folder, or one named wrongly, is no proof of anything.
        _fail(f"no evidence found in the evidence.directory of {config}")
    tampered = [problem for report in reports for problem in report.problems if problem.is_tampering]
    if as_json:
        _print_json({"intact": not tampered, "writers": [_report_as_json(report) for report in reports]})
    else:
        _print_reports(reports, bool(tampered))
    raise typer.Exit(_NOT_FOUND if tampered else _FOUND)


@app.command()
def export(
    config: Config,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write; it must not exist yet.")],
    recipient: Recipient = None,
    message_id: MessageId = None,
    brand: Brand = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Records with their proof, in one file that an authority can check without us (`evidence check`)."""
    question = _Question(recipient, message_id, brand or (), since, until)
    _, reader, located, _ = _search(config, question)
    if not located:
        _say("nothing found", "yellow")
        raise typer.Exit(_NOT_FOUND)
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    unsigned = 0
    try:
        with output.open("xb") as file:
            for line in render_export(reader.prove(located), reader.public_keys(), question.describe(), now):
                unsigned += b'"head":null' in line
                file.write(line + b"\n")
    except OSError as error:
        _fail(f"{output}: {error.strerror}")
    _say(f"{len(located)} records written to {output}", "green")
    if unsigned:
        _say(f"{unsigned} of them not signed yet: export again after the next signing for a proof", "yellow")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A file made by `evidence export`.", show_default=False)],
    public_key: Annotated[
        list[Path], typer.Option("--public-key", "-k", help="The sender's Ed25519 public key, PEM.", show_default=False)
    ],
    as_json: AsJson = False,
) -> None:
    """Check an exported file with nothing but the public key: for whoever receives one."""
    try:
        has_signed = _wiring().trust_public_keys(public_key)
        with file.open("rb") as lines:
            records, problems = check_export((line.rstrip(b"\n") for line in lines), has_signed)
    except (OSError, ValueError) as error:
        _fail(str(error))
    is_good = bool(records) and not problems
    if as_json:
        found = [{"line": problem.line, "detail": problem.detail} for problem in problems]
        _print_json({"intact": is_good, "records": records, "problems": found})
    else:
        for problem in problems:
            _say(f"line {problem.line}: {problem.detail}", "red")
        _say(f"{records} records, {'all proved' if is_good else 'not all proved'}", "green" if is_good else "red")
    raise typer.Exit(_FOUND if is_good else _NOT_FOUND)


@app.command()
def seal(config: Config, as_json: AsJson = False) -> None:
    """Compress and index closed segments, and remove what is past its retention. The gateway does this by itself."""
    wiring = _wiring()
    configuration, reader = _open(config)
    try:
        done = _with_progress(
            lambda step: wiring.seal_evidence(configuration, step), reader.total_bytes(), as_json
        )._asdict()
    except (OSError, ValueError) as error:
        _fail(str(error))
    if as_json:
        _print_json(done)
    else:
        _say(", ".join(f"{name.replace('_', ' ')} {number}" for name, number in done.items()), "green")


@app.command("public-key")
def public_key(config: Config) -> None:
    """Print the public keys by which evidence is checked; hand them to whoever shall check an export."""
    for pem in _open(config)[1].public_keys().values():
        sys.stdout.write(pem)


# -- the question --------------------------------------------------------------------------------------------------


def _open(config: Path) -> tuple[Configuration, EvidenceReader]:
    wiring = _wiring()
    try:
        configuration = wiring.load(config)
        return configuration, wiring.open_evidence_reader(configuration)
    except (ConfigurationError, OSError, ValueError) as error:
        _fail(str(error))


def _search(config: Path, question: _Question) -> tuple[Configuration, EvidenceReader, list[Located], frozenset[str]]:
    """What was found, and the consent keys (hex) that were looked for."""
    if (question.recipient is None) == (question.message_id is None):
        _fail("expected either --recipient or --message-id")
    since_at = _parse_instant("--since", question.since)
    until_at = _parse_instant("--until", question.until)
    address = b"" if question.recipient is None else _address_key(question.recipient)
    configuration, reader = _open(config)
    try:
        if question.message_id is not None:
            return configuration, reader, reader.find_message(question.message_id), frozenset()
        brands = question.brands or [known.brand.code for known in configuration.brands]
        consent_keys = _wiring().consent_keys(configuration, may_begin=False)
        keys = [consent_keys.derive(brand, address) for brand in brands]
        located = reader.find_recipient(keys, since_at, until_at)
    except (ConfigurationError, OSError, ValueError) as error:
        _fail(str(error))
    return configuration, reader, located, frozenset(key.hex() for key in keys)


def _address_key(text: str) -> bytes:
    try:
        if "@" in text:
            return parse_email(text.strip().encode("utf-8"), allow_utf8=True).key
        return parse_phone(text.strip()).key
    except (AddressError, PhoneError) as error:
        _fail(f"--recipient: {error}")


def _parse_instant(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        _fail(f"{option}: expected a date or time like 2026-08-01 or 2026-08-01T10:00, found {text!r}")
    return (instant if instant.tzinfo else instant.replace(tzinfo=ISTANBUL)).timestamp()


def _read_heads(path: Path) -> list[Head]:
    try:
        content = path.read_bytes()
        answer = orjson.loads(content) if content.count(b"\n") <= 1 else None
        if isinstance(answer, dict) and "writers" in answer:
            return [parse_head(orjson.dumps(one["last_head"])) for one in answer["writers"] if one["last_head"]]
        return [parse_head(line) for line in content.splitlines() if line.strip()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        _fail(f"--kept: {path} holds no signed heads ({type(error).__name__})")


# -- the answer ----------------------------------------------------------------------------------------------------

_VERDICT_STYLE: dict[str, str] = {Verdict.PERMIT: "green", Verdict.DROP: "red", Verdict.DEFER: "yellow"}
_TURKISH: dict[str, str] = {
    Verdict.PERMIT: "izin", Verdict.DROP: "engel", Verdict.DEFER: "erteleme",
    Outcome.RELAYED: "iletildi", Outcome.DROPPED: "iletilmedi", Outcome.DEFERRED: "ertelendi",
    Outcome.REFUSED: "reddedildi", Outcome.UNKNOWN: "belirsiz",
}  # fmt: skip
_STATUS_WORDS = {"approved": "ONAY", "rejected": "RET"}


def _as_json(one: Located) -> dict[str, Any]:
    return {"writer": one.writer, "segment": one.name, "number": one.number, "record": one.record}


def _print_table(located: Sequence[Located], names: Mapping[int, str], keys: frozenset[str]) -> None:
    console = Console(highlight=False)
    headings = ("Zaman / time", "İleti / message", "Marka / brand", "Kanal / channel", "Kayıt / registry",
                "Kural / rule", "Karar / verdict", "Sonuç / outcome")  # fmt: skip
    rows: list[tuple[str | Text, ...]] = []
    for one in located:
        record = one.record
        shared = (_istanbul(record), str(record.get("id", "")), _brand(record, names), str(record.get("channel", "")))
        if record.get("kind") == RecordKind.REFUSAL:
            rows.append((*shared, str(record.get("source", "")), "", Text("RET / refusal", style="magenta"), ""))
            continue
        rows += [
            (*shared, *_recipient_cells(recipient))
            for recipient in record.get("recipients", ())
            if not keys or recipient.get("key") in keys
        ]
    if console.width >= _WIDE:
        table = Table(*(heading.replace(" / ", "\n") for heading in headings))
        for row in rows:
            table.add_row(*row)
    else:
        # Eight columns in 80 would be words under words: one below the other instead, a block for each decision.
        table = Table(show_header=False)
        for row in rows:
            for heading, cell in zip(headings, row, strict=True):
                if str(cell):
                    table.add_row(Text(heading, style="dim"), cell)
            table.add_section()
    console.print(table)
    console.print(Text("Zaman İstanbul saatiyle · times are Istanbul's (UTC+3)", style="dim"))
    console.print(Text(f"{len(located)} kayıt bulundu · {len(located)} records found"))


def _recipient_cells(recipient: Mapping[str, Any]) -> tuple[str, str, Text, str]:
    registry = recipient.get("registry")
    if registry is None:
        seen = "–"
    elif not registry:
        seen = "kayıt yok / none"
    else:
        seen = "\n".join(_consent(consent) for consent in registry)
    verdict, outcome = str(recipient.get("verdict")), str(recipient.get("outcome"))
    return (
        seen,
        f"{recipient.get('row', '')} {recipient.get('reason', '')}".strip(),
        Text(f"{_TURKISH.get(verdict, verdict)} / {verdict}", style=_VERDICT_STYLE.get(verdict, "")),
        f"{_TURKISH.get(outcome, outcome)} / {outcome} {recipient.get('reply', '')}".rstrip(),
    )


def _consent(consent: Mapping[str, Any]) -> str:
    at = datetime.fromtimestamp(int(consent["consent_at"]), ISTANBUL)
    status = _STATUS_WORDS.get(str(consent["status"]), str(consent["status"]))
    own = ", bizde / ours" if consent.get("own") else ""
    return f"{status} {consent['type']} {at:%Y-%m-%d %H:%M} {consent['source']}{own}"


def _istanbul(record: Mapping[str, Any]) -> str:
    return f"{datetime.fromisoformat(str(record['at'])).astimezone(ISTANBUL):%Y-%m-%d %H:%M:%S}"


def _brand(record: Mapping[str, Any], names: Mapping[int, str]) -> str:
    code = record.get("brand")
    return f"{code} {names.get(code, '')}".strip() if isinstance(code, int) else ""


def _report_as_json(report: WriterReport) -> dict[str, Any]:
    return {
        "writer": report.writer,
        "segments": report.segments,
        "records": report.records,
        "unsigned": report.unsigned,
        "last_head": report.last_head._asdict() if report.last_head else None,
        "problems": [problem._asdict() | {"is_tampering": problem.is_tampering} for problem in report.problems],
    }


def _print_reports(reports: Sequence[WriterReport], is_tampered: bool) -> None:
    for report in reports:
        signed = f", signed up to {report.last_head.signed_at}" if report.last_head else ", nothing signed yet"
        _say(
            f"{report.writer}: {_count(report.segments, 'segment')}, {_count(report.records, 'record')}{signed}", "bold"
        )
        if report.unsigned:
            _say(f"  {_count(report.unsigned, 'record')} not signed yet", "yellow")
        for problem in report.problems:
            _say(f"  {_describe(problem)}", "red" if problem.is_tampering else "yellow")
    if is_tampered:
        _say("kanıt değişmiş · the evidence is not as it was written", "bold red")
    else:
        _say("kanıt bozulmamış · the evidence is intact", "bold green")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _describe(problem: Problem) -> str:
    where = problem.file
    if problem.record:
        where += f", record {problem.record}"
    if problem.offset:
        where += f", byte {problem.offset}"
    at = f", {problem.at}" if problem.at else ""
    return f"{problem.kind}: {where}{at}: {problem.detail}" if where else f"{problem.kind}: {problem.detail}"


def _with_progress(work: Callable[[Callable[[str, int], None] | None], _Answer], total: int, is_quiet: bool) -> _Answer:
    console = Console(stderr=True)
    if is_quiet or not console.is_terminal:
        return work(None)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        return work(lambda name, size: progress.update(task, advance=size, description=name))


def _print_json(answer: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    sys.stdout.flush()


def _say(sentence: str, style: str) -> None:
    Console(soft_wrap=True, highlight=False).print(Text(sentence, style=style))


def _fail(sentence: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True, highlight=False).print(Text.assemble(("error ", "bold red"), sentence))
    raise typer.Exit(_NOT_DONE)

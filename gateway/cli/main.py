"""``izinkapi``: all commands together."""

from __future__ import annotations

import asyncio
import importlib.metadata
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from filters.address import AddressError, parse_email
from filters.consent import unpack
from filters.decision.decide import Facts
from filters.decision.explain import explain as explain_decision
from filters.decision.freshness import freshness
from filters.exchange import Lookup
from filters.phone import PhoneError, parse_phone
from filters.vocabulary import Channel, FreshnessState, LookupFailure, MessageClass, RecipientType
from gateway.cli import consents, evidence, registry
from gateway.cli.check_config import check_config
from gateway.cli.demo import demo
from gateway.cli.explain import render_explanation
from gateway.cli.sandbox import sandbox
from gateway.configuration import Configuration, ConfigurationError
from gateway.dealers import AskedLists, DealerIndex, DealerLists
from gateway.ports import ConsentIndex
from gateway.registry.pending import ConsentNotes, Pending

_NOT_DONE = 2

app = typer.Typer(
    name="izinkapi",
    help="A gate in front of SMTP relays and SMS providers: only what the consent registry (İYS) allows gets through.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback with local variables would show addresses
)
app.command("check-config")(check_config)
app.command()(demo)
app.command()(sandbox)
app.add_typer(consents.app, name="consents")
app.add_typer(evidence.app, name="evidence")
app.add_typer(registry.app, name="registry")

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", show_default=False)]


@app.callback(invoke_without_command=True)
def _version(
    *,
    show: Annotated[bool, typer.Option("--version", help="Show the version and end.", is_eager=True)] = False,
) -> None:
    if show:
        typer.echo(importlib.metadata.version("izinkapi"))
        raise typer.Exit


@app.command()
def serve(config: ConfigOption) -> None:
    """Run the gateway: workers, opt-out pages, admin. SIGTERM drains, SIGHUP reloads the configuration."""
    from gateway import app as wiring  # here, because --help needs none of it
    from gateway.processes.sockets import BindError

    try:
        wiring.serve(config)
    except (ConfigurationError, BindError, OSError) as error:
        _fail(str(error))


@app.command()
def explain(
    config: ConfigOption,
    brand: Annotated[int, typer.Option("--brand", "-b", help="The brand's code.", show_default=False)],
    recipient: Annotated[
        str, typer.Option("--recipient", "-r", help="E-mail address or phone number.", show_default=False)
    ],
    channel: Annotated[
        Channel | None,
        typer.Option("--channel", help="How the message would travel; left out: email to an address, sms to a number."),
    ] = None,
    message_class: Annotated[
        MessageClass, typer.Option("--class", help="Class of the message.")
    ] = MessageClass.COMMERCIAL,
    recipient_type: Annotated[
        RecipientType | None, typer.Option("--recipient-type", help="Type the sender declares; left out: none.")
    ] = None,
    dealer: Annotated[
        int | None,
        typer.Option("--dealer", help="Number of the dealer who sends; left out: the brand's owner.", min=10_000_000),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")] = False,
) -> None:
    """Show step by step whether a message to one recipient would be sent now, and why."""
    from gateway import app as wiring

    if channel is None:
        channel = Channel.EMAIL if "@" in recipient else Channel.SMS
    try:
        configuration = wiring.load(config)
        settings = next((each for each in configuration.brands if each.brand.code == brand), None)
        if settings is None:
            codes = ", ".join(str(each.brand.code) for each in configuration.brands)
            _fail(f"--brand: expected one of {codes} (brands in {config}), found {brand}")
        key, is_abroad = _address_key(channel, recipient)
        answer, pending = asyncio.run(_look_up(configuration, brand, channel, key, dealer))
    except (ConfigurationError, OSError, ValueError) as error:
        _fail(str(error))
    now = int(time.time())
    state, failure = None, None
    how_fresh: FreshnessState = FreshnessState.COLD
    staleness_s: int | None = None
    if isinstance(answer, Lookup):
        state = unpack(answer.values[0]) if answer.values[0] else None
        how_fresh, staleness_s = freshness(answer.watermark_at, now, settings.policy)
    else:
        failure = answer
    facts = Facts(
        message_class,
        channel,
        recipient_type,
        settings.brand,
        how_fresh,
        now,
        staleness_s,
        failure,
        is_abroad=is_abroad,
        is_dealer=dealer is not None,
    )
    render_explanation(explain_decision(facts, state, settings.policy), Console(), as_json, pending, channel)


def _address_key(channel: Channel, recipient: str) -> tuple[bytes, bool]:
    """The canonical key of ``recipient`` and whether it lies abroad. Raises ``ValueError`` with a sentence."""
    try:
        if channel is Channel.EMAIL:
            return parse_email(recipient.encode(), allow_utf8=True).key, False
        number = parse_phone(recipient)
    except (AddressError, PhoneError) as error:
        kind = "an e-mail address" if channel is Channel.EMAIL else "a phone number"
        raise ValueError(f"--recipient: expected {kind} ({error})") from error
    return number.key, number.is_abroad


async def _look_up(
    configuration: Configuration, brand: int, channel: Channel, address_key: bytes, dealer: int | None
) -> tuple[Lookup | LookupFailure, list[Pending]]:
    """What the index says, and which consents of this person are on their way to the registry."""
    from gateway import app as wiring

    store = wiring.open_store(configuration, may_begin=False)
    answered: asyncio.Future[Lookup | LookupFailure] = asyncio.get_running_loop().create_future()
    try:
        await store.start()
        key = wiring.consent_keys(configuration, may_begin=False).derive(brand, address_key)
        lists = _dealer_lists(configuration, store)
        index: ConsentIndex = store if dealer is None else DealerIndex(store, lists, dealer)
        index.lookup(brand, (key,), None, answered.set_result)
        answer = await answered
        is_there = isinstance(answer, Lookup)
        return answer, await ConsentNotes(store).find_for(brand, channel, key) if is_there else []
    finally:
        await store.close()


def _dealer_lists(configuration: Configuration, store: DealerLists) -> DealerLists:
    """As messages meet them, but that nothing is asked: a list that is too old says nothing."""
    settings = configuration.registry
    if settings is None:
        return store
    brands = {code for account in settings.accounts for code in account.brands}
    return AskedLists(store, None, brands, settings.retailer_list_age_s)


def _fail(sentence: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True, highlight=False).print(Text.assemble(("error ", "bold red"), sentence))
    raise typer.Exit(_NOT_DONE)


def main() -> None:
    app()

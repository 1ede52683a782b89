"""The registry as this installation may use it, and the index with the registry behind it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from adapters.registry import (
    Credentials,
    Patience,
    RateGate,
    RegistryAddress,
    RegistryObserver,
    limits_name,
    records_in,
)
from adapters.store import Store
from filters.consent_key import ConsentKeys
from filters.registry.limits import Limits
from gateway.configuration import Configuration
from gateway.configuration.settings import RegistrySettings
from gateway.dealers import AskedLists, DealerLists
from gateway.ports import ConsentIndex
from gateway.registry.asking.access_lists import (
    LISTS_SHARE,
    LISTS_SINGLES_AN_HOUR,
    AccessListReader,
)
from gateway.registry.asking.budget import AskingBudget
from gateway.registry.asking.missing import MISSING_SHARE, MISSING_SINGLES_AN_HOUR, MissingAskedIndex
from gateway.registry.asking.remembering import RememberingKeys
from gateway.registry.asking.requery import RequeryingIndex
from gateway.registry.assembly import make_links
from gateway.registry.metrics import WorkerRegistryMetrics
from gateway.registry.ports import BrandLink
from gateway.registry.shared_limits import SharedCount


class RegistryLinks:
    """The registry as this installation may use it: a client for each account, a link for each brand.

    Tokens are kept in the state directory, for all processes of the machine. So are the limits; where ``store`` is one
    that machines share, they are counted there, for all of them. Raises ``OSError``, and ``RegistrySettingsError`` (a
    ``ValueError``).
    """

    def __init__(
        self,
        configuration: Configuration,
        observer: RegistryObserver | None = None,
        *,
        store: Store | None = None,
        patience: Patience | None = None,
    ) -> None:
        settings = configuration.registry
        if settings is None:
            raise ValueError("registry: the configuration has no section [registry]")
        limits = Limits(per_second=settings.requests_per_second)
        gate = None
        if store is not None and shares_limits(configuration):
            count = SharedCount(store, f"registry/limits/{limits_name(settings.base_url)}")
            gate = RateGate(count, limits, count.now)
        self._address = RegistryAddress(
            settings.base_url,
            records=records_in(configuration.store.state_directory / "registry"),
            limits=limits,
            patience=patience,
            ca_file=str(settings.ca_file) if settings.ca_file else None,
            observer=observer,
            gate=gate,
        )
        self.links: list[BrandLink] = make_links(
            configuration, settings, lambda user, password: self._address.client(Credentials(user, password))
        )

    async def close(self) -> None:
        """End logins, waiting requests and connections."""
        await self._address.close()


def make_worker_keys(configuration: Configuration, secret: bytes) -> ConsentKeys:
    """Keys that remember addresses only where workers ask the registry themselves: of a brand whose index is stale,
    about recipients it does not know, and for the lists of a brand's dealers."""
    settings = configuration.registry
    if settings is None or not settings.accounts:
        return ConsentKeys(secret)
    ours = {code for account in settings.accounts for code in account.brands}
    always = ours if settings.requery_missing else ours & make_dealers(configuration).keys()
    return RememberingKeys(secret, always) if always or settings.requery else ConsentKeys(secret)


def open_index(
    configuration: Configuration, store: Store, keys: ConsentKeys, metrics: WorkerRegistryMetrics
) -> tuple[ConsentIndex, DealerLists, list[Callable[[], Awaitable[None]]]]:
    """The index and the lists as the pipelines ask them: with the registry behind where the configuration says so."""
    settings = configuration.registry
    if settings is None or not isinstance(keys, RememberingKeys):
        return store, store, []
    registry = RegistryLinks(configuration, store=store, patience=_WHILE_A_CLIENT_WAITS)
    links = {link.code: link for link in registry.links}
    policies = {each.brand.code: each.policy for each in configuration.brands}
    index: ConsentIndex = store
    lists: DealerLists = store
    closing: list[Callable[[], Awaitable[None]]] = [registry.close]
    if settings.requery:
        index = requerying = RequeryingIndex(store, store, keys, links, policies, metrics)
        closing.insert(0, requerying.close)
    if settings.requery_missing:
        budget = make_asking_budget(settings, MISSING_SHARE, MISSING_SINGLES_AN_HOUR, configuration.workers)
        index = missing = MissingAskedIndex(index, store, keys, links, policies, metrics, budget)
        closing.insert(0, missing.close)
    if links.keys() & make_dealers(configuration).keys():
        budget = make_asking_budget(settings, LISTS_SHARE, LISTS_SINGLES_AN_HOUR, configuration.workers)
        reader = AccessListReader(links, store, keys.addresses.get, metrics, budget)
        lists = AskedLists(store, reader, links, settings.retailer_list_age_s)
        closing.insert(0, reader.close)
    return index, lists, closing


def make_asking_budget(
    settings: RegistrySettings, share: float, singles_an_hour: float, processes: int = 1
) -> AskingBudget:
    """``share`` of the requests of this machine, and so many single queries an hour, divided among ``processes``."""
    return AskingBudget(settings.requests_per_second * share / processes, singles_an_hour / processes)


def make_dealers(configuration: Configuration) -> dict[int, frozenset[int]]:
    """By brand, the numbers of the dealers who send through this installation."""
    found: dict[int, set[int]] = {}
    for each in configuration.clients:
        if each.client.retailer_code is not None:
            for brand in each.client.brands:
                found.setdefault(brand, set()).add(each.client.retailer_code)
    return {brand: frozenset(codes) for brand, codes in found.items()}


_WHILE_A_CLIENT_WAITS = Patience(connect_s=2.0, answer_s=5.0, turn_s=4.0)


def shares_limits(configuration: Configuration) -> bool:
    """Whether requests to the registry are counted in the store, which ``RegistryLinks`` then needs."""
    return configuration.store.url.is_shared

"""One address of the registry and all accounts used there: one pool, one gate, one token an account."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from adapters.registry.client import RegistryClient
from adapters.registry.gate import RateGate
from adapters.registry.performer import Performer
from adapters.registry.ports import RegistryObserver, SharedRecord
from adapters.registry.records import FileRecord, LocalRecord, record_name
from adapters.registry.settings import Credentials, Patience, base_of
from adapters.registry.transport import HttpTransport
from filters.registry.limits import Limits

RecordPlace = Callable[[str], SharedRecord]
"""Gives the record of a name (32 hex digits); the same name is the same record for all who share the place."""


def records_of_this_process() -> RecordPlace:
    """Records that end with the process."""
    records: dict[str, LocalRecord] = {}
    return lambda name: records.setdefault(name, LocalRecord())


def records_in(directory: Path) -> RecordPlace:
    """Records in files of ``directory``, shared by all processes of the machine; they survive restarts."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return lambda name: FileRecord(directory / f"registry-{name}")


def limits_name(base_url: str) -> str:
    """Names the record in which requests to ``base_url`` are counted. Raises ``RegistrySettingsError``."""
    return record_name("limits", base_of(base_url))


class RegistryAddress:
    """Where the registry is, for all accounts of one installation. Raises ``RegistrySettingsError``.

    ``records`` must be shared by all that send from the same source address: the limits count per source, not per
    account. ``clock`` is the wall clock, seconds since 1970 UTC. ``gate`` in the place of one made of ``records``,
    ``limits`` and ``clock``: where more than those who share ``records`` are counted, and by another clock.
    """

    def __init__(
        self,
        base_url: str,
        *,
        records: RecordPlace | None = None,
        limits: Limits | None = None,
        patience: Patience | None = None,
        ca_file: str | None = None,
        observer: RegistryObserver | None = None,
        clock: Callable[[], float] = time.time,
        gate: RateGate | None = None,
    ) -> None:
        self._base = base_of(base_url)
        self._records = records or records_of_this_process()
        self._patience = patience
        self._observer = observer
        self._clock = clock
        self._transport = HttpTransport(base_url, ca_file=ca_file, patience=patience)
        self._gate = gate or RateGate(self._records(limits_name(base_url)), limits, clock)
        self._clients: dict[Credentials, RegistryClient] = {}

    def client(self, credentials: Credentials) -> RegistryClient:
        """The registry as this account sees it; the same for the same credentials."""
        client = self._clients.get(credentials)
        if client is None:
            performer = Performer(
                self._transport,
                credentials,
                self._gate,
                self._records(record_name("token", self._base, credentials.username)),
                patience=self._patience,
                observer=self._observer,
                clock=self._clock,
            )
            client = self._clients[credentials] = RegistryClient(performer)
        return client

    async def close(self) -> None:
        """End logins, waiting requests and connections, in this order. Those under way come back as failures."""
        for client in self._clients.values():
            await client.close()
        await self._gate.close()
        await self._transport.close()

"""Fixtures around ``tests.support.gateway_process``; a ``conftest.py`` imports those it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.gateway_process import GatewayProcess, SinkProcess


@pytest.fixture
def make_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., GatewayProcess]]:
    """Starts gateways for one test and ends them: ``make_gateway(store=…, workers=1, change=lambda settings: …)``.

    ``change`` may alter the settings before the start; ``consents`` and ``waits`` as ``GatewayProcess.start`` has them.
    """
    yield from gateways(tmp_path_factory)


def gateways(folders: pytest.TempPathFactory) -> Iterator[Callable[..., GatewayProcess]]:
    """The same for a fixture of another scope."""
    running: list[GatewayProcess] = []

    def make(
        *,
        change: Callable[[dict[str, Any]], object] = lambda settings: None,
        consents: str | None = "",
        waits: bool = True,
        **options: Any,
    ) -> GatewayProcess:
        gateway = GatewayProcess(folders.mktemp("gateway"), **options)
        running.append(gateway)
        change(gateway.settings)
        gateway.start(consents=consents, waits=waits)
        return gateway

    yield make
    try:
        for gateway in running:
            # Shown by pytest where a test has failed.
            print(f"--- {gateway.log}\n{gateway.log_tail()}")
    finally:
        for gateway in running:
            gateway.close()


@pytest.fixture
def make_sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., SinkProcess]]:
    """Sinks of the test's own, for gateways that get theirs: ``make_sink("--lmtp", starts=False)``."""
    sinks: list[SinkProcess] = []

    def make(*options: str, starts: bool = True) -> SinkProcess:
        sink = SinkProcess(tmp_path_factory.mktemp("sink"), *options)
        sinks.append(sink)
        if starts:
            sink.start()
        return sink

    yield make
    for sink in sinks:
        sink.stop()

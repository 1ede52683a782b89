"""The sync as a process of its own, in the time of a simulated registry: to be killed.

``python -m tests.support.sync_process SETTINGS``: a JSON object with ``registry`` (its URL), ``store``, ``state``
(folders), ``at``, ``real_at`` and ``speed`` (the simulated clock), ``interval_s`` (simulated).
It prints ``active`` once it holds the lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from adapters.registry import Credentials, RegistryAddress, records_in
from adapters.store import StoreOptions, open_store
from filters.decision.policy import Policy
from filters.registry.values import RegistryBrand
from gateway.metrics_folder import use_memory
from gateway.registry import pull, questions
from gateway.registry.assembly import SyncSide
from gateway.registry.metrics import SyncMetrics
from gateway.registry.ports import BrandLink
from loadtest.registry.book.world import DEFAULT_PASSWORD, DEFAULT_USERNAME
from tests.support.sync_world import BRAND, KEYS, SEAL


async def _run(settings: dict[str, float | str]) -> None:
    speed, at, real_at = float(settings["speed"]), float(settings["at"]), float(settings["real_at"])

    def clock() -> float:
        return at + (time.time() - real_at) * speed

    async def wait_for(stop: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.01, seconds / speed)):
                await stop.wait()

    for module in (pull, questions):
        module.wait_for = wait_for
    state = Path(str(settings["state"]))
    store = open_store(
        f"lmdb:{settings['store']}",
        state_directory=state,
        secret_fingerprint=str(settings["fingerprint"]).encode(),
        options=StoreOptions(map_size_bytes=1 << 30),
    )
    metrics = SyncMetrics([BRAND])
    address = RegistryAddress(
        str(settings["registry"]), records=records_in(state / "registry"), observer=metrics, clock=clock
    )
    api = address.client(Credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD))
    side = SyncSide(
        [BrandLink(BRAND, RegistryBrand(BRAND, BRAND), api)],
        store,
        store,
        KEYS,
        SEAL,
        {BRAND: Policy()},
        state / "registry",
        metrics,
        pull_interval_s=float(settings["interval_s"]),
        clock=clock,
    )
    has_begun = False

    def tell(told: Mapping[str, Any]) -> None:
        nonlocal has_begun
        if told["state"] == "active" and not has_begun:
            has_begun = True
            print("active", flush=True)

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, side.leave)
    await store.start()
    try:
        await side.run(tell)
    finally:
        await address.close()
        await store.close()


if __name__ == "__main__":
    # Nobody reads more than the one line: a full pipe would stop us.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    use_memory()
    asyncio.run(_run(json.loads(sys.argv[1])))

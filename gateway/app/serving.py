"""The supervisor and what runs beside it."""

from __future__ import annotations

import asyncio
import pickle
import time
from importlib.metadata import version
from pathlib import Path

import structlog
import uvloop

from gateway.admin import AdminServer
from gateway.app.endpoints import NamedEndpoint, endpoint_key
from gateway.app.opening import load
from gateway.app.order import WorkerOrder
from gateway.app.sync import SyncOrder
from gateway.configuration import Configuration
from gateway.configuration.settings import RegistryPushSettings
from gateway.logs import Logs, configure_logs
from gateway.metrics import SupervisorMetrics
from gateway.metrics_folder import forget_process, render, use_directory
from gateway.processes import sockets
from gateway.processes.housekeeping import Housekeeping, default_housekeeping_command
from gateway.processes.scratch import scratch_folder
from gateway.processes.supervisor import Supervisor, default_worker_command
from gateway.registry.process import SyncProcess, default_sync_command
from gateway.secrets import InstallationSecrets, load_or_create_secrets
from gateway.status import WorkerState, is_healthy, readiness, status_page, worker_state

log = structlog.stdlib.get_logger(__name__)


VERSION = version("izinkapi")


class GatewayPlan:
    """A configuration as the supervisor sees it (``gateway.processes.supervisor.Plan``)."""

    def __init__(self, configuration: Configuration, kept: InstallationSecrets, environment: dict[str, str]) -> None:
        self.configuration = configuration
        self._kept = kept
        self.environment = environment
        self.workers = configuration.workers
        self.drain_s = configuration.drain_timeout_s
        self.endpoints = tuple(
            NamedEndpoint(endpoint_key(kind, listener.address), listener.address.host, listener.address.port)
            for kind, listeners in (
                ("smtp", configuration.smtp_listeners),
                ("http", configuration.http_listeners),
                ("smpp", configuration.smpp_listeners),
                ("opt_out_mail", configuration.opt_out_mail_listeners),
                ("registry_push", _push_listeners(configuration)),
            )
            for listener in listeners
        )

    def order(self, slot: int, file_descriptors: dict[str, int], channel: int) -> bytes:
        return pickle.dumps(WorkerOrder(self.configuration, self._kept, slot, file_descriptors, channel))

    def housekeeping_order(self) -> bytes:
        return pickle.dumps(self.configuration)

    def sync_order(self, channel: int) -> bytes | None:
        """None without a registry, or without a login to it."""
        registry = self.configuration.registry
        if registry is None or not registry.accounts:
            return None
        return pickle.dumps(SyncOrder(self.configuration, self._kept, channel))


def _push_listeners(configuration: Configuration) -> tuple[RegistryPushSettings, ...]:
    registry = configuration.registry
    return () if registry is None or registry.push is None else (registry.push,)


def serve(path: Path) -> None:
    """Run the gateway until a signal ends it. Raises ``ConfigurationError``, ``sockets.BindError``, ``OSError``."""
    configuration = load(path)
    logs = configure_logs(configuration.log.level, configuration.log.format)
    try:
        with scratch_folder() as metrics_directory:
            use_directory(metrics_directory)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(path, configuration, metrics_directory, logs))
    finally:
        logs.close()


async def _serve(path: Path, configuration: Configuration, metrics_directory: Path, logs: Logs) -> None:
    logs.watch_loop(asyncio.get_running_loop())
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(metrics_directory)}
    plan = GatewayPlan(configuration, load_or_create_secrets(configuration), environment)

    def load_plan() -> GatewayPlan:
        changed = load(path)
        return GatewayPlan(changed, load_or_create_secrets(changed), environment)

    metrics = SupervisorMetrics(VERSION)
    supervisor = Supervisor(
        plan, load_plan, default_worker_command(), lambda pid: forget_process(metrics_directory, pid)
    )
    sync = SyncProcess(
        default_sync_command(), lambda: current_plan(), lambda pid: forget_process(metrics_directory, pid)
    )
    housekeeping = Housekeeping(default_housekeeping_command(), lambda: current_plan().housekeeping_order())
    started_at = time.time()

    def current_plan() -> GatewayPlan:
        plan = supervisor.plan
        assert isinstance(plan, GatewayPlan)
        return plan

    def workers() -> list[WorkerState]:
        return [
            WorkerState(each.slot, each.process.pid, each.generation, each.reported_at, each.report)
            for each in supervisor.workers
        ]

    def about() -> dict[str, object]:
        return {
            "version": VERSION,
            "started_at": started_at,
            "generation": supervisor.generation,
            "worker_restarts": supervisor.restarts,
            "reloads": supervisor.reloads,
            "last_reload_problem": supervisor.last_reload_problem,
            "housekeeping": housekeeping.describe(),
            "registry": sync.describe(),
        }

    def show_metrics() -> bytes:
        now = time.time()
        states = workers()
        metrics.follow(
            restarts=supervisor.restarts,
            reloads=supervisor.reloads,
            loaded_at=supervisor.loaded_at,
            worker_states=[worker_state(each, now) for each in states],
            is_ready=readiness(states, now, is_draining=supervisor.is_stopping).is_ready,
        )
        return render(metrics_directory)

    admin = AdminServer(
        render_metrics=show_metrics,
        is_healthy=lambda: is_healthy(workers(), time.time()),
        readiness=lambda: readiness(workers(), time.time(), is_draining=supervisor.is_stopping),
        status=lambda: status_page(workers(), time.time(), about(), is_draining=supervisor.is_stopping),
    )
    log.info("gateway.started", version=VERSION, configuration=configuration.describe())
    for warning in configuration.warnings:
        log.warning("configuration.doubtful", problem=str(warning))
    (admin_socket,) = sockets.bind(configuration.admin.host, configuration.admin.port, 1)
    await supervisor.start()
    await admin.start(admin_socket)
    beside = [
        asyncio.create_task(housekeeping.run(), name="housekeeping"),
        asyncio.create_task(sync.run(), name="sync"),
    ]
    try:
        await supervisor.run()
    finally:
        for task in beside:
            task.cancel()
        await asyncio.wait(beside)
        await admin.close()
    log.info("gateway.stopped")

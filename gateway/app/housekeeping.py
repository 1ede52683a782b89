"""The housekeeping process."""

from __future__ import annotations

import pickle
import sys

import structlog

from gateway.app.opening import seal_evidence
from gateway.logs import configure_logs
from gateway.processes.housekeeping import step_back

log = structlog.stdlib.get_logger(__name__)


def housekeeping_main() -> None:
    """Entry of the housekeeping process: the configuration comes on standard input."""
    step_back()
    configuration = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - written by our own supervisor, over a pipe
    logs = configure_logs(configuration.log.level, configuration.log.format, fixed={"process": "housekeeping"})
    try:
        log.info("evidence.sealed", **seal_evidence(configuration)._asdict())
    finally:
        logs.close()

"""The one place that wires: configuration in, running parts out. Only here are concrete adapters known.

``opening`` is what commands open, ``worker`` what a worker is made of (its mail and SMS sides, its doors, the registry
behind its index), ``sync`` and ``housekeeping`` the processes beside it, ``serving`` the supervisor of them all.
"""

from __future__ import annotations

from gateway.app.housekeeping import housekeeping_main
from gateway.app.opening import (
    consent_keys,
    count_verdicts,
    load,
    open_evidence_reader,
    open_store,
    refusal_reports,
    report_sealing,
    seal_evidence,
    trust_public_keys,
)
from gateway.app.order import WorkerOrder
from gateway.app.recording import refusal_recorder
from gateway.app.registry import RegistryLinks, shares_limits
from gateway.app.serving import VERSION, serve
from gateway.app.sync import sync_main
from gateway.app.worker import build_worker, worker_main

__all__ = [
    "VERSION",
    "RegistryLinks",
    "WorkerOrder",
    "build_worker",
    "consent_keys",
    "count_verdicts",
    "housekeeping_main",
    "load",
    "open_evidence_reader",
    "open_store",
    "refusal_recorder",
    "refusal_reports",
    "report_sealing",
    "seal_evidence",
    "serve",
    "shares_limits",
    "sync_main",
    "trust_public_keys",
    "worker_main",
]

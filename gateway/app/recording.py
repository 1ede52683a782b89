"""The evidence writer of a process, and refusals that a command takes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapters.evidence.signing import load_signer
from adapters.evidence.writer import EvidenceWriter, WriterSettings
from adapters.store import Store
from gateway.app.opening import sealing_of
from gateway.app.order import WorkerOrder
from gateway.configuration import Configuration
from gateway.metrics import WorkerMetrics
from gateway.observers import Observer
from gateway.ports import RefusalRecorder
from gateway.refusals import RefusalObserver, Refusals
from gateway.secrets import load_secrets

COMMAND_SLOT = 999
"""Where commands keep evidence: beyond every worker's slot, a chain of its own for each that runs at once."""


@asynccontextmanager
async def refusal_recorder(
    configuration: Configuration, store: Store, observer: RefusalObserver
) -> AsyncIterator[RefusalRecorder]:
    """For a command: refusals as workers take them, with index, outbox and evidence. Secrets must be there. Raises
    ``ValueError``, and ``EvidenceError`` (an ``OSError``) where the evidence cannot be written."""
    kept, settings = load_secrets(configuration), configuration.evidence
    evidence = EvidenceWriter(
        settings.directory, configuration.hostname, COMMAND_SLOT, load_signer(kept.evidence_key_file)
    )
    evidence.start()
    try:
        yield Refusals(store, evidence, *sealing_of(configuration, kept), observer, index=store)
    finally:
        await evidence.close()


def open_evidence_writer(order: WorkerOrder, observer: Observer, metrics: WorkerMetrics) -> EvidenceWriter:
    settings = order.configuration.evidence
    writer = EvidenceWriter(
        settings.directory,
        order.configuration.hostname,
        order.slot,
        load_signer(order.secrets.evidence_key_file),
        WriterSettings(
            sign_every_s=settings.sign_interval_s,
            segment_bytes=settings.segment_bytes,
            segment_s=settings.segment_age_s,
        ),
        observer.evidence_reported,
    )
    writer.observe_commit = metrics.count_commit
    return writer

"""What commands open: configuration, keys, store, evidence."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.evidence.signing import TrustedKeys, load_public_key, load_signer, load_trusted_keys
from adapters.store import Store, StoreOptions
from adapters.store import open_store as open_store_at
from filters.business_days import HolidayCalendar
from filters.consent_key import ConsentKeys
from filters.refusal_report import ReportSeal
from filters.sms.note_seal import NoteSeal
from gateway.app.tls import client_tls
from gateway.configuration import Configuration, load_configuration
from gateway.holidays import load_holidays
from gateway.refusals import RefusalReports
from gateway.secrets import InstallationSecrets, load_or_create_secrets, load_secrets

if TYPE_CHECKING:
    from adapters.evidence.sealing import SealReport
    from adapters.evidence.search import EvidenceReader


def load(path: Path) -> Configuration:
    """The configuration in ``path``. Raises ``ConfigurationError``."""
    return load_configuration(path)


def consent_keys(configuration: Configuration, *, may_begin: bool = True) -> ConsentKeys:
    """Derives the keys under which this installation knows recipients.

    ``may_begin``: make the installation's secrets where there are none. Else ``ValueError``, with what to do first.
    """
    kept = (load_or_create_secrets if may_begin else load_secrets)(configuration)
    return ConsentKeys(kept.index_secret.reveal())


def open_store(configuration: Configuration, *, may_begin: bool = True) -> Store:
    """The consent index; ``await store.start()`` connects it. ``may_begin`` as in ``consent_keys``."""
    return open_store_with(configuration, consent_keys(configuration, may_begin=may_begin))


def refusal_reports(configuration: Configuration) -> RefusalReports:
    """Makes reports to the registry for refusals that an operator enters."""
    return RefusalReports(*sealing_of(configuration, load_or_create_secrets(configuration)))


def report_sealing(configuration: Configuration) -> tuple[ReportSeal, HolidayCalendar]:
    """What opens and makes reports to the registry, and their deadlines. Secrets must be there: ``ValueError``."""
    return sealing_of(configuration, load_secrets(configuration))


def count_verdicts(
    configuration: Configuration, since_at: float, until_at: float
) -> Mapping[tuple[int, str, str, str], int]:
    """Recipients decided about in that time, by brand, channel, verdict and reason."""
    from adapters.evidence import tally  # brings a query engine, which workers never need

    return tally.count_verdicts(configuration.evidence.directory, since_at, until_at)


def open_evidence_reader(configuration: Configuration) -> EvidenceReader:
    """Finds, verifies and exports what was kept."""
    from adapters.evidence.search import EvidenceReader  # brings a query engine, which workers never need

    key_file = load_secrets(configuration).evidence_key_file
    return EvidenceReader(configuration.evidence.directory, load_trusted_keys(key_file))


def trust_public_keys(paths: Sequence[Path]) -> Callable[[str, bytes, bytes], bool]:
    """Says whether one of the public keys in ``paths`` has signed (key id, statement, signature)."""
    return TrustedKeys(map(load_public_key, paths)).has_signed


def seal_evidence(configuration: Configuration, step: Callable[[str, int], None] | None = None) -> SealReport:
    """Compress and index closed segments, remove what is past its retention. Blocking; may run beside the gateway."""
    from adapters.evidence.sealing import seal  # brings a query engine, which workers never need

    key_file = load_secrets(configuration).evidence_key_file
    settings = configuration.evidence
    return seal(settings.directory, load_signer(key_file), settings.retention_years, time.time(), step)


def sealing_of(configuration: Configuration, kept: InstallationSecrets) -> tuple[ReportSeal, HolidayCalendar]:
    calendar = configuration.calendar
    return (
        ReportSeal(kept.outbox_keys.reveal(), kept.outbox_keys.current),
        load_holidays(calendar.holidays_file, half_days_count=calendar.half_days_count),
    )


def open_store_with(configuration: Configuration, keys: ConsentKeys) -> Store:
    settings = configuration.store
    return open_store_at(
        settings.connection_url(),
        state_directory=settings.state_directory,
        secret_fingerprint=keys.fingerprint,
        options=StoreOptions(
            taken_days=settings.retry_memory_days,
            journal_days=settings.journal_days,
            lookup_deadline_s=settings.lookup_timeout_s,
            connections=settings.connections,
            map_size_bytes=settings.map_size_bytes,
            tls=client_tls(settings.ca_file, verify=settings.verify) if settings.url.is_tls else None,
        ),
    )


def make_note_seal(kept: InstallationSecrets) -> NoteSeal:
    return NoteSeal(kept.outbox_keys.reveal(), kept.outbox_keys.current)

"""Writers, readers and keys over a temporary folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from adapters.evidence.signing import Signer, load_or_create_signer
from adapters.evidence.writer import EvidenceWriter, WriterSettings
from filters.consent_key import ConsentKeys
from filters.evidence.record import encode_decision, index_reading, recipient_entry
from filters.vocabulary import Channel, FreshnessState, MessageClass, Outcome, Verdict

KEYS = ConsentKeys(b"a secret of at least thirty-two bytes")
BRAND = 600123


def key_of(address: bytes) -> bytes:
    return KEYS.derive(BRAND, address)


def make_record(number: int, *addresses: bytes, decided_at: float | None = None) -> bytes:
    """One decision record for message ``m<number>``."""
    at = 1_780_000_000.0 + number if decided_at is None else decided_at
    return encode_decision(
        decided_at=at,
        message_id=f"m{number:08d}",
        node="mx1-0",
        session="s1",
        client="shop",
        listener="smtp",
        upstream="relay",
        brand=BRAND,
        iys_code=BRAND,
        channel=Channel.EMAIL,
        message_class=MessageClass.COMMERCIAL,
        class_from="header",
        campaign="summer",
        policy="enforce",
        size_bytes=4096,
        content_sha256="ab" * 32,
        index=index_reading("lmdb", 7, int(at) - 60, at, 86400, FreshnessState.FRESH),
        recipients=[
            recipient_entry(key_of(address), Channel.EMAIL, None, {}, "R3", "NO_CONSENT", Verdict.DROP, Outcome.DROPPED)
            for address in addresses or (b"reader%d@example.com" % number,)
        ],
    )


async def append(writer: EvidenceWriter, *records: bytes) -> list[bool]:
    """Append ``records`` in one turn of the loop and wait for their answers, in order."""
    loop = asyncio.get_running_loop()
    answers = [loop.create_future() for _ in records]
    for record, answer in zip(records, answers, strict=True):
        writer.append(record, answer.set_result)
    return await asyncio.gather(*answers)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return load_or_create_signer(tmp_path / "keys" / "signing.key")


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    return tmp_path / "evidence"


WriterMaker = Callable[..., EvidenceWriter]


@pytest.fixture
def make_writer(evidence: Path, signer: Signer) -> WriterMaker:
    def make(slot: int = 0, **settings: object) -> EvidenceWriter:
        report = settings.pop("report", None)
        return EvidenceWriter(evidence, "mx1", slot, signer, WriterSettings(**settings), report)

    return make


@pytest.fixture
def kit() -> SimpleNamespace:
    """The helpers above, for tests that import nothing from here."""
    return SimpleNamespace(append=append, make_record=make_record, key_of=key_of, brand=BRAND)

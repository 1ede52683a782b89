"""Fills a consent index with made-up recipients, or writes them as a CSV file for `izinkapi consents import`.

Recipient ``n`` is ``seed<n>@seed.example``, so that a traffic generator can address people the index knows. Every
tenth is a business, every seventh has refused.

    python -m loadtest.seed_index --csv seed.csv --records 1000000
    python -m loadtest.seed_index --store lmdb:var/store --state-directory var/state \\
        --index-key var/secrets/index.key --brand 600123 --records 1000000
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from adapters.store import Store, open_store
from filters.consent import Change, Consent, pack_change
from filters.consent_key import KEY_BYTES, ConsentKeys
from filters.vocabulary import Channel, RecipientType, Status
from gateway.consents.spool import Spool
from gateway.consents.words import render_time

FIRST_CONSENT_AT = 1_577_836_800  # 2020-01-01 UTC
_CHUNK = 100_000
_CSV_ROW_BYTES = 80


def address_of(number: int) -> bytes:
    """The address of recipient ``number``, as it stands in RCPT TO."""
    return b"seed%d@seed.example" % number


def consent_of(number: int) -> tuple[RecipientType, Consent]:
    """What recipient ``number`` wants; a different second for each, so that a mixed-up answer shows."""
    recipient_type = RecipientType.BUSINESS if number % 10 == 0 else RecipientType.INDIVIDUAL
    status = Status.REJECTED if number % 7 == 0 else Status.APPROVED
    return recipient_type, Consent(status, FIRST_CONSENT_AT + number % 150_000_000, "HS_WEB")


def record_of(keys: ConsentKeys, brand: int, number: int) -> bytes:
    """Key and packed entry, as stores load them."""
    recipient_type, consent = consent_of(number)
    entry = pack_change(Change(bytes(KEY_BYTES), Channel.EMAIL, recipient_type, consent))
    return keys.derive(brand, address_of(number)) + entry


async def seed_store(
    store: Store,
    keys: ConsentKeys,
    brand: int,
    records: int,
    observe: Callable[[str, int], None],
    spool_directory: Path | None = None,
) -> None:
    """Load recipients 0 to ``records`` - 1 and set the watermark to now. ``observe`` gets step and records done."""
    await store.initialise()
    with tempfile.TemporaryDirectory(dir=spool_directory) as directory:
        spool = Spool(Path(directory), records * _CSV_ROW_BYTES)
        for start in range(0, records, _CHUNK):
            stop = min(start + _CHUNK, records)
            spool.append([record_of(keys, brand, number) for number in range(start, stop)])
            observe("made", stop)
        done = 0
        for part in spool.parts():
            await store.load(brand, part)
            done += len(part)
            observe("loaded", done)
        spool.close()
    await store.apply(brand, [], watermark_at=int(time.time()))


def write_csv(path: Path, records: int) -> None:
    """The same recipients as a registry export."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("recipient,type,recipientType,status,source,consentDate\n")
        for number in range(records):
            recipient_type, consent = consent_of(number)
            kind = "TACIR" if recipient_type is RecipientType.BUSINESS else "BIREYSEL"
            status = "RET" if consent.status is Status.REJECTED else "ONAY"
            at = render_time(consent.consent_at)
            file.write(f"{address_of(number).decode()},EPOSTA,{kind},{status},{consent.source},{at}\n")


async def _seed(arguments: argparse.Namespace) -> None:
    keys = ConsentKeys(bytes.fromhex(arguments.index_key.read_text().strip()))
    store = open_store(arguments.store, state_directory=arguments.state_directory, secret_fingerprint=keys.fingerprint)
    try:
        await store.start()
        await seed_store(
            store, keys, arguments.brand, arguments.records, lambda step, done: print(f"\r{step} {done:,}", end="")
        )
        print()
    finally:
        await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--csv", type=Path, help="write a CSV file instead of filling a store")
    parser.add_argument("--store", help="lmdb:PATH or redis://…")
    parser.add_argument("--state-directory", type=Path, default=Path("var/state"))
    parser.add_argument("--index-key", type=Path, default=Path("var/secrets/index.key"))
    parser.add_argument("--brand", type=int, default=600123)
    arguments = parser.parse_args()
    if arguments.csv:
        write_csv(arguments.csv, arguments.records)
    elif arguments.store:
        asyncio.run(_seed(arguments))
    else:
        parser.error("one of --csv and --store is needed")


if __name__ == "__main__":
    main()

"""The one SQLite file (or memory) that holds everything, and what every part of the book needs of it.

Consents lie in a table without row ids, sorted by key, so that a multi status query of 1000 addresses is 1000 steps
down one tree, also among ten million. Ids of transactions are not stored with a consent: they follow from address,
type and second of storage, as with the real registry.
"""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import orjson

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS consents(
    brand INTEGER NOT NULL, type INTEGER NOT NULL, recipient_type INTEGER NOT NULL, recipient TEXT NOT NULL,
    status INTEGER NOT NULL, source TEXT NOT NULL, consent_at INTEGER, created_ms INTEGER NOT NULL,
    retailer INTEGER, access TEXT,
    PRIMARY KEY(brand, type, recipient_type, recipient)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS consents_of_dealers ON consents(brand)
    WHERE retailer IS NOT NULL OR access IS NOT NULL;
CREATE TABLE IF NOT EXISTS counts(
    brand INTEGER NOT NULL, status INTEGER NOT NULL, amount INTEGER NOT NULL, PRIMARY KEY(brand, status)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS movements(
    id INTEGER PRIMARY KEY, brand INTEGER NOT NULL, is_iys INTEGER NOT NULL, created_ms INTEGER NOT NULL,
    transaction_id TEXT NOT NULL, recipient TEXT NOT NULL, type INTEGER NOT NULL, recipient_type INTEGER NOT NULL,
    status INTEGER NOT NULL, source TEXT NOT NULL, consent_at INTEGER, citizen TEXT, change INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS movements_by_time ON movements(brand, is_iys, created_ms, transaction_id);
CREATE INDEX IF NOT EXISTS movements_by_address ON movements(brand, recipient, type);
CREATE TABLE IF NOT EXISTS bulk_requests(
    id TEXT PRIMARY KEY, brand INTEGER NOT NULL, created_ms INTEGER NOT NULL, visible_ms INTEGER NOT NULL,
    is_v2 INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bulk_items(
    request TEXT NOT NULL, position INTEGER NOT NULL, sub_id TEXT NOT NULL, brand INTEGER NOT NULL, item TEXT NOT NULL,
    due_ms INTEGER, accepted_ms INTEGER NOT NULL, code TEXT, transaction_id TEXT, created_ms INTEGER,
    origin TEXT, PRIMARY KEY(request, position)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS bulk_items_due ON bulk_items(due_ms) WHERE due_ms IS NOT NULL;
CREATE TABLE IF NOT EXISTS repeats(
    mark BLOB PRIMARY KEY, transaction_id TEXT NOT NULL, created_ms INTEGER NOT NULL, origin TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens(
    token TEXT PRIMARY KEY, username TEXT NOT NULL, is_refresh INTEGER NOT NULL, expires_at REAL NOT NULL,
    login_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS retailers(
    code INTEGER PRIMARY KEY, brand INTEGER NOT NULL, body TEXT NOT NULL, status TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS retailers_by_brand ON retailers(brand);
CREATE TABLE IF NOT EXISTS agreements(brand INTEGER NOT NULL, day TEXT NOT NULL, PRIMARY KEY(brand, day)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS connections(
    id INTEGER PRIMARY KEY, brand INTEGER NOT NULL, url TEXT NOT NULL, type INTEGER NOT NULL, username TEXT NOT NULL,
    password TEXT NOT NULL, registered_ms INTEGER NOT NULL, is_active INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries(
    id INTEGER PRIMARY KEY, connection INTEGER NOT NULL, body TEXT NOT NULL, due_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries(due_ms);
CREATE TABLE IF NOT EXISTS links(
    mark TEXT PRIMARY KEY, brand INTEGER NOT NULL, recipient TEXT NOT NULL, recipient_type INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hourly_calls(rule TEXT NOT NULL, address TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS blocks(address TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS breaches(id INTEGER PRIMARY KEY, at REAL NOT NULL, rule TEXT NOT NULL, detail TEXT NOT NULL);
"""


class Database:
    """``connection`` is used from one thread; every writer commits before its answer goes out."""

    def __init__(self, path: Path | None) -> None:
        self.connection = sqlite3.connect(path if path is not None else ":memory:", isolation_level="DEFERRED")
        # Safe against the end of the process at any moment; a machine that loses power is not what this is for.
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=OFF")
        self.connection.execute("PRAGMA cache_size=-131072")
        self.connection.execute("PRAGMA mmap_size=4294967296")
        self.connection.executescript(_SCHEMA)

    def close(self) -> None:
        self.connection.commit()
        self.connection.close()

    def read(self, name: str) -> object:
        """What was written under ``name``, None if nothing was."""
        row = self.connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else orjson.loads(row[0])

    def write(self, name: str, value: object) -> None:
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, orjson.dumps(value).decode()))
        self.connection.commit()


def transaction_id(recipient: str, channel: int, created_ms: int) -> str:
    """64 lower-case hex digits, a function of address, type and second of storage (reference 2.1)."""
    return hashlib.sha256(f"{recipient}|{channel}|{created_ms // 1000}".encode()).hexdigest()

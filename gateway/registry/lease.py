"""Who talks to the registry: one machine of several, by a record in the store; one process of a machine, by a file.

The record says who holds it and counts how often it was renewed. Nobody's clock is compared with another's: whoever
sees the same record stand still for a whole term, by a clock of its own that cannot be set, takes it over.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from gateway.registry.ports import SyncMemory

TERM_S = 15.0
_NAME = "lease/sync"


class StoreLease:
    """A ``Lease`` in the store, for ``holder`` (one name a machine, the same after a restart)."""

    def __init__(
        self,
        memory: SyncMemory,
        holder: str,
        *,
        term_s: float = TERM_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._memory = memory
        self._holder = holder
        self._term_s = term_s
        self._monotonic = monotonic
        self._seen: bytes | None = None
        self._seen_at = 0.0

    async def hold(self) -> bool:
        packed = await self._memory.recall(_NAME)
        holder, beat = _read(packed)
        now = self._monotonic()
        if holder not in ("", self._holder):
            if packed != self._seen:
                self._seen, self._seen_at = packed, now
                return False
            if now - self._seen_at <= self._term_s:
                return False
        mine = orjson.dumps({"holder": self._holder, "beat": beat + 1})
        return await self._memory.replace(_NAME, packed, mine)

    async def release(self) -> None:
        packed = await self._memory.recall(_NAME)
        holder, beat = _read(packed)
        if holder == self._holder:
            await self._memory.replace(_NAME, packed, orjson.dumps({"holder": "", "beat": beat + 1}))


def _read(packed: bytes | None) -> tuple[str, int]:
    """Holder ("" for nobody) and beat; what cannot be read is nobody's."""
    try:
        found = orjson.loads(packed or b"{}")
        return str(found.get("holder", "")), int(found.get("beat", 0))
    except (ValueError, TypeError, AttributeError):
        return "", 0


class MachineLock:
    """A file that one process of this machine holds; its end, however it comes, lets go of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Raises ``OSError`` where the file cannot be made."""
        if self._descriptor is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def machine_name(path: Path) -> str:
    """A name of this machine's own, made once and kept in ``path``. Raises ``OSError``."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="ascii") as file:
            file.write(secrets.token_hex(8))
    except FileExistsError:
        pass
    return path.read_text("ascii").strip() or "machine"

"""The daily file of a brand (İYS API reference, 7): read line by line from blocks of any size, written, hashed.

Header row, then one line a movement, sorted by creation and transaction; commas, no quotes, each line ended by LF. The
hash is over the whole file, header included, in lower-case hex; the registry names the method in its answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from filters.registry import words
from filters.registry.reading import UnreadableError, read_movements
from filters.registry.values import Movement, UnreadMovement

COLUMNS = ("creationDate", "transactionId", "recipient", "recipientType", "type", "status", "consentDate", "source")
HEADER = ",".join(COLUMNS)
MAX_LINE_BYTES = 4096
_HASHES = {"SHA384": "sha384", "SHA256": "sha256", "SHA512": "sha512"}


class DailyFileReader:
    """Takes the file in blocks, gives its movements; ``unread`` collects the lines that could not be read (from 0)."""

    def __init__(self) -> None:
        self._rest = b""
        self._columns: tuple[str, ...] | None = None
        self._place = 0
        self.unread: list[UnreadMovement] = []

    def feed(self, block: bytes) -> list[Movement]:
        """The movements that ``block`` completes. Raises ``UnreadableError`` on what is no such file."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise UnreadableError("file: a line without end")
        return [movement for line in lines for movement in self._line(line)]

    def finish(self) -> list[Movement]:
        """The movement of a last line without its end, if there is one. Raises as ``feed``."""
        rest, self._rest = self._rest, b""
        last = list(self._line(rest))
        if self._columns is None:
            raise UnreadableError("file: no header")
        return last

    def _line(self, line: bytes) -> Iterator[Movement]:
        text = line.decode("utf-8-sig" if self._columns is None else "utf-8", "replace").strip("\r")
        if not text:
            return
        values = [value.strip().strip('"') for value in text.split(",")]
        if self._columns is None:
            if not {"recipient", "recipientType", "type", "status"} <= set(values):
                raise UnreadableError("file: no header")
            self._columns = tuple(values)
            return
        movements, unread = read_movements([dict(zip(self._columns, values, strict=False))])
        self.unread.extend(entry._replace(place=self._place) for entry in unread)
        self._place += 1
        yield from movements


class DailyFileHash:
    """Hashes a file in blocks by the method the registry names (``SHA384`` today). Raises ``ValueError`` on others."""

    def __init__(self, method: str) -> None:
        name = _HASHES.get(method.upper().replace("-", ""))
        if name is None:
            raise ValueError("daily file: expected SHA384, SHA256 or SHA512 as hash method")
        self._hash = hashlib.new(name)

    def feed(self, block: bytes) -> None:
        self._hash.update(block)

    def is_equal(self, hash_value: str) -> bool:
        """Whether the registry's value is that of what was fed."""
        return self._hash.hexdigest() == hash_value.strip().lower()


def render_file(movements: Iterable[Movement]) -> Iterator[bytes]:
    """The file that holds ``movements``, in lines, sorted as the registry sorts. All need their creation."""
    yield f"{HEADER}\n".encode()
    for movement in sorted(movements, key=lambda each: (each.created_at or 0, each.transaction_id)):
        if movement.created_at is None:
            raise ValueError("daily file: a movement without creation")
        subject = movement.subject
        line = (
            words.render_time(movement.created_at),
            movement.transaction_id,
            subject.recipient,
            words.RECIPIENT_TYPE_WORDS[subject.recipient_type],
            words.CHANNEL_WORDS[subject.channel],
            words.STATUS_WORDS[movement.status],
            "" if movement.consent_at is None else words.render_time(movement.consent_at),
            movement.source,
        )
        yield (",".join(line) + "\n").encode()

"""A CSV file as blocks of lines, each with its number and its place, so that reading can go on where it stopped.

A record is one line: no column of the registry's holds a line end, and a quotation mark left open must cost one row,
not all that follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

BLOCK_BYTES = 4 << 20
MOST_LINE_BYTES = 1 << 16
_EDGE_BYTES = 1 << 16
_BOM = b"\xef\xbb\xbf"


class CsvFileError(ValueError):
    """The file as a whole cannot be read; the text says file, line, expected and found."""


class Place(NamedTuple):
    """Where reading goes on: byte offset, and the number of the line that begins there (the first is 1)."""

    offset: int
    line: int


class Block(NamedTuple):
    """Whole lines without their line ends, beginning at line ``first_line``; ``end`` is the place behind them.

    ``is_cut_off``: the last line is the file's last and has no line end.
    """

    first_line: int
    lines: list[bytes]
    end: Place
    is_cut_off: bool


class CsvFile:
    """One file to import. Raises ``CsvFileError`` where it cannot be opened or is no text in UTF-8."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self.size = path.stat().st_size
                self.modified_at = path.stat().st_mtime
                start = file.read(_EDGE_BYTES)
                file.seek(max(0, self.size - _EDGE_BYTES))
                end = file.read(_EDGE_BYTES)
        except OSError as error:
            raise CsvFileError(f"{path}: {error.strerror or error}") from error
        # The edges, size and time tell files apart well enough; reading all of a large one twice would not be.
        self.identity = blake2b(
            b"%d %d %s %s" % (self.size, path.stat().st_mtime_ns, start, end), digest_size=16
        ).hexdigest()
        self.header, self.first_row = self._read_header(start)

    def _read_header(self, start: bytes) -> tuple[str, Place]:
        expected = f"{self.path}, line 1: expected a header row in UTF-8"
        if not start:
            raise CsvFileError(f"{expected}, found an empty file")
        if start.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise CsvFileError(f"{expected}, found UTF-16 (save the file as CSV UTF-8)")
        if start.startswith((b"PK\x03\x04", b"\x1f\x8b")):
            raise CsvFileError(f"{expected}, found a compressed file (unpack it, or save the table as CSV UTF-8)")
        begin = len(_BOM) if start.startswith(_BOM) else 0
        end = start.find(b"\n")
        if end < 0 and len(start) == _EDGE_BYTES:
            raise CsvFileError(f"{expected}, found no line end in the first {_EDGE_BYTES} bytes")
        line = start[begin : end if end >= 0 else len(start)].removesuffix(b"\r")
        if b"\r" in line:
            raise CsvFileError(f"{expected}, found lines that end in CR alone (expected CRLF or LF)")
        if b"\0" in line:
            raise CsvFileError(f"{expected}, found a NUL byte")
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise CsvFileError(f"{expected}, found byte {line[error.start]:#04x} that is not UTF-8") from None
        return text, Place(end + 1 if end >= 0 else len(start), 2)

    def blocks(self, place: Place) -> Iterator[Block]:
        """What follows ``place``. Raises ``CsvFileError`` on a line without end."""
        try:
            with self.path.open("rb") as file:
                file.seek(place.offset)
                rest = b""
                while True:
                    read = file.read(BLOCK_BYTES)
                    content = rest + read
                    end = content.rfind(b"\n") + 1 if read else len(content)
                    rest = content[end:]
                    if len(rest) > BLOCK_BYTES:
                        line = place.line + content.count(b"\n")
                        raise CsvFileError(
                            f"{self.path}, line {line}: expected a line end, found none in {len(rest)} bytes"
                        )
                    if end:
                        is_cut_off = not read and not content.endswith(b"\n")
                        lines = content[:end].split(b"\n")
                        if not is_cut_off:
                            lines.pop()  # what split finds behind the last line end
                        place_behind = Place(place.offset + end, place.line + len(lines))
                        yield Block(place.line, lines, place_behind, is_cut_off)
                        place = place_behind
                    if not read:
                        return
        except OSError as error:
            raise CsvFileError(f"{self.path}: {error.strerror or error}") from error

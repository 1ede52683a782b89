"""The people of the load test: numbered, made up, and each with a known consent.

``python -m loadtest.numbered_recipients --count N [--first N] > consents.csv`` writes what ``izinkapi consents import``
reads. Of ten in a row seven approved (ONAY), two refused (RET) and one has no record, so a run always has all three.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TextIO

DOMAIN = "musteri.example"
CSV_HEADER = "recipient,type,recipientType,status,source,consentDate"


def address_of(number: int) -> str:
    """``r0000001@musteri.example`` for 1."""
    return f"r{number:07d}@{DOMAIN}"


def status_of(number: int) -> str | None:
    """ONAY, RET, or None for no record; it depends on the last digit only."""
    digit = number % 10
    if digit < 7:
        return "ONAY"
    return "RET" if digit < 9 else None


def consented_numbers(first: int, count: int) -> Iterator[int]:
    """Those of ``count`` numbers from ``first`` who may be written to."""
    return (number for number in range(first, first + count) if status_of(number) == "ONAY")


def write_csv(file: TextIO, first: int, count: int) -> int:
    """Write one row for each who has a record; the number of rows."""
    file.write(CSV_HEADER + "\n")
    rows = 0
    for number in range(first, first + count):
        status = status_of(number)
        if status is not None:
            file.write(f"{address_of(number)},EPOSTA,BIREYSEL,{status},HS_WEB,2024-03-{1 + number % 28:02d} 10:00:00\n")
            rows += 1
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and write to standard output."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.numbered_recipients", description=__doc__)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--count", type=int, required=True)
    given = parser.parse_args(arguments)
    write_csv(sys.stdout, given.first, given.count)


if __name__ == "__main__":
    main()

"""The holiday file as it is read at the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from filters.business_days import HolidayDataError
from gateway.holidays import load_holidays

SHIPPED = Path(__file__).parents[2] / "config" / "holidays-tr.toml"


def test_the_shipped_file_is_good() -> None:
    assert load_holidays(SHIPPED).half_days_count
    assert not load_holidays(SHIPPED, half_days_count=False).half_days_count


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"fixed = [", "Invalid value"), (b"\xff", "utf-8"), (b"feasts = 1", "fixed: expected a list")],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "days.toml"
    path.write_bytes(content)
    with pytest.raises(HolidayDataError, match=says) as refused:
        load_holidays(path)
    assert str(refused.value).startswith(str(path))

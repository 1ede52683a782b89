"""What a JSON object may hold: asked of a long list at once, the answer is that of each element."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.sms.dialect import RequestRefusedError
from filters.sms.dialects.shapes import BOOLEAN, CODES, INTEGER, NUMBER, SWITCH, TEXT, TEXTS, Shape, check_shape

SHAPE: Shape = {
    "text": TEXT,
    "count": INTEGER,
    "flag": BOOLEAN,
    "switch": SWITCH,
    "number": NUMBER,
    "texts": TEXTS,
    "codes": CODES,
    "inner": {"text": TEXT, "deeper": {"count": INTEGER}},
    "list": [{"text": TEXT}],
}

_GOOD: dict[str, st.SearchStrategy[Any]] = {
    "text": st.just("a"),
    "count": st.just(1),
    "flag": st.booleans(),
    "switch": st.sampled_from([True, "1", 0]),
    "number": st.sampled_from([1, 1.5]),
    "texts": st.lists(st.just("a"), max_size=2),
    "codes": st.lists(st.sampled_from(["a", 1]), max_size=2),
    "inner": st.fixed_dictionaries({}, optional={"text": st.just("a"), "deeper": st.just({"count": 1})}),
    "list": st.lists(st.fixed_dictionaries({}, optional={"text": st.just("a")}), max_size=2),
}
_ANYTHING = st.none() | st.sampled_from(
    ["a", 1, True, 1.5, [], ["a"], [1], [None], [[]], {}, {"text": 1}, {"deeper": {"x": 1}}, [{"text": 2}], [{}]]
)
GOOD = st.fixed_dictionaries({}, optional={name: st.none() | values for name, values in _GOOD.items()})
BAD = st.dictionaries(st.sampled_from([*SHAPE, "other", "Text"]), _ANYTHING, max_size=2) | _ANYTHING


def _passes(value: Any) -> bool:
    try:
        check_shape(value, SHAPE)
    except RequestRefusedError:
        return False
    return True


@given(st.lists(GOOD, max_size=3), BAD)
def test_a_long_list_passes_if_each_of_its_elements_does(good: list[Any], other: Any) -> None:
    listed = [*good, other, *good] * 12
    whole: dict[str, Any] = {"items": listed}
    is_fine = all(_passes(each) for each in (*good, other))
    if is_fine:
        check_shape(whole, {"items": [SHAPE]})
        return
    with pytest.raises(RequestRefusedError) as refused:
        check_shape(whole, {"items": [SHAPE]})
    assert f"items[{len(good)}]" in refused.value.detail

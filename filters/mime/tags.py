"""Tags after the HTML standard's rules (WHATWG HTML 13.2.5), as regular expressions that match in one way only."""

from __future__ import annotations

import re
from bisect import bisect_right

W = rb"[\t\n\f\r ]"
"""What the standard calls white space: a vertical tab is not among it."""

# A ">" inside a quoted value does not end the tag. The alternatives differ in their first octet, so that there is
# nothing to try again.
VALUE = rb"""(?:"[^"]*+"|'[^']*+'|[^\t\n\f\r >"'][^\t\n\f\r >]*+|(?=>))"""
NAME = rb"[a-zA-Z][^\t\n\f\r />]*+"
_ATTRIBUTE = rb"[^\t\n\f\r />][^\t\n\f\r />=]*+(?:" + W + rb"*+=" + W + rb"*+" + VALUE + rb"|(?!" + W + rb"*+=))"

TAG = re.compile(rb"<(/?)(" + NAME + rb")[\t\n\f\r /]*+(?:" + _ATTRIBUTE + rb"[\t\n\f\r /]*+){0,250}>")
"""A whole tag: slash, name. Bounded for the sake of memory: one with more attributes is taken for one without end."""

ATTRIBUTE = re.compile(
    rb"[\t\n\f\r /]*+([^\t\n\f\r />][^\t\n\f\r />=]*+)(?:"
    + W
    + rb"*+="
    + W
    + rb"*+("
    + VALUE
    + rb")|(?!"
    + W
    + rb"*+=))"
)
"""One attribute of a tag that ``TAG`` matched: name, value with its quotes."""


def is_within(offset: int, spans: list[tuple[int, int]]) -> bool:
    """Whether ``offset`` lies in one of ``spans``, which are in order and apart."""
    place = bisect_right(spans, offset, key=lambda span: span[0]) - 1
    return place >= 0 and offset < spans[place][1]

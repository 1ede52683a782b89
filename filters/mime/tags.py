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

# Elements whose content is not markup, or is not shown; an unclosed one swallows everything behind it.
RAW = rb"script|style|textarea|title|template|xmp|iframe|noembed|noframes|plaintext"

# The fast form leaves out tags in which a "=" might begin an attribute's name (13.2.5.32): behind a blank, a slash or
# a quote. They come up to the exact form.
_FAST_ATTRIBUTES = (
    rb"""[^>=]*+(?:(?<![\t\n\f\r /"'])=(?:""" + VALUE + rb"|" + W + rb"++" + VALUE + rb")[^>=]*+){0,250}>"
)

# What nearly every tag is like: up to four attributes in double quotes, a space before each. Written out, because a
# repeated group costs more than what it repeats; whatever else there is comes to the form above.
_PLAIN_ATTRIBUTE = rb""" [a-zA-Z-]++="[^"]*+\""""
_PLAIN_TAG = rb"[a-zA-Z][a-zA-Z0-9]*+(?:>|" + (_PLAIN_ATTRIBUTE + rb"(?:>|") * 3 + _PLAIN_ATTRIBUTE + rb">" + rb")" * 4

# Three letters tell most tags from those that matter before their names are compared.
_MATTERING = (
    rb"(?=[bhfstxinpmBHFSTXINPM][otrceimflvaOTRCEIMFLVA][dmaryxtpefgDMARYXTPEFG])(?i:(?:body|html|frameset|"
    + RAW
    + rb")[\t\n\f\r />]|svg|math)"
)

ORDINARY = re.compile(
    rb"[^<]*+(?:<(?:/(?![bBhH][oOtT])[a-zA-Z][^>\"']*+>|(?!"
    + _MATTERING
    + rb")(?:"
    + _PLAIN_TAG
    + rb"|"
    + NAME
    + _FAST_ATTRIBUTES
    + rb")|(?![a-zA-Z/!?]))[^<]*+){0,100}"
)
"""Text and ordinary tags, as many as come. Without a possessive outer repeat: early 3.11 releases get those wrong when
they hold alternatives. The bound keeps the expression's stack small; the caller goes on where it stopped."""

UNSEEN_NAMES = frozenset(
    b"select option optgroup details dialog video audio object canvas noscript datalist map svg math applet progress"
    b" meter rp".split()
)
"""Elements shown only when opened, or only by readers that cannot show the element itself."""


def _match_letter(names: list[bytes], at: int) -> bytes:
    letters = bytes(sorted({name[at] for name in names if len(name) > at}))
    return b"[" + letters + letters.upper() + b"]"


# Three letters again; what has but two stands by itself.
_MATTERING_NAMES = [b"body", b"html", b"frameset", *RAW.split(b"|"), *sorted(UNSEEN_NAMES)]
_LONG_NAMES = [name for name in _MATTERING_NAMES if len(name) > 2]
_TELLING = b"|".join(
    [
        b"(?="
        + b"".join(_match_letter(_LONG_NAMES, at) for at in range(3))
        + b")(?i:(?:"
        + b"|".join(_LONG_NAMES)
        + b")"
        rb"(?![a-z])|svg|math)",
        *[b"(?i:" + name + b"(?![a-z]))" for name in _MATTERING_NAMES if len(name) < 3],
    ]
)

# In a search there is room for more: eight attributes, and a slash at the end.
_PLAIN_ATTRIBUTES = (rb"""(?:>| [a-zA-Z:_-]++="[^"]*+\"""") * 8 + rb"(?:>| ?/>)" + rb"| ?/>)" * 8
_NOT_PLAIN = re.compile(
    rb"<(?!/(?:t[drh]>|(?![bBhH][oOtT])[a-zA-Z][a-zA-Z0-9]*+>)|(?!"
    + _TELLING
    + rb")[a-zA-Z][a-zA-Z0-9:]*+"
    + _PLAIN_ATTRIBUTES
    + rb"|[^a-zA-Z/!?])"
)


def pass_plain(html: bytes, position: int) -> tuple[int, bool]:
    """From ``position``, which is in no tag, to the next ``<`` that is no plain tag, or the end; and whether that place
    is in no tag either. None of ``UNSEEN_NAMES`` is plain.

    A search looks at every ``<``, at those inside of quoted values too. Where all of them up to a place are plain, so
    are the real ones, and only one of the last tag's values could reach beyond that place. The quote that opens such a
    value would be the last one before the place.
    """
    found = _NOT_PLAIN.search(html, position)
    if found is None:
        return len(html), True
    place = found.start()
    quote = html.rfind(b'"', position, place)
    return place, quote < 0 or html[quote - 1] != 0x3D


def is_within(offset: int, spans: list[tuple[int, int]]) -> bool:
    """Whether ``offset`` lies in one of ``spans``, which are in order and apart."""
    place = bisect_right(spans, offset, key=lambda span: span[0]) - 1
    return place >= 0 and offset < spans[place][1]

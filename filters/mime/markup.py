"""Where in an HTML text a footer is seen, and whether a link in it is.

A tokeniser after the HTML standard's rules for tags, attributes, comments and raw text (WHATWG HTML 13.2.5), not a
parser: nothing is built and nothing printed. Ordinary tags and text are passed over inside one expression, so that
its speed is that of C; only what can swallow a footer or end the document comes up into Python.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from filters.mime.tags import ORDINARY, RAW, TAG, is_within, pass_plain
from filters.mime.visibility import is_hidden

_RAW_NAMES = frozenset(RAW.split(b"|"))
_CLOSED_RAW = {name: re.compile(rb"</(?i:" + name + rb")(?=[\t\n\f\r />])") for name in _RAW_NAMES - {b"plaintext"}}
# Tags that come up one by one and are none that hide.
_KNOWN_NAMES = _RAW_NAMES | {b"body", b"html"}
_MAX_TOKENS = 10_000
# In a template, what could hold an end tag of it that is none.
_DOUBTFUL_TEMPLATE = re.compile(rb"<!|[\"']|<(?i:" + RAW + rb")(?=[\t\n\f\r />])")


class Markup(NamedTuple):
    """What the tokeniser found. Offsets into the HTML; -1 for "not there".

    ``body_close``, ``html_close``: the last end tags that count, outside conditional comments. ``body_open``: behind
    the first ``<body ...>``. ``is_tail_open``: the document ends inside a comment, tag, raw text or condition.
    ``is_ambiguous``: readers disagree about where a comment or script ends, or about what hides the whole body.
    ``unseen``: spans of comments, declarations, raw text and conditions, in order and apart; one that never ends
    reaches beyond the last octet. ``is_plain``: no tag outside of them has one of ``UNSEEN_NAMES``; False where that
    was not looked at.
    """

    body_close: int
    html_close: int
    body_open: int
    is_tail_open: bool
    is_ambiguous: bool
    unseen: list[tuple[int, int]]
    is_plain: bool


def scan_markup(html: bytes) -> Markup:
    """Tokenise ``html`` once from front to back: linear in its length."""
    body_close = html_close = body_open = -1
    is_tail_open = is_ambiguous = is_foreign = has_html = False
    is_plain = True
    unseen: list[tuple[int, int]] = []
    conditions = 0
    condition_at = 0
    position = 0
    length = len(html)
    ordinary = ORDINARY.match
    tokens = 0
    # Up to here tags are taken in order, because a value may reach beyond it.
    doubtful = -1
    while True:
        if position > doubtful:
            place, is_sure = pass_plain(html, position)
            if is_sure:
                position = place
                if position == length:
                    break
            else:
                doubtful = place
        passed = ordinary(html, position)
        assert passed is not None  # it matches the empty string
        if passed.end() > position:
            is_plain = False
            position = passed.end()
            if position < length:
                continue
        if position >= length:
            break
        tokens += 1
        if tokens > _MAX_TOKENS:
            # Honest mail has some dozens of comments, styles and scripts; each costs as much as a thousand letters.
            is_ambiguous = True
            break
        start = position
        second = html[start + 1 : start + 2]
        if second == b"!" or second == b"?" or (second == b"/" and not html[start + 2 : start + 3].isalpha()):
            if html.startswith(b"<!--", start):
                end = html.find(b"-->", start + 2)
                # Some readers end a comment at "--!>" as the standard says, some do not.
                is_ambiguous |= html.find(b"--!>", start + 2, end if end >= 0 else length) >= 0
                position = end + 3
            else:
                end = html.find(b">", start)
                position = end + 1
            if end < 0:
                is_tail_open = True
                unseen.append((start, length + 1))
                break
            unseen.append((start, position))
            # Inside svg and math a CDATA section ends at "]]>", elsewhere at the first ">".
            is_ambiguous |= is_foreign and html.startswith(b"<![CDATA[", start)
            step = _condition_step(html, start, position)
            if step > 0 and not conditions:
                condition_at = start
            elif step < 0 and conditions == 1:
                unseen.append((condition_at, position))
            conditions = max(conditions + step, 0)
            continue
        tag = TAG.match(html, start)
        if tag is None:
            is_tail_open = True
            unseen.append((start, length + 1))
            break
        position = tag.end()
        name = tag[2].lower()
        is_plain &= name in _KNOWN_NAMES
        if name == b"body":
            if not tag[1]:
                if body_open < 0:
                    body_open = position
                else:
                    # Its attributes go to the first one, if that has none of the kind.
                    is_ambiguous |= _may_hide(tag[0])
            elif not conditions:
                body_close = start
        elif name == b"html":
            if tag[1]:
                html_close = html_close if conditions else start
            else:
                is_ambiguous |= has_html and _may_hide(tag[0])
                has_html = True
        elif name == b"frameset":
            # Frames take the place of the body.
            is_ambiguous = True
        elif name in (b"svg", b"math"):
            is_foreign |= not tag[1]
        elif not tag[1] and name in _RAW_NAMES:
            # In svg and math a style or title is an element like others.
            is_ambiguous |= is_foreign
            end = _find_raw_end(html, name, position)
            if end < 0:
                is_tail_open = True
                unseen.append((start, length + 1))
                break
            is_ambiguous |= name == b"script" and _is_doubtful_script(html[position:end])
            is_ambiguous |= name == b"template" and _DOUBTFUL_TEMPLATE.search(html, position, end) is not None
            unseen.append((start, end))
            position = end
    if conditions and not is_tail_open:
        is_tail_open = True
        unseen.append((condition_at, length + 1))
    return Markup(body_close, html_close, body_open, is_tail_open, is_ambiguous, _merge(unseen), is_plain)


def _may_hide(tag: bytes) -> bool:
    lowered = tag.lower()
    return b"style" in lowered or b"hidden" in lowered


def _condition_step(html: bytes, start: int, end: int) -> int:
    """1 if the comment or declaration begins a condition whose content readers other than Outlook get, -1 if it ends
    one, else 0. Between the two, text is shown or hidden as the reader decides.
    """
    head = html[start : start + 40].lower()
    if head.startswith(b"<![if") or (
        head.startswith((b"<!--[if", b"<!-- [if")) and html.endswith((b"<!-->", b"<!-- -->"), start, end)
    ):
        return 1
    return -1 if b"<![endif]" in head[: end - start] and not head.startswith(b"<!--[if") else 0


def _is_doubtful_script(text: bytes) -> bool:
    """Whether a script may not end at the first ``</script>`` (the standard's script data double escaped state)."""
    return b"<!--" in text and b"<script" in text.lower()


def _merge(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same octets as spans in order that do not touch."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _find_raw_end(html: bytes, name: bytes, position: int) -> int:
    """Where the end tag of a raw element starts, or -1."""
    if name == b"template":
        return _find_close(html, name, position)
    closing = _CLOSED_RAW.get(name)
    found = closing.search(html, position) if closing else None
    return found.start() if found else -1


def _find_close(html: bytes, name: bytes, position: int) -> int:
    """Where the end tag that matches an already opened ``name`` starts, or -1."""
    depth = 1
    for found in re.compile(rb"<(/?)(?i:" + re.escape(name) + rb")(?=[\t\n\f\r />])").finditer(html, position):
        depth += -1 if found[1] else 1
        if not depth:
            return found.start()
    return -1


def find_place(html: bytes, markup: Markup) -> int | None:
    """Where the footer goes: before the last ``</body>``, else the last ``</html>``, else at the end.

    Where that place would be hidden, right behind ``<body ...>``; None if there is no place in which it is seen.
    """
    if markup.is_ambiguous:
        return None
    if markup.body_close >= 0:
        place = markup.body_close
    elif markup.html_close >= 0:
        place = markup.html_close
    else:
        place = -1 if markup.is_tail_open else len(html)
    has_unseen_names = not markup.is_plain
    if place >= 0 and not is_hidden(html, place, markup.unseen, has_unseen_names=has_unseen_names):
        return place
    place = markup.body_open
    if (
        place >= 0
        and not is_within(place, markup.unseen)
        and not is_hidden(html, place, markup.unseen, has_unseen_names=has_unseen_names)
    ):
        return place
    return None

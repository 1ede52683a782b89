"""Whether a place in HTML, or a link in it, is seen. In doubt it is not: a footer too many does no harm.

Inline styles, the ``hidden`` attribute and elements whose content is not shown count. What style sheets say about our
footer, its own styles overrule; for a link of the sender's they count (``sheets``).

One search over the text finds what could hide, whatever it stands in; only from there on, until the element in
question is closed, are tags taken one by one. What lies in between is passed over at the speed of C.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache

from filters.mime.sheets import NO_SHEET, Sheet, parse_sheet, read_sheets
from filters.mime.tags import ATTRIBUTE, ORDINARY, TAG, UNSEEN_NAMES, W, is_within

_VOID = frozenset(
    {b"area", b"base", b"br", b"col", b"embed", b"hr", b"img", b"input", b"link", b"meta", b"source", b"wbr"}
)
# Ended by the end of what they stand in.
_IMPLIED = frozenset(b"p li dt dd td th tr tbody thead tfoot option optgroup colgroup rt rp".split())
_SVG_NAMES = frozenset(
    b"svg g defs path rect circle ellipse line polyline polygon text tspan use symbol image stop lineargradient"
    b" radialgradient clippath mask pattern filter".split()
)

# Two letters tell most tags from these.
_UNSEEN_TAG = re.compile(rb"<(?=[acdmnoprsv][abdeiopruv])(?:" + b"|".join(sorted(UNSEEN_NAMES)) + rb")(?![a-z])")
# The value of whatever could be a style attribute, without its end quote. Nothing is passed over, so that what only
# looks like one cannot take one along; a quoted value ends at the next quote, so that the whole is linear.
_STYLE = re.compile(rb"""style(?=(="[^"]*+|='[^']*+|""" + W + rb"""*+=.?))""")
_HIDDEN_ATTRIBUTE = re.compile(rb"[\t\n\f\r \"'/](?:hidden|popover|inert)(?=[\t\n\f\r =/>])")
# Each by itself, and as an expression: faster than octets with "in", and than all of them in one.
_HIDING_ATTRIBUTES = tuple(map(re.compile, (rb"hidden", rb"popover", rb"inert")))
_COLOUR_ATTRIBUTE = re.compile(rb"color[\t\n\f\r ]*+=")
_BLANKS = b"\t\n\f\r "
# In a style without blanks. A comment, an escape or a character reference can stand for any of it.
_HIDING = re.compile(
    rb"display:none|visibility:(?:hidden|collapse)|mso-hide|clip|mask|scale|zoom:|filter:|translate|/\*|\\"
    rb"|(?:opacity|(?<!line-)(?<!min-)height|(?<!min-)(?<!border-)width):(?:\.?0(?!\.?0*[1-9])|[0-3](?:\.[0-9]*)?p[xt])"
    rb"|opacity:(?:0?\.[0-2]|[0-2]?[0-9](?:\.[0-9]*)?%)|(?<!line-)(?<!min-)(?:height|width):0?\.[0-9]|k-size:0|e-size:0"
    rb"|-[0-9]{3}[0-9.]*(?:p[xtc]|r?em|ex|ch|v[wh]|cm|mm|in|%)|-[0-9]{2}(?:\.[0-9]*)?(?:r?em|v[wh]|in|cm)|:-?[0-9.]+e[0-9]"
    rb"|(?:left|right|top|bottom|indent):(?:[0-9]{4}|[0-9]{3}(?:\.[0-9]*)?(?:r?em|v[wh]|%))"
    rb"|matrix|rotate|skew|pointer-events:none|(?:display|visibility|opacity|height|indent):(?:calc|var|min|max|clamp)\("
    rb"|&(?!(?:quot|apos|amp|#39|#34);|[a-z0-9_]+=)"
)
# How text looks, which an element inside can set anew.
_LOOK = re.compile(rb"font|color|background")
_FONT = re.compile(rb"font(?:-size)?\s*+:([^;\"'>]*+)")
_TINY = re.compile(
    rb"(?:[0-3](?:\.[0-9]*)?|\.[0-9]+)p[xt]|(?:0(?:\.[0-4][0-9]*)?|\.[0-4][0-9]*)r?em|[0-9]{1,2}(?:\.[0-9]*)?%|0+(?:\.0*)?"
    rb"[a-z]*|(?:[0-3](?:\.[0-9]*)?|\.[0-9]+)(?:mm|v[a-z]+)|0?\.[0-9]+(?:cm|in|pc)|(?:calc|var|min|max|clamp)\(.*"
)
_COLOUR = re.compile(rb"(?<![a-z-])(?:color\s*+[:=]|-webkit-text-fill-color\s*+:)\s*+[\"']?([^;\"'>]*+)")
_GROUND = re.compile(rb"(?:background(?:-color)?\s*+[:=]|bgcolor\s*+=)\s*+[\"']?([^;\"'>]*+)")
_LIST_GAP = re.compile(rb"(?<=[(,/])\s+|\s+(?=[,/)])|\s*,\s*|(?<=[0-9%])\s+(?=[0-9.]+%?[^a-z#]*\))")
_PALE = re.compile(
    rb"transparent|inherit|none|initial|(?:ghost|floral|antique|navajo)?white|snow|ivory|azure|mintcream|honeydew|seashell"
    rb"|linen|beige|aliceblue|lavender|#?[ef]{3}[0-9a-f]?$|#?(?:[ef][0-9a-f]){3}|#[0-9a-f]{6}[0-4][0-9a-f]$|#[0-9a-f]{3}[0-4]$"
    rb"|rgba?\((?:2[2-5][0-9],?){3}|(?:rgb|hsl)a?\([^)]*[,/](?:0|0?\.[0-4][0-9]*|[0-4]?[0-9]%)\)$"
    rb"|hsla?\([^)]*(?:9[0-9]|100)%[,)/]|color-mix|light-dark|var\(|canvas$"
)
# In place of a value that was not looked at: the less visible of what it could be.
_LONG = b"transparent"
_OPENED = re.compile(rb"</?[a-z]")
_MOVED = re.compile(rb"(?<!-)position\s*+:\s*+(?!static|relative)")
_EMPTY_IMAGE = re.compile(rb"(?:width|height)\s*+=\s*+[\"']?[0-3](?![0-9])")
_IMPORTANT = b"!important"
_REFERENCE = re.compile(rb"&#?[a-zA-Z0-9]+;?")
_LETTER = re.compile(rb"[A-Za-z0-9]")
_BEFORE_LINK = b" \t\r\n<>([\"'"
_BEHIND_LINK = b" \t\r\n<>)]\"'?#"

# What an open element does to the text in it: hides it for good; makes it too small; gives it a colour that is seen
# on a dark ground only; is such a ground.
_GONE, _SMALL, _LIGHT, _DARK = 1, 2, 4, 8
# Ended by their own end tags only: what they set anew holds until then.
_LASTING = frozenset(b"div span a font b strong em i u center big small".split())

_ORDINARY_STYLE_BYTES = 400
# Honest mail has some dozens of each. The stack is searched for each tag.
_MAX_DEPTH = 100
_MAX_SUSPECTS = 10_000
_MAX_STEPS = 50_000
_LONGEST_VALUE = 64
# So many styles are sought one by one, more of them all at once.
_FEW = 8

Span = tuple[int, int]


def is_delimited(text: bytes, start: int, end: int) -> bool:
    """Whether a URL at ``text[start:end]`` is a URL of its own, or is followed by a query or fragment at most."""
    return (not start or text[start - 1] in _BEFORE_LINK) and (end >= len(text) or text[end] in _BEHIND_LINK)


def is_hidden(html: bytes, place: int, unseen: list[Span], *, has_unseen_names: bool = True) -> bool:
    """Whether an element that hides its content, whatever that looks like, may still be open at ``place``.

    ``has_unseen_names``: False where it is known that no tag has one of ``UNSEEN_NAMES``.
    """
    lowered = html[:place].lower()
    open_ = _Open(is_look_judged=False)
    position = 0
    suspects = _find_suspects(lowered, is_look_judged=False, has_unseen_names=has_unseen_names)
    if len(suspects) > _MAX_SUSPECTS:
        return True
    for suspect in suspects:
        if suspect < position or is_within(suspect, unseen):
            continue
        for tag in _iterate_tags(lowered, _pass_ordinary(lowered, position, suspect, unseen), unseen):
            open_.step(tag)
            if open_.is_lost:
                return True
            position = tag.end()
            if position > suspect and not open_.names:
                break
        else:
            break
    return bool(open_.names)


def find_visible(html: bytes, links: Sequence[Span], unseen: list[Span]) -> list[bool]:
    """For each of ``links`` (spans of URLs, in order and apart): whether it is in shown text, or is the target of a
    shown ``<a>`` that holds text or an image. One pass for all of them.
    """
    seen = [False] * len(links)
    lowered = html.lower()
    text = read_sheets(lowered, unseen)
    sheet = parse_sheet(text, _judge_rule) if text else NO_SHEET
    if sheet.everything:
        return seen
    open_ = _Open(is_look_judged=True, sheet=sheet)
    position = at = 0
    target = -1
    suspects = _find_suspects(lowered, is_look_judged=True)
    if sheet is not NO_SHEET:
        suspects += sheet.find_suspects(lowered)
    if len(suspects) > _MAX_SUSPECTS:
        return seen
    for stop in sorted((*suspects, *(start for start, _ in links))):
        if stop < position or is_within(stop, unseen):
            continue
        position = _pass_ordinary(lowered, position, stop, unseen)
        for tag in _iterate_tags(lowered, position, unseen):
            start, end = tag.span()
            at, target = _pass_text(lowered, (position, start), links, seen, at, target, open_.is_hiding, unseen)
            position = end
            name = tag[2]
            if name in (b"a", b"area"):
                target = -1
            if name == b"img" and target >= 0 and not open_.is_hiding and not _is_doubtful(tag[0]):
                seen[target] |= not sheet.judge(name, tag[0]) & _GONE
            open_.step(tag)
            if open_.is_lost:
                return seen
            first = at
            while at < len(links) and links[at][0] < end:
                at += 1
            if first < at and name == b"a" and not tag[1] and not open_.is_hiding and not _is_doubtful(tag[0]):
                target = _find_target(lowered, tag, links, first, at)
            if position > stop and target < 0 and not open_.names:
                break
        else:
            _pass_text(lowered, (position, len(lowered)), links, seen, at, target, open_.is_hiding, unseen)
            break
    return seen


def _pass_text(
    html: bytes,
    text: Span,
    links: Sequence[Span],
    seen: list[bool],
    at: int,
    target: int,
    is_hiding: bool,
    unseen: list[Span],
) -> tuple[int, int]:
    """The text between two tags: the links in it, and the text of the link that is open."""
    start, end = text
    if target >= 0 and not is_hiding and start < end and not is_within(start, unseen):
        words = html[start : _find_unseen(start, end, unseen)]
        if _LETTER.search(_REFERENCE.sub(b"", words)):
            seen[target] = True
    while at < len(links) and links[at][0] < end:
        link = links[at]
        seen[at] = not is_hiding and not is_within(link[0], unseen) and is_delimited(html, *link)
        at += 1
    return at, target


def _find_unseen(start: int, end: int, unseen: list[Span]) -> int:
    """Where the first of the unseen spans in ``start`` to ``end`` begins, or ``end``."""
    low, high = 0, len(unseen)
    while low < high:
        middle = (low + high) // 2
        if unseen[middle][0] < start:
            low = middle + 1
        else:
            high = middle
    return min(end, unseen[low][0]) if low < len(unseen) else end


def _find_target(html: bytes, tag: re.Match[bytes], links: Sequence[Span], first: int, last: int) -> int:
    """The link that is the whole of the first ``href`` but for a query or fragment behind it; -1 for none."""
    for attribute in ATTRIBUTE.finditer(html, tag.end(2), tag.end() - 1):
        if attribute[1] != b"href":
            continue
        start, end = attribute.span(2)
        if html[start : start + 1] in (b'"', b"'"):
            start, end = start + 1, end - 1
        for at in range(first, last):
            if links[at][0] == start and (links[at][1] == end or html[links[at][1]] in b"?#"):
                return at
        break
    return -1


def _find_suspects(lowered: bytes, *, is_look_judged: bool, has_unseen_names: bool = True) -> list[int]:
    """Where something stands that could hide content, in order; without, no tag need be looked at."""
    found = [match.start() for match in _UNSEEN_TAG.finditer(lowered)] if has_unseen_names else []
    if any(name.search(lowered) for name in _HIDING_ATTRIBUTES):
        found += [match.end() for match in _HIDDEN_ATTRIBUTE.finditer(lowered)]
    # A row's style recurs in every row.
    hiding = {style for style in set(_STYLE.findall(lowered)) if _is_suspect(style, is_look_judged)}
    if len(hiding) <= _FEW:
        for style in hiding:
            at = lowered.find(b"style" + style)
            while at >= 0:
                found.append(at)
                at = lowered.find(b"style" + style, at + 5)
    else:
        found += [match.start() for match in _STYLE.finditer(lowered) if match[1] in hiding]
    if is_look_judged:
        found += [match.start() for match in _COLOUR_ATTRIBUTE.finditer(lowered)]
    found.sort()
    return found


def _is_suspect(style: bytes, is_look_judged: bool) -> bool:
    """Whether the value of a style attribute, as ``_STYLE`` finds it, could hide anything."""
    return (_is_known_suspect if len(style) <= _ORDINARY_STYLE_BYTES else _is_new_suspect)(style, is_look_judged)


def _is_new_suspect(style: bytes, is_look_judged: bool) -> bool:
    if not style.startswith((b'="', b"='")):
        return True
    if is_look_judged and _LOOK.search(style) and _judge_look(style, 0):
        return True
    return _HIDING.search(style.translate(None, _BLANKS)) is not None


# A sender's mails have the same few dozen styles again and again.
_is_known_suspect = lru_cache(maxsize=1024)(_is_new_suspect)


def _pass_ordinary(lowered: bytes, position: int, stop: int, unseen: list[Span]) -> int:
    """From ``position``, where a tag or text begins, on to the last such place that is not behind ``stop``."""
    end = stop - lowered.startswith(b"<", stop - 1) if stop else 0
    while position < end:
        passed = ORDINARY.match(lowered, position, end)
        assert passed is not None  # it matches the empty string
        if passed.end() > position:
            position = passed.end()
            continue
        place = bisect_right(unseen, position, key=lambda span: span[0]) - 1
        if place >= 0 and position < unseen[place][1]:
            position = unseen[place][1]
            continue
        tag = TAG.match(lowered, position)
        if tag is None or tag.end() > stop:
            break
        position = tag.end()
    return position


def _iterate_tags(lowered: bytes, position: int, unseen: list[Span]) -> Iterator[re.Match[bytes]]:
    """The tags from ``position`` on and outside ``unseen``, in order. A tag without end ends them: the tokeniser
    counts it as unseen.
    """
    place = bisect_right(unseen, position, key=lambda span: span[0]) - 1
    if place >= 0 and position < unseen[place][1]:
        position = unseen[place][1]
    place += 1
    while (position := lowered.find(b"<", position)) >= 0:
        while place < len(unseen) and unseen[place][1] <= position:
            place += 1
        if place < len(unseen) and unseen[place][0] <= position:
            position = unseen[place][1]
            continue
        tag = TAG.match(lowered, position)
        if tag is None:
            if _OPENED.match(lowered, position):
                return
            # A "<" of the text.
            position += 1
            continue
        yield tag
        position = tag.end()


def _is_doubtful(tag: bytes) -> bool:
    """Whether what is about a link or an image may not be seen for the sake of its own tag."""
    return _is_gone(b"", tag) or _MOVED.search(tag) is not None or _EMPTY_IMAGE.search(tag) is not None


def _is_gone(name: bytes, tag: bytes) -> bool:
    if name in UNSEEN_NAMES:
        return True
    if (b"hidden" in tag or b"popover" in tag or b"inert" in tag) and _HIDDEN_ATTRIBUTE.search(tag):
        return True
    return any(
        # What stands in no quotes is looked at to the end of the tag: where it ends does not matter.
        _is_suspect(style if style[-1:] != b"=" and style[1:2] in (b'"', b"'") else b'="' + tag, is_look_judged=False)
        for style in _STYLE.findall(tag)
    )


def _judge_look(tag: bytes, above: int) -> int:
    """What is left of ``above`` in the text of an element with this tag or style, and what comes to it."""
    state = above
    tag = tag.replace(_IMPORTANT, b"")
    for font in _FONT.finditer(tag):
        is_small = any(_TINY.fullmatch(word.partition(b"/")[0]) for word in font[1][:_LONGEST_VALUE].split())
        state = state | _SMALL if is_small else state & ~_SMALL
    grounds = [word for ground in _GROUND.findall(tag) for word in _split_value(ground) or (_LONG,)]
    if grounds:
        state = state & ~_DARK if any(map(_PALE.match, grounds)) else state | _DARK
    colours = [word for colour in _COLOUR.findall(tag) for word in _split_value(colour) or (_LONG,)]
    if colours:
        state &= ~_LIGHT
        if any(map(_PALE.match, colours)):
            state |= _LIGHT
        if not set(colours).isdisjoint(grounds):
            state = (state | _LIGHT) & ~_DARK
    return state


def _judge_rule(declarations: bytes) -> int:
    """What a rule of a style sheet may do to the text of the elements it is for."""
    styles = declarations.translate(None, _BLANKS).replace(b"grayscale", b"").replace(b"\\9", b"")
    if _HIDING.search(styles):
        return _GONE
    # What is taken over from around is judged there. A ground may be set anew by a rule that is not met here.
    return _judge_look(declarations.replace(b"inherit", b"-"), 0) & ~_DARK


def _split_value(value: bytes) -> list[bytes]:
    """The words of a value of CSS; what stands in brackets is one. None of a value too long to be looked at."""
    if len(value) > _LONGEST_VALUE:
        return []
    return _LIST_GAP.sub(b",", value).split()


class _Open:
    """The open elements from the outermost on that hides, or may hide, what is in it.

    An end tag that would cross another open element is passed over: readers repair that in ways of their own, and
    longer hidden is the safe side.
    """

    __slots__ = ("_is_look_judged", "_sheet", "_states", "_steps", "is_lost", "names")

    def __init__(self, *, is_look_judged: bool, sheet: Sheet = NO_SHEET) -> None:
        self.names: list[bytes] = []
        self._sheet = sheet
        self._states: list[int] = []
        self._is_look_judged = is_look_judged
        self._steps = 0
        self.is_lost = False
        """Nothing is sure from here on: the rest counts as hidden."""

    @property
    def is_hiding(self) -> bool:
        state = self._states[-1] if self._states else 0
        return bool(state & (_GONE | _SMALL)) or state & (_LIGHT | _DARK) == _LIGHT

    @property
    def _worst(self) -> int:
        worst = 0
        for state in self._states:
            worst |= state
        return worst & ~_DARK

    def step(self, tag: re.Match[bytes]) -> None:
        """Go through one tag."""
        name = tag[2]
        names, states = self.names, self._states
        if names:
            self._steps += 1
            self.is_lost |= self._steps > _MAX_STEPS or len(names) > _MAX_DEPTH
        if tag[1]:
            self._close(name)
            return
        if names and b"svg" in names:
            if name not in _SVG_NAMES:
                # Others end the svg, and whatever it stands in (13.2.6.5).
                self.is_lost = True
                return
            if tag[0].endswith(b"/>"):
                return
        if name in _VOID:
            return
        above = states[-1] if states else 0
        if name == b"a" and b"a" in names:
            # It ends the one that is open.
            above |= self._worst
        state = above
        if _is_gone(name, tag[0]):
            state |= _GONE
        if self._sheet is not NO_SHEET:
            state |= self._sheet.judge(name, tag[0])
        if self._is_look_judged and _LOOK.search(tag[0]):
            state = _judge_look(tag[0], state)
            if name not in _LASTING:
                # Ended by other tags than its own: what it makes better is not counted.
                state |= above & (_SMALL | _LIGHT)
                state &= ~_DARK if names and not above & _DARK else ~0
        if names or state:
            names.append(name)
            states.append(state)

    def _close(self, name: bytes) -> None:
        names = self.names
        at = len(names) - 1
        while at >= 0 and names[at] != name and names[at] in _IMPLIED:
            at -= 1
        if at >= 0 and names[at] == name:
            del names[at:], self._states[at:]
        elif names:
            self._states[-1] = self._worst

"""Whether a place in HTML, or a link in it, is seen. In doubt it is not: a footer too many does no harm.

Inline styles, the ``hidden`` attribute and elements whose content is not shown count. Style sheets are not evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from filters.mime.tags import ATTRIBUTE, TAG, is_within

_VOID = frozenset(
    {b"area", b"base", b"br", b"col", b"embed", b"hr", b"img", b"input", b"link", b"meta", b"source", b"wbr"}
)
# Shown only when opened, or only by readers that cannot show the element itself.
_UNSEEN_NAMES = frozenset(
    b"select option optgroup details dialog video audio object canvas noscript datalist map svg math applet".split()
)
# Ended by the end of what they stand in.
_IMPLIED = frozenset(b"p li dt dd td th tr tbody thead tfoot option optgroup colgroup rt rp".split())
_SVG_NAMES = frozenset(
    b"svg g defs path rect circle ellipse line polyline polygon text tspan use symbol image stop lineargradient"
    b" radialgradient clippath mask pattern filter".split()
)

_UNSEEN_TAG = re.compile(rb"<(?:" + b"|".join(sorted(_UNSEEN_NAMES)) + rb")(?![a-z])")
_STYLE = re.compile(rb"style[^<>]*+")
_HIDDEN_ATTRIBUTE = re.compile(rb"[\t\n\f\r \"'/]hidden(?=[\t\n\f\r =/>])")
_BLANKS = b"\t\n\f\r "
# In a style without blanks. A comment, an escape or a character reference can stand for any of it.
_HIDING = re.compile(
    rb"display:none|visibility:(?:hidden|collapse)|mso-hide|clip|scale\(|/\*|\\"
    rb"|(?:opacity|font-size|(?<!line-)height|(?<!min-)(?<!border-)width):\.?0(?!\.?0*[1-9])"
    rb"|(?:indent|left|top):-[0-9]{3}"
    rb"|&(?!(?:quot|apos|amp|#39|#34);|[a-z0-9_]+=)"
)
_REFERENCE = re.compile(rb"&#?[a-zA-Z0-9]+;?")
_LETTER = re.compile(rb"[A-Za-z0-9]")
_BEFORE_LINK = b" \t\r\n<>([\"'"
_BEHIND_LINK = b" \t\r\n<>)]\"'?#"

# Deeper inside the hidden, all of the rest counts as hidden: the stack is searched for each tag.
_MAX_DEPTH = 100

Span = tuple[int, int]


def is_delimited(text: bytes, start: int, end: int) -> bool:
    """Whether a URL at ``text[start:end]`` is a URL of its own, or is followed by a query or fragment at most."""
    return (not start or text[start - 1] in _BEFORE_LINK) and (end >= len(text) or text[end] in _BEHIND_LINK)


def is_hidden(html: bytes, place: int, unseen: list[Span]) -> bool:
    """Whether an element that hides its content may still be open at ``place``."""
    lowered = html[:place].lower()
    if not _is_suspect(lowered):
        return False
    stack: list[bytes] = []
    for tag in _iterate_tags(lowered, unseen):
        if tag.end() > place:
            break
        _step(stack, tag)
    return bool(stack)


def find_visible(html: bytes, links: Sequence[Span], unseen: list[Span]) -> list[bool]:
    """For each of ``links`` (spans of URLs, in order and apart): whether it is in shown text, or is the target of a
    shown ``<a>`` that holds text or an image. One pass for all of them.
    """
    seen = [False] * len(links)
    lowered = html.lower()
    stack: list[bytes] = []
    at = position = 0
    target = -1
    for tag in _iterate_tags(lowered, unseen):
        start, end = tag.span()
        at, target = _pass_text(lowered, (position, start), links, seen, at, target, stack, unseen)
        position = end
        name = tag[2]
        if name in (b"a", b"area"):
            target = -1
        if name == b"img" and target >= 0 and not stack and not _is_doubtful(tag[0]):
            seen[target] = True
        _step(stack, tag)
        first = at
        while at < len(links) and links[at][0] < end:
            at += 1
        if first < at and name == b"a" and not tag[1] and not stack and not _is_doubtful(tag[0]):
            target = _find_target(lowered, tag, links, first, at)
    _pass_text(lowered, (position, len(lowered)), links, seen, at, target, stack, unseen)
    return seen


def _pass_text(
    html: bytes,
    text: Span,
    links: Sequence[Span],
    seen: list[bool],
    at: int,
    target: int,
    stack: list[bytes],
    unseen: list[Span],
) -> tuple[int, int]:
    """The text between two tags: the links in it, and the text of the link that is open."""
    start, end = text
    if target >= 0 and not stack and start < end and not is_within(start, unseen):
        words = html[start : _find_unseen(start, end, unseen)]
        if _LETTER.search(_REFERENCE.sub(b"", words)):
            seen[target] = True
    while at < len(links) and links[at][0] < end:
        link = links[at]
        seen[at] = not stack and not is_within(link[0], unseen) and is_delimited(html, *link)
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


def _iterate_tags(lowered: bytes, unseen: list[Span]) -> Iterator[re.Match[bytes]]:
    """The tags outside ``unseen``, in order. A tag without end ends them: the tokeniser counts it as unseen."""
    position = 0
    for start, end in [*unseen, (len(lowered), len(lowered))]:
        while 0 <= (position := lowered.find(b"<", position)) < start:
            tag = TAG.match(lowered, position)
            if tag is None:
                return
            yield tag
            position = tag.end()
        if position < 0:
            return
        position = max(position, end) if position < end else position


def _is_suspect(lowered: bytes) -> bool:
    """Whether anything in the HTML could hide content; without, no tag need be looked at."""
    if b"display" in lowered or (b"hidden" in lowered and _HIDDEN_ATTRIBUTE.search(lowered)):
        return True
    if _UNSEEN_TAG.search(lowered):
        return True
    # A row's style recurs in every row. One with quotes that do not pair goes on behind a ">".
    return any(
        style.count(b'"') & 1 or style.count(b"'") & 1 or _HIDING.search(style.translate(None, _BLANKS))
        for style in set(_STYLE.findall(lowered))
    )


def _is_doubtful(tag: bytes) -> bool:
    return _is_hiding(b"", tag) or b"position" in tag


def _is_hiding(name: bytes, tag: bytes) -> bool:
    if name in _UNSEEN_NAMES:
        return True
    if b"hidden" in tag and _HIDDEN_ATTRIBUTE.search(tag):
        return True
    style = tag.find(b"style")
    # To the end of the tag: where a value ends does not matter, in doubt it hides.
    return style >= 0 and _HIDING.search(tag[style:].translate(None, _BLANKS)) is not None


def _step(stack: list[bytes], tag: re.Match[bytes]) -> None:
    """Keep ``stack``, the open elements from the outermost hiding one on, through one tag.

    An end tag that would cross another open element is passed over: readers repair that in ways of their own, and
    longer hidden is the safe side.
    """
    name = tag[2]
    if not tag[1]:
        if stack:
            if b"svg" in stack:
                if name not in _SVG_NAMES:
                    # Others end the svg (13.2.6.5); nothing is sure from here on: no end tag has this name.
                    stack[:] = [b""]
                elif tag[0].endswith(b"/>"):
                    return
            if len(stack) > _MAX_DEPTH:
                stack[:] = [b""]
            if name not in _VOID:
                stack.append(name)
        elif name not in _VOID and _is_hiding(name, tag[0]):
            stack.append(name)
        return
    at = len(stack) - 1
    while at >= 0 and stack[at] != name and stack[at] in _IMPLIED:
        at -= 1
    if at >= 0 and stack[at] == name:
        del stack[at:]

"""The checks before release (content-rules B5): the copy is parsed afresh and held against the original.

A failed check is a fault of ours, never the sender's: nothing goes out, and the client is told to try again.
"""

from __future__ import annotations

from bisect import bisect_left

from filters.mime.charsets import CharsetFamily, find_family, find_wide_codec
from filters.mime.headers import scan_headers
from filters.mime.leaf import MAX_LINE_BYTES, LeafEdit
from filters.mime.refusal import MalformedContent
from filters.mime.rewrite_plan import RewritePlan
from filters.mime.structure import Part, make_root
from filters.mime.transfer import BLANKS, decode_base64, decode_quoted_printable
from filters.mime.views import Views, find_views

_ADDED_HEADER_BYTES = 8192


class RewriteFault(RuntimeError):  # noqa: N818 - a fault, as opposed to a refusal
    """A copy that does not pass. The text names the check and holds nothing of the content."""


def check_copy(original: bytes, plan: RewritePlan, copy: bytes) -> None:
    """Raise ``RewriteFault`` unless ``copy`` is ``original`` with the opt-out and nothing else.

    Checked: List-Unsubscribe and List-Unsubscribe-Post exactly once; the same entities with the same types and
    encodings; every octet outside the changed leaves the same; each changed leaf, decoded, the old text with one
    insertion that holds the URL (with placeholders: the old text up to the first); no added line over 998 octets.
    """
    try:
        _check(original, plan, copy)
    except MalformedContent as malformed:
        raise RewriteFault(f"copy cannot be parsed: {malformed.detail}") from None


def _check(original: bytes, plan: RewritePlan, copy: bytes) -> None:
    # The sender's header was within the limit; what we add may take it beyond without any fault.
    limits = plan.limits._replace(header_bytes=plan.limits.header_bytes + _ADDED_HEADER_BYTES)
    headers = scan_headers(copy, limits)
    root = make_root(headers, limits)
    opt_outs = [field for field in headers.fields if field[0].startswith(b"list-unsubscribe")]
    names = [field[0] for field in opt_outs]
    if names.count(b"list-unsubscribe") != 1 or names.count(b"list-unsubscribe-post") != 1:
        raise RewriteFault("opt-out fields are not there exactly once")
    uri = headers.value(opt_outs[names.index(b"list-unsubscribe")])
    url = b"" if plan.keeps_sender_optout else uri[1 : uri.index(b">")]
    edits = [edit for edit in plan.edits if url not in edit.present]
    if not plan.removed_spans and all(edit.start == edit.body_start for edit in edits):
        _check_shape(plan.found.visited[0], root)
        _check_in_place(original, copy, plan, edits, root, url)
        return
    # Whole parts or their fields are gone: the tree is built anew.
    views = find_views(root, limits)
    _check_tree(plan.found, views)
    changed = _find_changed(plan.found, views, edits)
    _check_rest(original, copy, plan, edits, changed, root)
    for edit, old, new in changed:
        _check_shape(old, new)
        _check_leaf(edit, old, _text(old), new.content, (new.body_start, new.end), url)


def _check_shape(before: Part, after: Part) -> None:
    if after.is_doubtful or (before.type, before.encoding, before.disposition) != (
        after.type,
        after.encoding,
        after.disposition,
    ):
        raise RewriteFault("the part tree changed")


def _check_in_place(
    original: bytes, copy: bytes, plan: RewritePlan, edits: list[LeafEdit], root: Part, url: bytes
) -> None:
    """The check where nothing but texts changed: octets that are the same hold the same boundary lines and fields.

    So the tree is the same if no boundary line of a multipart around a changed leaf begins where octets are new, nor
    within its own length before them.
    """
    found = plan.found
    leaves = {leaf.body_start: leaf for leaf in (*found.leaves, *found.others)}
    starts = [edit.body_start for edit in edits]
    multiparts = [part for part in found.visited if part.is_multipart and _holds_any(part, starts)]
    at_old, at_new = plan.body_start, root.body_start
    for edit in edits:
        old = leaves[edit.body_start]
        start = at_new + edit.start - at_old
        if original[at_old : edit.start] != copy[at_new:start]:
            raise RewriteFault("octets outside the changed leaves differ")
        old_text = _text(old)
        line = _find_line(edit, old, old_text)
        end = len(copy)
        # From the innermost, whose boundary line ends the leaf, outwards.
        for part in reversed([part for part in multiparts if part.body_start <= old.start and old.end <= part.end]):
            delimiter = b"\r\n--" + part.type.boundary
            met = copy.find(delimiter, max(start + line - len(delimiter), 0), min(end + len(delimiter), len(copy)))
            if end == len(copy):
                if met < start:
                    raise RewriteFault("the part tree changed")
                end = met
            elif 0 <= met < end:
                raise RewriteFault("the part tree changed")
        _check_leaf(edit, old, old_text, copy, (start, end), url)
        at_old, at_new = edit.end, end
    if original[at_old:] != copy[at_new:]:
        raise RewriteFault("octets outside the changed leaves differ")


def _holds_any(part: Part, starts: list[int]) -> bool:
    place = bisect_left(starts, part.body_start)
    return place < len(starts) and starts[place] <= part.end


def _check_tree(before: Views, after: Views) -> None:
    if len(before.visited) != len(after.visited) or len(before.leaves) != len(after.leaves):
        raise RewriteFault("the part tree changed")
    for old, new in zip(before.visited, after.visited, strict=True):
        _check_shape(old, new)


def _find_changed(before: Views, after: Views, edits: list[LeafEdit]) -> list[tuple[LeafEdit, Part, Part]]:
    pairs = {
        old.body_start: (old, new)
        for olds, news in ((before.leaves, after.leaves), (before.others, after.others))
        for old, new in zip(olds, news, strict=False)
    }
    return [(edit, *pairs[edit.body_start]) for edit in edits]


def _check_rest(
    original: bytes,
    copy: bytes,
    plan: RewritePlan,
    edits: list[LeafEdit],
    changed: list[tuple[LeafEdit, Part, Part]],
    root: Part,
) -> None:
    at_old, at_new = plan.body_start, root.body_start
    removed = plan.removed_spans
    gaps = [
        (edit.start, edit.end, new.start if edit.start < old.body_start else new.body_start, new.end)
        for edit, old, new in changed
    ]
    gaps.append((len(original), len(original), len(copy), len(copy)))
    for start, end, new_start, new_end in gaps:
        kept = original[at_old:start]
        for left, right in reversed(removed):
            if at_old <= left and right <= start:
                kept = kept[: left - at_old] + kept[right - at_old :]
        if kept != copy[at_new:new_start]:
            raise RewriteFault("octets outside the changed leaves differ")
        at_old, at_new = end, new_end


def _find_line(edit: LeafEdit, old: Part, old_text: bytes) -> int:
    """Up to where the encoded text must be the same: the start of the line that holds the first change."""
    line = old_text.rfind(b"\n", 0, edit.kept_bytes) + 1
    if old.encoding == "base64" and (edit.is_wide or len(old_text[:line].translate(None, BLANKS)) % 4):
        return 0
    return line


def _check_leaf(edit: LeafEdit, old: Part, old_text: bytes, copy: bytes, new: tuple[int, int], url: bytes) -> None:
    """Encoded text is compared as far as it was kept; from the line of the first change on, both are decoded.

    ``new``: where the changed leaf's encoded text is in ``copy``.
    """
    line = _find_line(edit, old, old_text)
    start, end = new
    if start + line > end or not copy.startswith(old_text[:line], start):
        raise RewriteFault("the beginning of a changed leaf differs")
    new_text = copy[start + line : end]
    before, after = _decode(old, old_text[line:]), _decode(old, new_text)
    place = edit.place - (len(_decode(old, old_text[:line])) if edit.fills else 0)
    if not edit.fills:
        # What follows the insertion is known from the end of the text.
        place = len(before) - edit.left
        if not after.endswith(before[place:]):
            raise RewriteFault("the end of a changed leaf differs")
    if place < 0 or before[:place] != after[:place]:
        raise RewriteFault("a changed leaf is not the old text with an insertion")
    form = url.replace(b"&", b"&amp;") if edit.is_html else url
    if url and after.count(form) - before.count(form) != edit.urls:
        raise RewriteFault("the link is not in a changed leaf as often as it should be")
    _check_lines(old_text, new_text)


def _check_lines(old_text: bytes, new_text: bytes) -> None:
    """``new_text`` begins with a line, and an over-long one is excused only where the sender has such lines."""
    at = 0
    while len(new_text) - at > MAX_LINE_BYTES:
        line_end = new_text.rfind(b"\n", at, at + MAX_LINE_BYTES + 2)
        if line_end < 0:
            if max(len(line) for line in old_text.split(b"\r\n")) > MAX_LINE_BYTES:
                return
            raise RewriteFault("a line is over 998 octets")
        at = line_end + 1


def _text(part: Part) -> bytes:
    return part.content[part.body_start : part.end]


def _decode(part: Part, encoded: bytes) -> bytes:
    if part.encoding == "base64":
        text = decode_base64(encoded)
        if find_family(part.type.charset) is CharsetFamily.WIDE:
            codec = find_wide_codec(part.type.charset, text)
            return text.decode(codec).encode() if codec else text
        return text
    return decode_quoted_printable(encoded) if part.encoding == "quoted-printable" else encoded

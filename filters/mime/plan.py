"""One plan per message, one personal copy per recipient.

``plan_rewrite`` finds the views and compiles the message into a ``RewritePlan``, whose ``render`` makes the copies.

**Idempotence without a mark.** A header that says "done already" could be set by a client to go without the opt-out.
The link itself is the mark: its token is unforgeable and names the recipient. A view that visibly shows the very URL
of the copy's recipient is left alone; any other link of ours (a quoted newsletter, somebody else's) does not count.
"""

from __future__ import annotations

from filters.mime.footer import Footer
from filters.mime.head import edit_head
from filters.mime.headers import HeaderBlock, render_without
from filters.mime.leaf import LeafEdit, Placeholder, edit_leaf, make_placeholder
from filters.mime.plan_memory import BodyKey, PlanMemory
from filters.mime.refusal import MalformedContent, RewriteDetail, RewriteRefusal
from filters.mime.release import check_copy
from filters.mime.rewrite_plan import RewritePlan
from filters.mime.settings import RewriteSettings
from filters.mime.structure import STALE_FIELDS, Part, make_root
from filters.mime.views import find_views

# What checks one copy for all: every character a URL may have, and a length at which encoded lines break.
_SAMPLE = "-0Aa_z~/--?k=v&m=%C4%B1" * 6


def plan_rewrite(
    content: bytes,
    headers: HeaderBlock,
    footer: Footer,
    settings: RewriteSettings,
    *,
    remove: frozenset[bytes],
    has_8bitmime: bool,
    is_smtputf8: bool,
    memory: PlanMemory | None = None,
) -> RewritePlan | RewriteRefusal:
    """How the copies of ``content`` (CRLF throughout) are made, or why they cannot be.

    ``remove``: lower-case names of fields to drop. ``has_8bitmime``: the next hop takes 8-bit text, so added text may
    be 8-bit where the sender's is. ``is_smtputf8``: header text may be UTF-8, else it is ASCII or RFC 2047.
    ``memory``: plans of the same footer and settings, so that a body met before is not analysed again.
    Raises ``RewriteFault`` if the result does not pass the checks before release: a fault of ours, to be answered
    as temporary.
    """
    try:
        return _plan(content, headers, footer, settings, remove, has_8bitmime, is_smtputf8, memory)
    except MalformedContent as malformed:
        return RewriteRefusal(malformed.detail)


def _plan(
    content: bytes,
    headers: HeaderBlock,
    footer: Footer,
    settings: RewriteSettings,
    remove: frozenset[bytes],
    has_8bitmime: bool,
    is_smtputf8: bool,
    memory: PlanMemory | None,
) -> RewritePlan:
    if headers.has_defect:
        raise MalformedContent(RewriteDetail.MALFORMED_HEADER)
    key = None
    if memory is not None:
        fields = b"".join([content[start:end] for name, start, end in headers.fields if name.startswith(b"content-")])
        key = BodyKey(has_8bitmime, fields, content[headers.body_start :])
        known = memory.find(key)
        if known is not None:
            head = edit_head(content, headers, footer, settings, remove, (), is_smtputf8)
            # The check before release was made with another header: one that might hold a second field of ours, which
            # no sender's does, goes the long way.
            if b"\nlist-unsubscribe" not in b"\n" + head.fields.lower():
                return known.with_head(head)
    limits = settings.limits
    root = make_root(headers, limits)
    views = find_views(root, limits, removes_amp=settings.removes_amp)
    placeholder = make_placeholder(settings.placeholder)
    edits = []
    dropped_at: list[int] = []
    for part in views.leaves:
        edit = edit_leaf(part, footer, placeholder, has_8bitmime=has_8bitmime, is_view=True)
        if edit is not None:
            edits.append(_with_fields(edit, part, root, dropped_at))
    for part in views.others:
        edit = _edit_other(part, footer, placeholder, has_8bitmime)
        if edit is not None:
            edits.append(_with_fields(edit, part, root, dropped_at))
    if views.others:
        # An inner mixed message has its other texts before later views.
        edits.sort(key=lambda edit: edit.start)
    head = edit_head(content, headers, footer, settings, remove, dropped_at, is_smtputf8)
    plan = RewritePlan(content, headers.body_start, edits, views, limits, head)
    check_copy(content, plan, plan.render(footer.link_base.decode("ascii") + _SAMPLE, "mailto:a@b.example", b""))
    # What depends on more than the body stays out: links of ours that it shows already, fields of the root.
    if memory is not None and key is not None and not dropped_at and not any(edit.present for edit in edits):
        memory.keep(key, plan)
    return plan


def _edit_other(part: Part, footer: Footer, placeholder: Placeholder, has_8bitmime: bool) -> LeafEdit | None:
    """The change to a later inline text; what cannot be read there is left as it is, the view has its footer."""
    try:
        return edit_leaf(part, footer, placeholder, has_8bitmime=has_8bitmime, is_view=False)
    except MalformedContent:
        return None


def _with_fields(edit: LeafEdit, part: Part, root: Part, dropped_at: list[int]) -> LeafEdit:
    """``edit`` without the part's checksum and length fields, which no longer hold; other fields stay as they are."""
    if not part.has_stale:
        return edit
    header = HeaderBlock(part.content, part.start, part.header_end, part.body_start)
    if part is root:
        dropped_at += [field[1] for field in header.fields if field[0] in STALE_FIELDS]
        return edit
    kept = render_without(header, STALE_FIELDS) + part.content[part.header_end : part.body_start]
    return edit._replace(start=part.start, pieces=[kept, *edit.pieces])

"""One plan per message, one personal copy per recipient.

``plan_rewrite`` finds the views and compiles the message into pieces that are the same in every copy and slots for
the personal URL; ``RewritePlan.render`` fills the slots.

**Idempotence without a mark.** A header that says "done already" could be set by a client to go without the opt-out.
The link itself is the mark: its token is unforgeable and names the recipient. A view that visibly shows the very URL
of the copy's recipient is left alone; any other link of ours (a quoted newsletter, somebody else's) does not count.

**Why a copy need not be parsed again.** What varies between copies is the URL, checked in ``render`` against an
alphabet without line ends, quotes and brackets. No line that we add begins with a hyphen, whatever the URL (see
``footer.FooterForm`` and ``transfer``), so no copy can hold a boundary line that another does not. ``check_copy`` on
one copy, made by ``plan_rewrite`` itself, therefore speaks for all.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from filters.mime.footer import MAX_URL_BYTES, Footer
from filters.mime.headers import HeaderBlock, render_without
from filters.mime.leaf import LeafEdit, Placeholder, edit_leaf, make_placeholder
from filters.mime.limits import DEFAULT_LIMITS, Limits
from filters.mime.plan_memory import BodyKey, PlanMemory
from filters.mime.refusal import MalformedContent, RewriteDetail, RewriteRefusal
from filters.mime.release import check_copy
from filters.mime.structure import STALE_FIELDS, Part, make_root
from filters.mime.transfer import Base64Run, Piece, render_url_forms
from filters.mime.views import Views, find_views

_LOCAL_URL = re.compile(rb"http://(?:127\.0\.0\.1|localhost|\[::1\])[:/][A-Za-z0-9._~:/?@&=%+-]+")
_MAILTO_CHARACTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~/?@&=%+-"
_URL_CHARACTERS = _MAILTO_CHARACTERS + b":"
_ONE_CLICK = b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
_OPT_OUT_FIELDS = frozenset({b"list-unsubscribe", b"list-unsubscribe-post"})
_LONGEST_SINGLE_LINE = 900
_SIGNING_DOMAIN = re.compile(rb"(?:^|;)\s*d\s*=\s*([^\s;]+)")


@dataclass(frozen=True, slots=True)
class RewriteSettings:
    """What a site decides about rewriting.

    ``placeholder``: token for the link in the sender's text. ``keep_sender_optout``: leave a complete one-click pair
    of the sender's in place of ours (its endpoint then has to report refusals). ``signed_domains``: lower-case domains
    whose DKIM signature is made again behind us; theirs are removed. ``keeps_foreign_signatures``: whether others
    stay. ``removes_amp``: drop the AMP alternative instead of putting the link into it.
    """

    placeholder: bytes = b"{{opt_out_url}}"
    keep_sender_optout: bool = False
    signed_domains: frozenset[bytes] = frozenset()
    keeps_foreign_signatures: bool = True
    removes_amp: bool = False
    limits: Limits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        make_placeholder(self.placeholder)


class RewriteWarning(NamedTuple):
    """Something the sender should know though the message goes out."""

    code: str
    english: str


LONG_HTML = RewriteWarning("long_html", "HTML above 90 kB: some readers show the opt-out only after a further click.")
UNSEEN_PLACEHOLDER = RewriteWarning(
    "unseen_placeholder", "A placeholder was filled where no reader sees it; the footer was added as well."
)
# What checks one copy for all: every character a URL may have, and a length at which encoded lines break.
_SAMPLE = "-0Aa_z~/--?k=v&m=%C4%B1" * 6


class RewritePlan:
    """How every copy of one message is made.

    ``views``: how many leaves show the opt-out. ``removed_signatures``: domains (``d=``) of the DKIM signatures that
    are dropped. ``replaced_list_unsubscribe``: the sender had a List-Unsubscribe of its own, whose values are
    ``replaced_values``. ``warnings``: what the sender should know. ``max_url_bytes``: the longest personal URL (with
    ``&`` as ``&amp;``) that fits into the lines around the placeholders. The rest is what ``check_copy`` needs.
    """

    __slots__ = (
        "_body",
        "_content",
        "_has_dot_lines",
        "_has_present",
        "_slots",
        "body_start",
        "edits",
        "found",
        "head",
        "limits",
        "max_url_bytes",
        "removed_spans",
        "views",
        "warnings",
    )

    def __init__(
        self,
        content: bytes,
        body_start: int,
        edits: list[LeafEdit],
        found: Views,
        limits: Limits,
        head: EditedHead,
    ) -> None:
        self._content = content
        self.head = head
        self.body_start = body_start
        self.edits = edits
        self.found = found
        self.limits = limits
        self.removed_spans = sorted(found.removed)
        self._body, self._slots = _compile(content, body_start, edits, self.removed_spans)
        self._has_present = any(edit.present for edit in edits)
        self._has_dot_lines = _has_dot_line(self._body, self._slots)
        self.views = len(found.leaves)
        self.max_url_bytes = min((edit.room for edit in edits), default=MAX_URL_BYTES)
        self.warnings = _find_warnings(edits)

    def with_head(self, head: EditedHead) -> RewritePlan:
        """The plan of a message with this very body and another header. Offsets stay those of the first message."""
        plan = RewritePlan.__new__(RewritePlan)
        plan._content, plan._body, plan._slots = self._content, self._body, self._slots
        plan.body_start, plan.edits, plan.found = self.body_start, self.edits, self.found
        plan.removed_spans, plan.views, plan.warnings = self.removed_spans, self.views, self.warnings
        plan._has_present, plan._has_dot_lines = self._has_present, self._has_dot_lines
        plan.limits, plan.max_url_bytes = self.limits, self.max_url_bytes
        plan.head = head
        return plan

    @property
    def may_have_dot_lines(self) -> bool:
        """Whether a line of some copy may begin with a dot; False is certain if no line of ``add`` does.

        Known of the body once for all copies, so that none has to be searched before it is sent. A copy from which an
        edit is left out (it shows its link already) is another body, of which nothing is known.
        """
        fields = self.head.fields
        return self._has_dot_lines or self._has_present or fields.startswith(b".") or b"\r\n." in fields

    @property
    def keeps_sender_optout(self) -> bool:
        return self.head.keeps_sender_optout

    @property
    def removed_signatures(self) -> list[bytes]:
        return self.head.removed_signatures

    @property
    def replaced_values(self) -> list[bytes]:
        return self.head.replaced_values

    @property
    def replaced_list_unsubscribe(self) -> bool:
        return bool(self.head.replaced_values)

    def render(self, url: str, mailto: str, add: bytes) -> bytes:
        """The copy for one recipient.

        ``url``: the personal https link; ``mailto``: the personal ``mailto:`` URI, or "" for none; ``add``: further
        complete header lines, which go on top. Raises ``ValueError`` for a URI that could not be put into a header
        and a text unaltered, or is longer than ``max_url_bytes``.
        """
        link = url.encode("ascii", "backslashreplace")
        forms = render_url_forms(link)
        if len(forms[1]) > self.max_url_bytes or not _is_url(link):
            raise ValueError(f"opt-out URL: expected https and at most {self.max_url_bytes} URL characters")
        body, slots = self._body, self._slots
        if self._has_present and any(link in edit.present for edit in self.edits):
            edits = [edit for edit in self.edits if link not in edit.present]
            body, slots = _compile(self._content, self.body_start, edits, self.removed_spans)
        pieces = body.copy()
        for at, piece in slots:
            pieces[at] = forms[piece] if isinstance(piece, int) else piece.render(forms)
        head = self.head
        if head.keeps_sender_optout:
            pieces[0] = b"".join((add, head.list_id, head.fields))
            return b"".join(pieces)
        second = b""
        if mailto:
            address = mailto.encode("ascii", "backslashreplace")
            if len(address) > MAX_URL_BYTES or not _is_mailto(address):
                raise ValueError(f"opt-out mailto: expected a mailto URI of at most {MAX_URL_BYTES} URL characters")
            # One line if it can be: a relay that folded this field anew broke its signature.
            joint = b", <" if len(link) + len(address) < _LONGEST_SINGLE_LINE else b",\r\n <"
            second = joint + address + b">"
        pieces[0] = b"".join(
            (add, b"List-Unsubscribe: <", link, b">", second, b"\r\n", _ONE_CLICK, head.list_id, head.fields)
        )
        return b"".join(pieces)


def _is_url(link: bytes) -> bool:
    # Deleting what may stand there takes a fifth of the time of matching it, and each copy asks twice.
    if link.startswith(b"https://"):
        return len(link) > len(b"https://") and not link.translate(None, _URL_CHARACTERS)
    return _LOCAL_URL.fullmatch(link) is not None


def _is_mailto(address: bytes) -> bool:
    rest = address.removeprefix(b"mailto:")
    return 0 < len(rest) < len(address) and not rest.translate(None, _MAILTO_CHARACTERS)


def _find_warnings(edits: list[LeafEdit]) -> list[RewriteWarning]:
    warnings = []
    for edit in edits:
        if edit.is_long:
            warnings.append(LONG_HTML)
        if 0 < edit.fills < edit.urls:
            warnings.append(UNSEEN_PLACEHOLDER)
    return warnings


def _compile(
    content: bytes, body_start: int, edits: list[LeafEdit], removed: list[tuple[int, int]]
) -> tuple[list[bytes], list[tuple[int, int | Base64Run]]]:
    """The body as pieces, the first of which is kept for the header; and which of them vary, by place."""
    body: list[bytes] = [b""]
    slots: list[tuple[int, int | Base64Run]] = []
    position = body_start
    spans: list[tuple[int, int, list[Piece]]] = [(edit.start, edit.end, edit.pieces) for edit in edits]
    if removed:
        spans += [(start, end, []) for start, end in removed]
        spans.sort(key=lambda span: span[0])
    for start, end, pieces in spans:
        body.append(content[position:start])
        for piece in pieces:
            if isinstance(piece, bytes):
                body.append(piece)
            else:
                slots.append((len(body), piece))
                body.append(b"")
        position = end
    body.append(content[position:])
    return body, slots


def _has_dot_line(body: list[bytes], slots: list[tuple[int, int | Base64Run]]) -> bool:
    """Whether a line of the body begins with a dot. What fills the slots begins and breaks with no dot and ends with no
    line end (``transfer``), so any other character stands for it."""
    pieces = body.copy()
    for at, _ in slots:
        pieces[at] = b"x"
    text = b"".join(pieces)
    return text.startswith(b".") or text.rfind(b"\r\n.") >= 0


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
            head = _edit_head(content, headers, footer, settings, remove, (), is_smtputf8)
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
    head = _edit_head(content, headers, footer, settings, remove, dropped_at, is_smtputf8)
    plan = RewritePlan(content, headers.body_start, edits, views, limits, head)
    check_copy(content, plan, plan.render(footer.link_base.decode("ascii") + _SAMPLE, "mailto:a@b.example", b""))
    # What depends on more than the body stays out: links of ours that it shows already, fields of the root.
    if memory is not None and key is not None and not dropped_at and not any(edit.present for edit in edits):
        memory.keep(key, plan)
    return plan


class EditedHead(NamedTuple):
    """The message's header for every copy.

    ``fields``: what stays of it, the empty line included. ``list_id``: our field, or b"" where the sender has one.
    ``keeps_sender_optout``: the sender's own one-click pair stands in place of ours.
    """

    fields: bytes
    list_id: bytes
    keeps_sender_optout: bool
    removed_signatures: list[bytes]
    replaced_values: list[bytes]


def _edit_head(
    content: bytes,
    headers: HeaderBlock,
    footer: Footer,
    settings: RewriteSettings,
    remove: frozenset[bytes],
    dropped_at: Collection[int],
    is_smtputf8: bool,
) -> EditedHead:
    keeps = settings.keep_sender_optout and _has_one_click(headers)
    dropped = list(dropped_at)
    signatures: list[bytes] = []
    replaced: list[bytes] = []
    has_list_id = False
    for field in headers.fields:
        name = field[0]
        if name == b"dkim-signature":
            found = _SIGNING_DOMAIN.search(headers.value(field))
            domain = found[1].lower() if found else b""
            if domain in settings.signed_domains or not settings.keeps_foreign_signatures:
                dropped.append(field[1])
                signatures.append(domain)
        elif name == b"list-id":
            has_list_id = True
        elif name == b"list-unsubscribe" and not keeps:
            replaced.append(headers.value(field))
    fields = render_without(headers, remove if keeps else remove | _OPT_OUT_FIELDS, dropped)
    # A message without the empty line gets one: it now has a body.
    fields += content[headers.end : headers.body_start] or b"\r\n"
    list_id = b""
    if not has_list_id or b"list-id" in remove:
        list_id = footer.list_id_utf8 if is_smtputf8 else footer.list_id
    return EditedHead(fields, list_id, keeps, signatures, replaced)


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


def _has_one_click(headers: HeaderBlock) -> bool:
    """Whether the sender's own pair is complete: one field each, an https URI, the one value (RFC 8058 3.1)."""
    found = headers.find_all(_OPT_OUT_FIELDS)
    uris = found.get(b"list-unsubscribe", [])
    posts = found.get(b"list-unsubscribe-post", [])
    return (
        len(uris) == len(posts) == 1
        and b"<https://" in uris[0].lower()
        and posts[0].lower() == b"list-unsubscribe=one-click"
    )

"""How every copy of one message is made: pieces that are the same in all of them, and slots for the personal URL.

**Why a copy need not be parsed again.** What varies between copies is the URL, checked in ``render`` against an
alphabet without line ends, quotes and brackets. No line that we add begins with a hyphen, whatever the URL (see
``footer.FooterForm`` and ``transfer``), so no copy can hold a boundary line that another does not. ``check_copy`` on
one copy, made by ``plan_rewrite`` itself, therefore speaks for all.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from filters.mime.footer import MAX_URL_BYTES
from filters.mime.head import EditedHead
from filters.mime.leaf import LeafEdit
from filters.mime.limits import Limits
from filters.mime.transfer import Base64Run, Piece, render_url_forms
from filters.mime.views import Views

_LOCAL_URL = re.compile(rb"http://(?:127\.0\.0\.1|localhost|\[::1\])[:/][A-Za-z0-9._~:/?@&=%+-]+")
_MAILTO_CHARACTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~/?@&=%+-"
_URL_CHARACTERS = _MAILTO_CHARACTERS + b":"
_ONE_CLICK = b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
_LONGEST_SINGLE_LINE = 900


class RewriteWarning(NamedTuple):
    """Something the sender should know though the message goes out."""

    code: str
    english: str


LONG_HTML = RewriteWarning("long_html", "HTML above 90 kB: some readers show the opt-out only after a further click.")
UNSEEN_PLACEHOLDER = RewriteWarning(
    "unseen_placeholder", "A placeholder was filled where no reader sees it; the footer was added as well."
)


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

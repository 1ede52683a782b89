"""Which leaves a reader can get to see, by structure (content-rules B5, "Which part gets it")."""

from __future__ import annotations

from typing import NamedTuple

from filters.mime.limits import Limits
from filters.mime.refusal import MalformedContent, RewriteDetail
from filters.mime.structure import Part, split_multipart

PLAIN = "text/plain"
# The watch shows its own alternative, Gmail prefers AMP: both are views, and both are HTML to the splicer.
AMP = "text/x-amp-html"
HTML_TYPES = frozenset({"text/html", "text/watch-html", AMP})
_TEXT_TYPES = HTML_TYPES | {PLAIN}

_ENCRYPTED_TYPES = frozenset(
    {"application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted", "multipart/encrypted"}
)
_REPORT_TYPES = frozenset({"multipart/report", "message/delivery-status", "message/disposition-notification"})
_FRAGMENT_TYPES = frozenset({"multipart/form-data", "message/external-body", "message/partial"})


class Views(NamedTuple):
    """``leaves``: text leaves that get a footer each, in order of the content. ``removed``: AMP alternatives to drop,
    each as the span from one boundary line to the next. ``others``: later inline texts of a mixed message; they
    belong to a view that has its footer already, only a placeholder in them is filled.
    ``visited``: every entity that was looked at, for the check before release.
    """

    leaves: list[Part]
    removed: list[tuple[int, int]]
    others: list[Part]
    visited: list[Part]


def find_views(root: Part, limits: Limits, *, removes_amp: bool = False) -> Views:
    """The views of a message. Raises ``MalformedContent`` if it has none, or none that can be determined."""
    views = Views([], [], [], [])
    if root.disposition.is_attachment and root.type.media_type.startswith("text/"):
        # A message that is one attached file is not shown as text; changing the file would be damage.
        raise MalformedContent(RewriteDetail.NO_TEXT)
    _Search(views, limits, removes_amp).visit(root, (), is_alternative=False)
    if not views.leaves:
        raise MalformedContent(
            RewriteDetail.TNEF if root.type.media_type == "application/ms-tnef" else RewriteDetail.NO_TEXT
        )
    if len(views.leaves) > limits.views:
        raise MalformedContent(RewriteDetail.TOO_MANY_VIEWS)
    return views


class _Search:
    __slots__ = ("limits", "removes_amp", "views")

    def __init__(self, views: Views, limits: Limits, removes_amp: bool) -> None:
        self.views = views
        self.limits = limits
        self.removes_amp = removes_amp

    def visit(self, part: Part, ancestors: tuple[bytes, ...], *, is_alternative: bool) -> bool:
        """Take the views within ``part``; say whether it has any."""
        views = self.views
        views.visited.append(part)
        if part.is_doubtful:
            raise MalformedContent(RewriteDetail.MALFORMED_HEADER if part.has_defect else RewriteDetail.MALFORMED_TYPE)
        kind = part.type.media_type
        if kind == PLAIN or kind == "text/html" or (is_alternative and kind in HTML_TYPES):
            views.leaves.append(part)
            return True
        if kind == "multipart/signed":
            raise MalformedContent(RewriteDetail.SIGNED)
        if kind in _ENCRYPTED_TYPES:
            raise MalformedContent(RewriteDetail.ENCRYPTED)
        if kind in _REPORT_TYPES:
            raise MalformedContent(RewriteDetail.REPORT)
        if kind in _FRAGMENT_TYPES:
            raise MalformedContent(RewriteDetail.FRAGMENT)
        if not part.is_multipart or kind == "multipart/digest":
            # Enclosed messages are never entered, and what is no text shows no text.
            return False
        children = split_multipart(part, ancestors, self.limits)
        inner = (*ancestors, part.type.boundary)
        if kind == "multipart/alternative":
            return self._visit_alternatives(children, inner)
        if kind == "multipart/related":
            has_view = self.visit(_root_of(part, children), inner, is_alternative=is_alternative)
            if not has_view and any(child.is_multipart or child.type.media_type in _TEXT_TYPES for child in children):
                # What is no root is not shown by the standard, but some readers show a text wherever it stands.
                raise MalformedContent(RewriteDetail.NO_TEXT)
            return has_view
        # An unknown subtype is treated as mixed (RFC 2046 5.1.3).
        return self._visit_mixed(children, inner)

    def _visit_alternatives(self, children: list[Part], ancestors: tuple[bytes, ...]) -> bool:
        has_view = False
        removable = self.removes_amp and [child.type.media_type for child in children].count(AMP) == 1 < len(children)
        for place, child in enumerate(children):
            if removable and child.type.media_type == AMP:
                self._remove(children, place)
                continue
            # Every alternative, whatever its disposition: which one is shown is the reader's choice.
            has_view |= self.visit(child, ancestors, is_alternative=True)
        return has_view

    def _remove(self, children: list[Part], place: int) -> None:
        # From the start of this part to that of the next: one boundary line goes with it. The last alternative goes
        # with the line before it instead.
        if place + 1 < len(children):
            self.views.removed.append((children[place].start, children[place + 1].start))
        else:
            self.views.removed.append((children[place - 1].end, children[place].end))

    def _visit_mixed(self, children: list[Part], ancestors: tuple[bytes, ...]) -> bool:
        """The first displayable child, and only that.

        Readers join all inline texts into one view. The first gets the footer, not the last, because it is the only
        one that every reader shows: some list later texts as attachments.
        """
        remaining = iter(children)
        for child in remaining:
            if child.disposition.is_attachment or child.disposition.has_name or child.type.has_name:
                self.views.visited.append(child)
                if child.is_doubtful:
                    raise MalformedContent(RewriteDetail.MALFORMED_TYPE)
                continue
            known = len(self.views.leaves)
            if self.visit(child, ancestors, is_alternative=False) and not all(
                leaf.disposition.is_attachment for leaf in self.views.leaves[known:]
            ):
                # Where all that is in it says it is an attachment, readers show what comes next.
                break
        else:
            return False
        self.views.others.extend(
            child
            for child in remaining
            if child.type.media_type in (PLAIN, "text/html")
            and not (child.is_doubtful or child.disposition.is_attachment or child.disposition.has_name)
            and not child.type.has_name
        )
        return True


def _root_of(part: Part, children: list[Part]) -> Part:
    """The root of a multipart/related: the part that ``start`` names, else the first (RFC 2387 3.2)."""
    start = part.type.start.strip()
    if start:
        for child in children:
            if child.content_id == start:
                return child
    return children[0]

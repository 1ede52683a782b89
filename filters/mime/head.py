"""The message's header, edited once for all copies: what stays of it, and which fields of the sender ours replace."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from filters.mime.footer import Footer
from filters.mime.headers import HeaderBlock, render_without
from filters.mime.settings import RewriteSettings

_OPT_OUT_FIELDS = frozenset({b"list-unsubscribe", b"list-unsubscribe-post"})
_SIGNING_DOMAIN = re.compile(rb"(?:^|;)\s*d\s*=\s*([^\s;]+)")


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


def edit_head(
    content: bytes,
    headers: HeaderBlock,
    footer: Footer,
    settings: RewriteSettings,
    remove: frozenset[bytes],
    dropped_at: Collection[int],
    is_smtputf8: bool,
) -> EditedHead:
    """The header of ``content`` without the fields named in ``remove``, those that begin at ``dropped_at``, and the
    sender's own opt-out. ``is_smtputf8``: our fields may be UTF-8, else they are ASCII or RFC 2047."""
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

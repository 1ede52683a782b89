"""A second opinion on rewritten mail, by the standard library's parser, which the gateway itself does not use.

It knows nothing of how the rewriter works: it compares what two trees hold.
"""

from __future__ import annotations

import binascii
import email
import re
from collections.abc import Iterator
from email.message import Message
from typing import NamedTuple

SENDERS_FIELDS = re.compile(rb"^(?:list-unsubscribe|list-unsubscribe-post)[ \t]*:", re.IGNORECASE)


class Verdict(NamedTuple):
    """``changed``: decoded (old, new) text of each leaf that is not the same; ``problems``: what should not be."""

    changed: list[tuple[bytes, bytes]]
    problems: list[str]


def judge(
    original: bytes, copy: bytes, url: str, *, added: bytes = b"", removed: frozenset[str] = frozenset()
) -> Verdict:
    """Hold ``copy`` against ``original``. ``added``: lines that were to go on top; ``removed``: lower-case names."""
    old, new = email.message_from_bytes(original), email.message_from_bytes(copy)
    problems = [
        f"{name} {len(new.get_all(name, []))} times"
        for name in ("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id")
        if len(new.get_all(name, [])) != 1
    ]
    if not str(new["List-Unsubscribe"]).startswith(f"<{url}>"):
        problems.append("List-Unsubscribe does not begin with the personal URL")
    if not copy.startswith(added):
        problems.append("the added lines are not on top")
    problems += _judge_header(original, copy, removed)
    changed: list[tuple[bytes, bytes]] = []
    parts = list(zip(_walk(old), _walk(new), strict=False))
    if sum(1 for _ in _walk(old)) != sum(1 for _ in _walk(new)):
        problems.append("the number of parts differs")
    for depth, (before, after) in enumerate(parts):
        if before.get_content_type() != after.get_content_type():
            problems.append("a content type differs")
        if depth and _fields(before) != _fields(after):
            problems.append("a part's header differs")
        if before.is_multipart():
            if (before.preamble, before.epilogue) != (after.preamble, after.epilogue):
                problems.append("a preamble or epilogue differs")
        elif _raw(before) != _raw(after):
            changed.append((_decode(before), _decode(after)))
    longest = max((len(line) for line in original.split(b"\r\n")), default=0)
    if any(len(line) > max(998, longest) for line in copy.split(b"\r\n")):
        problems.append("a line is over 998 octets")
    if b"\n" in copy.replace(b"\r\n", b"") and b"\n" not in original.replace(b"\r\n", b""):
        problems.append("a bare line feed")
    for before_text, after_text in changed:
        problems += judge_text(before_text, after_text, url)
    return Verdict(changed, problems)


def judge_text(before: bytes, after: bytes, url: str) -> list[str]:
    """Problems of one changed leaf: the old text with one insertion that holds the URL once."""
    if after[:2] in (b"\xff\xfe", b"\xfe\xff"):
        codec = "utf-16-le" if after[:2] == b"\xff\xfe" else "utf-16-be"
        before, after = before.decode(codec).encode(), after.decode(codec).encode()
    start = next((at for at, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), len(before))
    rest = before[start:]
    # The inserted text may begin as the rest does: then the rest starts a little earlier.
    while rest and not after.endswith(rest) and start:
        start -= 1
        rest = before[start:]
    inserted = after[start : len(after) - len(rest)]
    problems = []
    if before[:start] + inserted + rest != after:
        problems.append("a changed leaf is not the old text with one insertion")
    forms = {url.encode(), url.replace("&", "&amp;").encode()}
    if not any(inserted.count(form) == 1 for form in forms):
        problems.append("the inserted text does not hold the URL once")
    return problems


def _judge_header(original: bytes, copy: bytes, removed: frozenset[str]) -> list[str]:
    """Every field of the original is still there, octet for octet and in its order, but those to be replaced."""
    gone = removed | {"list-unsubscribe", "list-unsubscribe-post", "content-md5", "content-length"}
    wanted = [field for field in _raw_fields(original) if field[0] not in gone]
    left = [field for field in _raw_fields(copy) if field[0] not in gone]
    added = len(left) - len(wanted)
    return [] if added >= 0 and left[added:] == wanted else ["a header field of the sender's differs"]


def _raw_fields(content: bytes) -> list[tuple[str, bytes]]:
    head = content.partition(b"\r\n\r\n")[0] if not content.startswith(b"\r\n") else b""
    head = re.sub(rb"\A>?From (?!\s*:)[^\r]*\r\n", b"", head)
    fields: list[tuple[str, bytes]] = []
    for line in head.split(b"\r\n"):
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] = (fields[-1][0], fields[-1][1] + b"\r\n" + line)
        elif line:
            fields.append((line.partition(b":")[0].strip().lower().decode("latin-1"), line))
    return fields


def _walk(message: Message) -> Iterator[Message]:
    return message.walk()


def _fields(part: Message) -> list[tuple[str, str]]:
    return [
        (name, str(value)) for name, value in part.raw_items() if name.lower() not in ("content-md5", "content-length")
    ]


def _raw(part: Message) -> bytes:
    # The public way would decode 8-bit text by its label, and labels are wrong in real mail.
    payload = part._payload
    return payload.encode("ascii", "surrogateescape") if isinstance(payload, str) else b""


def _decode(part: Message) -> bytes:
    raw = _raw(part)
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    if encoding == "base64":
        return binascii.a2b_base64(raw)
    return binascii.a2b_qp(raw) if encoding == "quoted-printable" else raw

"""What the law asks of a commercial mail at the next hop, judged by Python's own mail parser."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from urllib.parse import urlsplit

from tests.support.gateway_process import Delivered
from tests.support.mail_judge import judge

TAG_FIELDS = frozenset({"x-izin-class", "x-izin-brand", "x-izin-recipient-type", "x-izin-campaign"})
IDENTITY = ("Örnek Mağaza A.Ş.", "Ornek Magaza A.S.")


def breaches(delivered: Delivered, sent: bytes | None = None) -> list[str]:
    """Everything wrong with a delivered commercial mail; empty for a lawful one.

    ``sent``: what the client sent, where the test knows every byte of it; then what need not change must not have.
    """
    mail = delivered.mail
    found = []
    if len(delivered.recipients) != 1:
        found.append("a personal copy goes to one recipient")
    counts = {name: len(mail.get_all(name, [])) for name in ("List-Unsubscribe", "List-Unsubscribe-Post")}
    found += [f"{name} stands {count} times" for name, count in counts.items() if count != 1]
    if found:
        return found
    if str(mail["List-Unsubscribe-Post"]) != "List-Unsubscribe=One-Click":
        found.append("List-Unsubscribe-Post is not the pair of RFC 8058")
    if urlsplit(delivered.link).scheme != "https":
        found.append("the one-click link is not https")
    if left := TAG_FIELDS & {name.lower() for name in mail}:
        found.append(f"tags are left: {sorted(left)}")
    found += [
        f"{part.get_content_type()}: {problem}"
        for part in text_views(mail)
        for problem in _breaches_of_view(part, delivered.link)
    ]
    if sent is not None:
        found += judge(sent, delivered.content, delivered.link, removed=TAG_FIELDS).problems
    return found


def text_views(mail: EmailMessage) -> list[EmailMessage]:
    """The texts that a reader may be shown."""
    return [
        part
        for part in mail.walk()
        if isinstance(part, EmailMessage) and part.get_content_maintype() == "text" and not part.is_attachment()
    ]


def _breaches_of_view(part: EmailMessage, link: str) -> list[str]:
    text = part.get_content()
    problems = []
    if text.count(link) != 1:
        problems.append(f"the link stands {text.count(link)} times")
    if part.get_content_subtype() == "html":
        text = _without_references(text)
    if sum(text.count(name) for name in IDENTITY) != 1:
        problems.append("the sender's title does not stand in it once")
    return problems


def _without_references(text: str) -> str:
    from html import unescape

    return unescape(text)


def attachments(mail: EmailMessage) -> dict[str, bytes]:
    """Decoded content by file name."""
    return {str(part.get_filename()): part.get_payload(decode=True) for part in mail.iter_attachments()}


def is_untouched(delivered: Delivered, sent: bytes) -> bool:
    """Whether a mail came through as it was, but for our trace field on top and the tag fields."""
    kept, is_tag = [], False
    head, end, body = sent.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line[:1] not in b" \t":
            is_tag = line.partition(b":")[0].decode("latin-1").strip().lower() in TAG_FIELDS
        if not is_tag:
            kept.append(line)
    wanted = b"\r\n".join(kept) + end + body
    trace = delivered.content.removesuffix(wanted)
    mail = message_from_bytes(trace + b"\r\n", policy=policy.SMTP)
    return trace + wanted == delivered.content and mail.keys() == ["Received"]

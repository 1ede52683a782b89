"""Mail made to stop whoever reads it: huge, deep, or of very many of something; all commercial, so to be rewritten."""

from __future__ import annotations

import base64
from collections.abc import Callable

_HEAD = b"From: <haber@magaza.example>\r\nTo: <r0000001@musteri.example>\r\nSubject: x\r\nX-Izin-Class: commercial\r\n"
_MIME = b"MIME-Version: 1.0\r\n"
_TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nkampanya\r\n"


def _mail(*pieces: bytes) -> bytes:
    return b"".join([_HEAD, _MIME, *pieces])


def _multipart(*parts: bytes) -> bytes:
    return b"".join(
        [b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", *(b"--b\r\n" + p for p in parts), b"--b--\r\n"]
    )


def thirty_megabytes() -> bytes:
    """A text, and an attachment of 30 MB as mail programs write it."""
    attachment = base64.encodebytes(bytes(22_000_000)).replace(b"\n", b"\r\n")
    return _mail(
        _multipart(_TEXT, b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + attachment)
    )


def thirty_megabytes_of_text() -> bytes:
    """One text of 30 MB, all of it to be decoded and encoded again."""
    return _mail(
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
        b"<p>=C3=B6zel f=C4=B1rsat</p>\r\n" * 1_000_000,
    )


def hundred_thousand_parts() -> bytes:
    return _mail(_multipart(*([_TEXT] * 100_000)))


def many_parameters() -> bytes:
    """20,000 parameters of one Content-Type field."""
    parameters = b"".join(b";\r\n p%d=v" % number for number in range(20_000))
    return _mail(b"Content-Type: text/plain" + parameters + b"\r\n\r\nkampanya\r\n")


def numbered_parameters() -> bytes:
    """20,000 pieces of one parameter (RFC 2231)."""
    parameters = b"".join(b";\r\n name*%d=v" % number for number in range(20_000))
    return _mail(b"Content-Type: text/plain" + parameters + b"\r\n\r\nkampanya\r\n")


def deep_nesting() -> bytes:
    """990 multiparts, each within the other."""
    opening = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth) for depth in range(990)
    )
    closing = b"".join(b"--b%d--\r\n" % depth for depth in reversed(range(990)))
    return _mail(opening, _TEXT, closing)


def deep_nesting_with_prefixes() -> bytes:
    """The same where each boundary begins like the one around it, so that each line might be any of them."""
    opening = b"".join(
        b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s\r\n" % (b"b" * depth, b"b" * depth)
        for depth in range(1, 69)
    )
    return _mail(opening, _TEXT, (b"--" + b"b" * 70 + b"\r\n") * 50_000)


def long_header() -> bytes:
    """One field of 1 MB."""
    return _mail(b"X-Long: " + b"x" * 1_000_000 + b"\r\n", _TEXT)


def long_folded_header() -> bytes:
    """One field of 240 kB in very many lines: just within the limit."""
    return _mail(b"X-Long: x" + b"\r\n x" * 60_000 + b"\r\n", _TEXT)


def many_header_fields() -> bytes:
    return _mail(b"X: y\r\n" * 100_000, _TEXT)


def many_addresses() -> bytes:
    """A To field with comments, quotes and groups in each other, 200 kB of it."""
    return _mail(b"Cc: " + b"(" * 100_000 + b'\r\n "' + b"\\" * 90_000 + b"\r\n", _TEXT)


def unclosed_tags() -> bytes:
    """5 MB of HTML in one line, no tag of which is ever closed."""
    return _mail(b"Content-Type: text/html; charset=utf-8\r\n\r\n" + b"<div " * 1_000_000 + b"\r\n")


def unclosed_comments() -> bytes:
    """5 MB of beginnings of comments, scripts and closing tags."""
    return _mail(b"Content-Type: text/html; charset=utf-8\r\n\r\n" + b"<!--<script></body></html>" * 200_000 + b"\r\n")


def soft_breaks() -> bytes:
    """5 MB of quoted-printable lines with nothing in them but their end."""
    return _mail(
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
        b"=\r\n" * 1_700_000,
        b"x\r\n",
    )


def base64_by_the_byte() -> bytes:
    """3 MB of base64 with one character in a line."""
    encoded = base64.b64encode(b"<p>kampanya</p>\r\n" * 45_000)
    return _mail(
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        b"".join(b"%c\r\n" % byte for byte in encoded),
    )


def many_dots() -> bytes:
    """5 MB of lines that begin with a dot."""
    return _mail(b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + b".x\r\n" * 1_200_000)


def many_empty_lines() -> bytes:
    return _mail(b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + b"\r\n" * 2_500_000 + b"x\r\n")


def many_placeholders() -> bytes:
    """The place of the link, 200,000 times."""
    return _mail(b"Content-Type: text/html; charset=utf-8\r\n\r\n" + b"{{opt_out_url}}\r\n" * 200_000)


def boundary_lines() -> bytes:
    """A boundary that stands at the head of a million lines and is never quite it."""
    return _mail(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", _TEXT, b"--bx\r\n" * 800_000, b"--b--\r\n"
    )


def encoded_words() -> bytes:
    """A subject of 200 kB of encoded words."""
    return _mail(b"Subject: " + b"=?utf-8?q?=C3=B6?=\r\n " * 9_000 + b"x\r\n", _TEXT)


MAILS: dict[str, Callable[[], bytes]] = {
    made.__name__: made
    for made in (
        thirty_megabytes,
        thirty_megabytes_of_text,
        hundred_thousand_parts,
        many_parameters,
        numbered_parameters,
        deep_nesting,
        deep_nesting_with_prefixes,
        long_header,
        long_folded_header,
        many_header_fields,
        many_addresses,
        unclosed_tags,
        unclosed_comments,
        soft_breaks,
        base64_by_the_byte,
        many_dots,
        many_empty_lines,
        many_placeholders,
        boundary_lines,
        encoded_words,
    )
}

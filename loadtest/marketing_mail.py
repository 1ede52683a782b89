"""Commercial mail as shops send it, prebuilt so that a message costs a join and no encoding.

multipart/alternative, quoted-printable, UTF-8, Turkish, text and HTML, optionally with an attachment. Every message
carries its id in a header (``X-Load-Id``), in the Message-ID, and in both texts (``kayit-no-ID``), so that an audit
can tell whether envelope, header and text that arrived belong together.
"""

from __future__ import annotations

import base64
import binascii
import random
from collections.abc import Sequence

SENTENCES = (
    "Bu hafta sonuna özel, seçili ürünlerde yüzde kırka varan indirimler sizi bekliyor.",
    "Yeni sezonun en sevilen parçaları şimdi mağazalarımızda ve internet sitemizde.",
    "Sepetinizde unuttuğunuz ürünler tükenmeden alışverişinizi tamamlayın.",
    "Üç yüz lira ve üzeri alışverişlerinizde kargo bizden, iade ise ücretsiz.",
    "Doğum gününüze özel hediye çekinizi kullanmak için son üç gün.",
    "Çocuk odası mobilyalarında ikinci ürün yarı fiyatına.",
    "Ağustos ayına özel taksit seçeneklerini incelediniz mi?",
    "Gönül rahatlığıyla alışveriş yapın, beğenmezseniz değiştirelim.",
)

_ID = b"@@LOAD-ID@@"
_TO = b"@@RECIPIENT@@"


class MailTemplate:
    """A message of about ``size_bytes``, attachment included; ``headers`` are added as written, without CRLF."""

    def __init__(
        self, size_bytes: int, *, sender: str, attachment_bytes: int = 0, headers: Sequence[str] = (), seed: int = 1
    ) -> None:
        source = random.Random(seed)
        boundary = b"=_kampanya_1"
        text_lines = [b"Say=C4=B1n m=C3=BC=C5=9Fterimiz,", b"", b"kayit-no-" + _ID, b""]
        html_lines = [
            b'<!DOCTYPE html><html lang=3D"tr"><head><meta charset=3D"utf-8">=',
            b"<title>Kampanya</title></head><body>",
            b"<p>kayit-no-" + _ID + b"</p>",
        ]
        budget = size_bytes - attachment_bytes * 4 // 3 - 1100
        while sum(map(len, text_lines)) + sum(map(len, html_lines)) < budget:
            paragraph = " ".join(source.choices(SENTENCES, k=3)) + f" ({source.randrange(10**6)})"
            text_lines += [_quote(paragraph), b""]
            html_lines.append(_quote(f'<p style="margin:0 0 12px;color:#333">{paragraph}</p>'))
        html_lines.append(_quote('<p><a href="https://magaza.example/kampanya">Alışverişe başla</a></p>'))
        html_lines.append(b"</body></html>")
        head = [
            b"From: =?utf-8?q?=C3=96rnek_Ma=C4=9Faza?= <" + sender.encode() + b">",
            b"To: <" + _TO + b">",
            b"Subject: =?utf-8?q?Size_=C3=B6zel_kampanya?= " + _ID,
            b"Date: Mon, 05 May 2025 10:00:00 +0300",
            b"Message-ID: <" + _ID + b"@magaza.example>",
            b"X-Load-Id: " + _ID,
            *[header.encode() for header in headers],
            b"MIME-Version: 1.0",
        ]
        alternative = [
            b'Content-Type: multipart/alternative; boundary="' + boundary + b'"',
            b"",
            b"--" + boundary,
            b"Content-Type: text/plain; charset=utf-8",
            b"Content-Transfer-Encoding: quoted-printable",
            b"",
            *text_lines,
            b"--" + boundary,
            b"Content-Type: text/html; charset=utf-8",
            b"Content-Transfer-Encoding: quoted-printable",
            b"",
            *html_lines,
            b"--" + boundary + b"--",
            b"",
        ]
        if attachment_bytes:
            alternative = _attach(alternative, source.randbytes(attachment_bytes))
        whole = b"\r\n".join(head + alternative)
        assert b"\r\n." not in whole, "the template is sent without dot-stuffing"
        self._pieces: list[bytes] = []
        self._slots: list[bool] = []  # True: the id goes behind this piece, False: the recipient
        while whole:
            id_at, to_at = whole.find(_ID), whole.find(_TO)
            if id_at < 0 and to_at < 0:
                break
            is_id = to_at < 0 or 0 <= id_at < to_at
            mark = _ID if is_id else _TO
            piece, _, whole = whole.partition(mark)
            self._pieces.append(piece)
            self._slots.append(is_id)
        self._tail = whole

    def render(self, load_id: bytes, recipient: bytes) -> list[bytes]:
        """The pieces of one message, CRLF line ends, nothing to be dot-stuffed, last CRLF included."""
        pieces: list[bytes] = []
        for piece, is_id in zip(self._pieces, self._slots, strict=True):
            pieces.append(piece)
            pieces.append(load_id if is_id else recipient)
        pieces.append(self._tail)
        return pieces


def _quote(text: str) -> bytes:
    """Quoted-printable with soft line breaks, CRLF, no line beginning with a dot."""
    encoded = binascii.b2a_qp(text.encode(), istext=True).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return encoded.replace(b"\r\n.", b"\r\n=2E")


def _attach(alternative: list[bytes], attachment: bytes) -> list[bytes]:
    boundary = b"=_ek_1"
    encoded = base64.b64encode(attachment)
    lines = [encoded[start : start + 76] for start in range(0, len(encoded), 76)]
    return [
        b'Content-Type: multipart/mixed; boundary="' + boundary + b'"',
        b"",
        b"--" + boundary,
        *alternative,
        b"--" + boundary,
        b"Content-Type: application/pdf; name=katalog.pdf",
        b"Content-Disposition: attachment; filename=katalog.pdf",
        b"Content-Transfer-Encoding: base64",
        b"",
        *lines,
        b"--" + boundary + b"--",
        b"",
    ]

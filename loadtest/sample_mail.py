"""Sample mail for the demonstration: a handful of situations, each with who may get it and why.

All people and firms are made up; addresses are under the reserved example domains.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

BRAND = 600123

CONSENTS_CSV = """recipient,type,recipientType,status,source,consentDate
ayse@musteri.example,EPOSTA,BIREYSEL,ONAY,HS_WEB,2025-03-04 10:15:00
deniz@musteri.example,EPOSTA,BIREYSEL,ONAY,HS_FIZIKSEL_ORTAM,2024-11-20 16:40:12
can@musteri.example,EPOSTA,BIREYSEL,RET,HS_EPOSTA,2025-06-01 09:00:00
satinalma@firma.example,EPOSTA,TACIR,ONAY,HS_WEB,2025-01-15 08:30:00
"""
"""What the registry knows in the demonstration."""


class Sample(NamedTuple):
    """One message to send. ``presses_link``: afterwards the first recipient presses the opt-out link."""

    title: str
    recipients: tuple[str, ...]
    content: bytes
    presses_link: bool = False


def _mail(to: str, subject: str, body: bytes, *fields: str) -> bytes:
    head = "\r\n".join(
        (
            "From: =?utf-8?q?=C3=96rnek_Ma=C4=9Faza?= <kampanya@shop.example>",
            f"To: {to}",
            f"Subject: {subject}",
            "Date: Sat, 21 Nov 2026 10:00:00 +0300",
            f"Message-ID: <{blake2b(body + to.encode(), digest_size=8).hexdigest()}@shop.example>",
            "MIME-Version: 1.0",
            *fields,
        )
    )
    return head.encode("ascii") + b"\r\n\r\n" + body


_NEWS_SUBJECT = "=?utf-8?q?KAMPANYA=3A_sonbahar_indirimi?="
_ALTERNATIVE = (
    b"--sonbahar\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Merhaba,\r\n\r\nsonbahar =C3=BCr=C3=BCnlerinde y=C3=BCzde yirmi indirim ba=C5=9Flad=C4=B1.\r\n\r\n"
    b"--sonbahar\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"<html><body><h1>Sonbahar indirimi</h1>\r\n"
    b"<p>=C3=9Cr=C3=BCnlerde y=C3=BCzde yirmi indirim ba=C5=9Flad=C4=B1.</p>\r\n</body></html>\r\n"
    b"--sonbahar--\r\n"
)
_AS_ALTERNATIVE = 'Content-Type: multipart/alternative; boundary="sonbahar"'
_AS_TEXT = "Content-Type: text/plain; charset=us-ascii"
_COMMERCIAL = "X-Izin-Class: commercial"


def samples() -> list[Sample]:
    """In the order in which they are sent."""
    ayse, can, deniz = (f"{name}@musteri.example" for name in ("ayse", "can", "deniz"))
    firm = "satinalma@firma.example"

    def news(to: str, *fields: str) -> bytes:
        return _mail(to, _NEWS_SUBJECT, _ALTERNATIVE, _AS_ALTERNATIVE, _COMMERCIAL, *fields)

    signed = (
        b"--imza\r\nContent-Type: text/plain\r\n\r\nIndirim basladi.\r\n"
        b"--imza\r\nContent-Type: application/pgp-signature\r\n\r\n(signature)\r\n--imza--\r\n"
    )
    return [
        Sample("newsletter to someone who consented", (ayse,), news(ayse)),
        Sample("newsletter to someone who refused", (can,), news(can)),
        Sample("newsletter to someone unknown to the registry", ("kemal@musteri.example",), news("kemal")),
        Sample("one newsletter, three recipients", (ayse, can, deniz), news("liste@shop.example")),
        Sample("to a firm, not declared as one", (firm,), news(firm)),
        Sample("to a firm, declared as one", (firm,), news(firm, "X-Izin-Recipient-Type: business")),
        Sample(
            "order confirmation to someone who refused advertising",
            (can,),
            _mail(can, "Siparisiniz yola cikti", b"Kargo no 12345.\r\n", _AS_TEXT, "X-Izin-Class: informational"),
        ),
        Sample("no tag at all", (can,), _mail(can, "Merhaba", b"Yeni urunler geldi.\r\n", _AS_TEXT)),
        Sample(
            "newsletter signed with PGP, no room for the opt-out",
            (ayse,),
            _mail(
                ayse,
                _NEWS_SUBJECT,
                signed,
                'Content-Type: multipart/signed; boundary="imza"; protocol="application/pgp-signature"',
                _COMMERCIAL,
            ),
        ),
        Sample("newsletter, and the recipient presses the opt-out link", (deniz,), news(deniz), presses_link=True),
        Sample("the next newsletter to the same person", (deniz,), news(deniz, "X-Izin-Campaign: sonbahar-2")),
    ]

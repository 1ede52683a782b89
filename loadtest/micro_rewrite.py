"""Microseconds for planning and rendering, by size and encoding: ``python -m loadtest.micro_rewrite``.

Best of several rounds, one process: the figure to compare between two states of the code, not between machines.
"""

from __future__ import annotations

import base64
import quopri
import timeit

from filters.brand import Brand
from filters.mime.footer import Footer, make_footer
from filters.mime.headers import scan_headers
from filters.mime.plan import plan_rewrite
from filters.mime.refusal import RewriteRefusal
from filters.mime.rewrite_plan import RewritePlan
from filters.mime.settings import RewriteSettings

ROUNDS = 500
CALLS = 4
BRAND = Brand(
    code=600123,
    iys_code=600123,
    name="Örnek Mağaza",
    title="Örnek Mağaza A.Ş.",
    mersis="0123456789012345",
    contact="iletisim@magaza.example",
    opt_out_url="https://izin.example",
)
URL = "https://izin.example/o/" + "kT3_x-9Q" * 6
MAILTO = "mailto:o+" + "kT3_x-9Q" * 6 + "@izin.example"
TRACE = b"Received: from shop.example by gate.example with ESMTP; Mon, 1 Jan 2024 10:00:00 +0300\r\n"
REMOVED = frozenset({b"x-izin-class", b"x-izin-brand", b"x-izin-recipient-type", b"x-izin-campaign"})
SETTINGS = RewriteSettings()

_HEADER = (
    "From: Ornek <bulten@magaza.example>\r\nTo: alici@example.com\r\nSubject: =?utf-8?q?=C4=B0ndirim?=\r\n"
    "Date: Mon, 01 Jan 2024 10:00:00 +0300\r\nMessage-ID: <1@magaza.example>\r\nReply-To: destek@magaza.example\r\n"
    "X-Mailer: bulten 1.0\r\nX-Campaign: 42\r\nX-Izin-Class: commercial\r\nX-Izin-Brand: 600123\r\n"
    "Feedback-ID: 42:600123:magaza\r\nPrecedence: bulk\r\nX-A: 1\r\nMIME-Version: 1.0\r\n"
)
_ROW = (
    '<tr><td align="center" style="font-family:Arial,sans-serif;font-size:14px;padding:10px">'
    '<a href="https://magaza.example/u?id=123&amp;k=y">Büyük indirim şimdi başladı, kaçırmayın</a></td></tr>\r\n'
)


def make_message(size_bytes: int, encoding: str) -> bytes:
    """A multipart/alternative with Turkish text of about ``size_bytes``; ``encoding`` as in the header field."""
    html = "<html><head><title>Ilan</title><style>td{color:#333}</style></head><body><table>\r\n"
    budget = size_bytes * (0.72 if encoding == "base64" else 0.76 if encoding == "quoted-printable" else 0.95)
    budget -= len(_HEADER) + 700
    while len(html) < budget:
        html += _ROW
    html += "</table></body></html>\r\n"
    plain = "Büyük indirim şimdi başladı, kaçırmayın.\r\n" * 10
    parts = "".join(
        f"--=_sinir_42\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
        f"{_encode(text, encoding)}\r\n"
        for kind, text in (("plain", plain), ("html", html))
    )
    head = f'{_HEADER}Content-Type: multipart/alternative;\r\n boundary="=_sinir_42"\r\n\r\n'
    return f"{head}{parts}--=_sinir_42--\r\n".encode()


def _encode(text: str, encoding: str) -> str:
    octets = text.encode()
    if encoding == "quoted-printable":
        return quopri.encodestring(octets.replace(b"\r\n", b"\n")).decode().replace("\n", "\r\n")
    if encoding == "base64":
        return base64.encodebytes(octets).decode().replace("\n", "\r\n")
    return text


def make_plan(content: bytes, footer: Footer) -> RewritePlan:
    """The plan for ``content``; raises ``ValueError`` if it is refused."""
    plan = plan_rewrite(
        content, scan_headers(content), footer, SETTINGS, remove=REMOVED, has_8bitmime=True, is_smtputf8=False
    )
    if isinstance(plan, RewriteRefusal):
        raise ValueError(plan.english)  # noqa: TRY004 - a refusal, not a type
    return plan


def _microseconds(call: str, names: dict[str, object]) -> float:
    return min(timeit.repeat(call, globals=names, number=CALLS, repeat=ROUNDS)) / CALLS * 1e6


def main() -> None:
    footer = make_footer(BRAND)
    print(f"{'message':<34}{'bytes':>8}{'scan':>9}{'plan':>9}{'render':>9}")
    for size_bytes in (4_000, 50_000):
        for encoding in ("8bit", "quoted-printable", "base64"):
            content = make_message(size_bytes, encoding)
            names: dict[str, object] = {
                "content": content,
                "footer": footer,
                "make_plan": make_plan,
                "scan_headers": scan_headers,
                "plan": make_plan(content, footer),
                "URL": URL,
                "MAILTO": MAILTO,
                "TRACE": TRACE,
            }
            scan = _microseconds("scan_headers(content)", names)
            plan = _microseconds("make_plan(content, footer)", names) - scan
            render = _microseconds("plan.render(URL, MAILTO, TRACE)", names)
            title = f"alternative {encoding} {size_bytes // 1000} kB"
            print(f"{title:<34}{len(content):>8}{scan:>9.1f}{plan:>9.1f}{render:>9.1f}")


if __name__ == "__main__":
    main()

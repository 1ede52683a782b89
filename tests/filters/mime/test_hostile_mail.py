"""Crafted mail costs no more than honest mail: each of these is answered within a second on a slow machine.

The bound is on processor time, and generous on purpose: what grows with the square of its input takes minutes at these
sizes.
"""

from __future__ import annotations

import time

import pytest

from filters.brand import Brand
from filters.mime.footer import make_footer
from filters.mime.headers import scan_headers
from filters.mime.plan import plan_rewrite
from filters.mime.refusal import MalformedContent, RewriteDetail, RewriteRefusal
from filters.mime.rewrite_plan import RewritePlan
from filters.mime.settings import RewriteSettings

FOOTER = make_footer(
    Brand(600123, 600123, "Magaza", "Magaza A.S.", "0123456789012345", opt_out_url="https://izin.example")
)
URL = "https://izin.example/o/abc"
HEADER = b"From: a@b.example\r\nMIME-Version: 1.0\r\n"
MB = 1_000_000
LIMIT_S = 1.0


def _mixed(body: bytes, boundary: bytes = b"x1") -> bytes:
    return HEADER + b'Content-Type: multipart/mixed; boundary="%s"\r\n\r\n' % boundary + body


def _html(text: bytes, encoding: bytes = b"8bit") -> bytes:
    return HEADER + b"Content-Type: text/html\r\nContent-Transfer-Encoding: %s\r\n\r\n" % encoding + text


def _nested(depth: int) -> bytes:
    text = b"Content-Type: text/plain\r\n\r\nHello\r\n"
    for level in range(depth):
        boundary = b"b%dx" % level
        text = b'Content-Type: multipart/mixed; boundary="%s"\r\n\r\n--%s\r\n%s--%s--\r\n' % (
            boundary,
            boundary,
            text,
            boundary,
        )
    return HEADER + text


ROW = b'<tr><td style="color:#333" align="left"><a href="https://a.example/?x=1">text</a></td></tr>\r\n'

# Made when asked for: together they are some hundred megabytes.
REFUSED = {
    "100,000 parts": (lambda: _mixed(b"--x1\r\n\r\na\r\n" * 100_000 + b"--x1--\r\n"), RewriteDetail.TOO_MANY_PARTS),
    "20,000 parameters": (
        lambda: HEADER + b"Content-Type: text/plain" + b";\r\n a=b" * 20_000 + b"\r\n\r\nx\r\n",
        RewriteDetail.TOO_MANY_PARAMETERS,
    ),
    "a parameter of 200 kB": (
        lambda: HEADER + b'Content-Type: text/plain; name="' + b"\\a" * 100_000 + b'"\r\n\r\nx\r\n',
        RewriteDetail.HEADER_TOO_LARGE,
    ),
    "990 nested multiparts": (lambda: _nested(990), RewriteDetail.TOO_DEEP),
    "21 nested multiparts": (lambda: _nested(21), RewriteDetail.TOO_DEEP),
    "a comment 16 kB deep": (
        lambda: HEADER + b"Content-Type: text/plain " + b"(" * 16_000 + b"\r\n\r\nx\r\n",
        RewriteDetail.MALFORMED_TYPE,
    ),
    "nine alternatives": (
        lambda: (
            HEADER
            + b"Content-Type: multipart/alternative; boundary=x1\r\n\r\n"
            + b"--x1\r\nContent-Type: text/html\r\n\r\na\r\n" * 9
            + b"--x1--\r\n"
        ),
        RewriteDetail.TOO_MANY_VIEWS,
    ),
    "200,000 placeholders": (lambda: _html(b"{{opt_out_url}}\r\n" * 200_000), RewriteDetail.TOO_MANY_PLACEHOLDERS),
    "boundary lines that never come, 30 MB": (lambda: _mixed(b"\r\n--x" * (6 * MB)), RewriteDetail.MALFORMED_MULTIPART),
    "a base64 text of line ends": (
        lambda: HEADER + b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"=\r\n" * MB,
        RewriteDetail.MALFORMED_ENCODING,
    ),
    "open comments": (lambda: _html(b"<!--" * MB), RewriteDetail.HIDDEN_TAIL),
    "an open tag": (lambda: _html(b"<a " + b'x="' * MB), RewriteDetail.HIDDEN_TAIL),
    "a tag of a million attributes": (lambda: _html(b"<a " + b'x="1" ' * MB + b">"), RewriteDetail.HIDDEN_TAIL),
    "nested hidden elements": (lambda: _html(b'<div style="display:none">' * 100_000), RewriteDetail.HIDDEN_TAIL),
    "a million comments": (lambda: _html(b"<!-- -->" * MB), RewriteDetail.HIDDEN_TAIL),
    "a million body ends": (lambda: _html(b"</body>" * MB), RewriteDetail.HIDDEN_TAIL),
    "open conditions": (lambda: _html(b"<![if x]>" * 300_000), RewriteDetail.HIDDEN_TAIL),
}

REWRITTEN = {
    "30 MB of text": lambda: HEADER + b"\r\n" + b"a line of text that is not long\r\n" * MB,
    "30 MB of HTML": lambda: _html(b"<html><body>" + ROW * 300_000 + b"</body></html>\r\n"),
    "a 10 MB quoted-printable HTML": lambda: _html(
        b"<html><body>" + b"b=C3=BCy=C3=BCk <b>indirim</b> =\r\n" * 300_000 + b"</body></html>\r\n", b"quoted-printable"
    ),
    "an early body end in 6 MB of quoted-printable": lambda: _html(
        b"<html><body></body>" + b"b=C3=BCy=C3=BCk <b>x</b> =\r\n" * 200_000, b"quoted-printable"
    ),
    "tags only": lambda: _html(b"<b>" * (3 * MB)),
    "brackets only": lambda: _html(b"<" * (3 * MB)),
    "ten thousand comments": lambda: _html(b"<!-- -->" * 10_000),
    "hidden and closed elements": lambda: _html(b'<p style="display:none">x</p>' * 900),
    "hidden by words in the text": lambda: _html(b"display:none " * 900),
    "body ends only": lambda: _html(b"</body>" * 10_000),
    "a thousand parts": lambda: _mixed(b"--x1\r\n\r\na\r\n" * 1_000 + b"--x1--\r\n"),
    "20 nested multiparts": lambda: _nested(20),
    "2,000 header fields": lambda: b"X-A: b\r\n" * 20_000 + b"\r\nx\r\n",
    "escape sequences": lambda: HEADER + b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n" + b"\x1b$B\x0e" * MB,
    "armour": lambda: HEADER + b"\r\nx" + b"-----BEGIN PGP " * 300_000,
    "a thousand hidden placeholders": lambda: _html(b"<!--{{opt_out_url}}-->\r\n" * 1_000),
    "links of ours": lambda: HEADER + b"\r\n" + b"https://izin.example/o/x\r\n" * 100_000,
}


def _plan(content: bytes) -> RewritePlan | RewriteRefusal:
    try:
        headers = scan_headers(content)
    except MalformedContent as malformed:
        return RewriteRefusal(malformed.detail)
    return plan_rewrite(
        content, headers, FOOTER, RewriteSettings(), remove=frozenset(), has_8bitmime=True, is_smtputf8=False
    )


@pytest.mark.parametrize("name", REFUSED)
def test_what_exceeds_a_limit_or_hides_the_footer_is_refused_at_once(name: str) -> None:
    """With the detail that names it."""
    make, detail = REFUSED[name]
    content = make()
    started_at = time.process_time()
    assert _plan(content) == RewriteRefusal(detail)
    assert time.process_time() - started_at < LIMIT_S


@pytest.mark.parametrize("name", REWRITTEN)
def test_what_is_only_large_or_odd_is_rewritten_at_once(name: str) -> None:
    """One footer, in time proportional to the size."""
    content = REWRITTEN[name]()
    started_at = time.process_time()
    plan = _plan(content)
    assert isinstance(plan, RewritePlan)
    copy = plan.render(URL, "", b"")
    assert time.process_time() - started_at < LIMIT_S
    assert plan.views == 1
    assert copy.count(URL.encode() + b'"') + copy.count(URL.encode() + b">") + copy.count(URL.encode() + b"=\r\n") >= 2


@pytest.mark.parametrize(
    "header",
    [
        b"a" * 10 * MB,
        b"X: " + b"a" * 10 * MB,
        b"X: a\r\n" + b" b\r\n" * 3 * MB,
        b"a b\r\n" * 2 * MB,
    ],
    ids=["no colon", "one long field", "one folded field", "no fields"],
)
def test_a_header_over_the_limit_is_not_scanned(header: bytes) -> None:
    """Refused by its size alone, before anything in it is looked at."""
    started_at = time.process_time()
    with pytest.raises(MalformedContent):
        scan_headers(header)
    assert time.process_time() - started_at < LIMIT_S


@pytest.mark.parametrize("line", [b"a" * 200, b"a b", b"a:", b":", b" ", b"\t:", b"a :"])
def test_a_header_of_a_quarter_megabyte_is_scanned_in_one_pass(line: bytes) -> None:
    """Whatever its lines look like."""
    content = (line + b"\r\n") * (250_000 // (len(line) + 2)) + b"\r\nbody"
    started_at = time.process_time()
    scan_headers(content)
    assert time.process_time() - started_at < LIMIT_S


def test_a_large_attachment_is_not_looked_into() -> None:
    """A short text before 30 MB of base64: one footer, and the attachment's octets behind it as they were."""
    attachment = (b"QUJD" * 19 + b"\r\n") * (30 * MB // 78)
    content = _mixed(
        b"--x1\r\nContent-Type: text/plain\r\n\r\nMerhaba\r\n"
        b"--x1\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + attachment
        + b"--x1--\r\n"
    )
    started_at = time.process_time()
    plan = _plan(content)
    assert isinstance(plan, RewritePlan)
    copy = plan.render(URL, "", b"")
    assert time.process_time() - started_at < LIMIT_S
    assert copy.endswith(b"\r\n" + attachment + b"--x1--\r\n")

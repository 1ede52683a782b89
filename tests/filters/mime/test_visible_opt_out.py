"""Whatever a sender's markup does, the copy shows an opt-out, or the message is refused."""

from __future__ import annotations

import pytest

from filters.brand import Brand
from filters.mime.footer import make_footer
from filters.mime.headers import scan_headers
from filters.mime.plan import RewriteSettings, plan_rewrite
from filters.mime.refusal import RewriteDetail, RewriteRefusal

FOOTER = make_footer(
    Brand(600123, 600123, "Magaza", "Magaza A.S.", "0123456789012345", opt_out_url="https://izin.example")
)
URL = "https://izin.example/o/abc"


def _copy(body: bytes, kind: bytes = b"text/html", encoding: bytes = b"8bit") -> bytes | RewriteDetail:
    content = b"From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s"
    content %= (kind, encoding, body)
    plan = plan_rewrite(
        content,
        scan_headers(content),
        FOOTER,
        RewriteSettings(),
        remove=frozenset(),
        has_8bitmime=True,
        is_smtputf8=False,
    )
    if isinstance(plan, RewriteRefusal):
        return plan.detail
    return plan.render(URL, "mailto:r@izin.example", b"").partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "body",
    [
        b'<a href="{{opt_out_url}}" style="display:none">x</a>',
        b"<p hidden>{{opt_out_url}}</p>",
        b'<a href="{{opt_out_url}}"></a>',
        b'<a href="{{opt_out_url}}">&nbsp;<!-- x --></a>',
        b'<a href="https://shop.example" href="{{opt_out_url}}">x</a>',
        b'<p title="<b>{{opt_out_url}}">',
        b'<map><area href="{{opt_out_url}}"></map>',
        b"<![CDATA[ {{opt_out_url}} ]]>",
        b"<select><option>{{opt_out_url}}</select>",
        b'<a href="{{opt_out_url}}&utm_source=mail">x</a>',
        b'<a href="https://t.example/?u={{opt_out_url}}">x</a>',
    ],
)
def test_a_placeholder_that_is_not_surely_seen_does_not_spare_the_footer(body: bytes) -> None:
    """It is filled, and the footer comes as well."""
    copy = _copy(body)
    assert isinstance(copy, bytes)
    assert copy.count(URL.encode()) == 2


@pytest.mark.parametrize(
    "body",
    [
        b'<a href="{{opt_out_url}}">x</a>',
        b'<a href="{{opt_out_url}}#top" style="font-size:12px"><img src="x"></a>',
        b'<p style="display:none">x</p><p>{{opt_out_url}}</p>',
    ],
)
def test_a_placeholder_that_is_seen_stands_for_the_footer(body: bytes) -> None:
    """Filled, and nothing is added."""
    assert _copy(body) == body.replace(b"{{opt_out_url}}", URL.encode())


@pytest.mark.parametrize("text", [b"{{opt_out_url}}&utm_source=mail", b"https://t.example/?u={{opt_out_url}}"])
def test_a_placeholder_in_a_longer_url_of_plain_text_does_not_spare_the_footer(text: bytes) -> None:
    """The longer URL is another one."""
    copy = _copy(text, b"text/plain")
    assert isinstance(copy, bytes)
    assert b"<%s>" % URL.encode() in copy


@pytest.mark.parametrize(
    "body",
    [
        b'<div style="display:  none">x</body>',
        b'<div style="display :none">x</body>',
        b'<div style="display:/**/none">x</body>',
        b'<div style="display&#58;none">x</body>',
        b'<div style="visibility:hidden">x</body>',
        b'<div style="max-height: 0;overflow:hidden">x</body>',
        b"<div hidden>x</body>",
        b'<div style="display:none">x<!-- </div> --></body>',
        b'<div style="display:none">x<img alt="</div>"></body>',
        b'<span style="display:none"><div></span></body>',
        b"<select></body>",
        b"<details></body>",
        b"<p>x</p><!-- </body>",
    ],
)
def test_the_footer_is_not_put_where_a_hiding_element_may_be_open(body: bytes) -> None:
    """Right behind the start of the body instead, and without a body nowhere."""
    copy = _copy(b"<body>" + body)
    assert isinstance(copy, bytes)
    assert copy.startswith(b"<body>\r\n<div style=")
    assert _copy(body) == RewriteDetail.HIDDEN_TAIL


@pytest.mark.parametrize(
    "body",
    [
        b"<svg><text><![CDATA[ x> </body> ]]></text></svg>",
        b"<svg><style></body></style></svg>",
        b'<body>x<body style="display:none"></body>',
        b"<template><!-- </template> --></template></body>",
        b"<style></style\x0b></body>",
    ],
)
def test_markup_that_readers_take_differently_is_refused(body: bytes) -> None:
    """No place is surely seen."""
    assert _copy(body) == RewriteDetail.HIDDEN_TAIL


def test_an_attribute_name_may_begin_with_an_equals_sign() -> None:
    """The tag ends at its first ">", and the comment behind it is one."""
    assert _copy(b'<p ="><!-- "></p></body>') == RewriteDetail.HIDDEN_TAIL


@pytest.mark.parametrize("charset", [b"unicodeFFFE", b"utf16", b"csUTF16LE", b"csUTF32", b"utf_32be_x", b"ucs-2"])
def test_a_charset_with_wide_characters_is_never_taken_for_ascii(charset: bytes) -> None:
    """ASCII octets behind them would be other letters."""
    assert _copy(b"x", b"text/html; charset=" + charset) == RewriteDetail.UNSUITABLE_CHARSET


def test_an_equals_sign_before_an_escape_is_refused() -> None:
    """Readers decode it differently, so that a tag could be one for some of them only."""
    assert _copy(b"==3C!-- x", encoding=b"quoted-printable") == RewriteDetail.MALFORMED_ENCODING

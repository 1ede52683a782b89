"""Whatever a sender's markup does, the copy shows an opt-out, or the message is refused."""

from __future__ import annotations

import pytest

from filters.brand import Brand
from filters.mime.footer import make_footer
from filters.mime.headers import scan_headers
from filters.mime.plan import plan_rewrite
from filters.mime.refusal import RewriteDetail, RewriteRefusal
from filters.mime.settings import RewriteSettings

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
        b'<div style="font-size:0"><p>{{opt_out_url}}</p></div>',
        b'<div style="font: 0/0 a">{{opt_out_url}}</div>',
        b'<div style="font-size: 1px">{{opt_out_url}}</div>',
        b'<p style="color:#fff">{{opt_out_url}}</p>',
        b'<p style="color: rgb(255, 255, 255)">{{opt_out_url}}</p>',
        b'<p style="color:#33333300">{{opt_out_url}}</p>',
        b'<p style="color:rgba(0, 0, 0, 0)">{{opt_out_url}}</p>',
        b'<p style="color:#333;background:#333">{{opt_out_url}}</p>',
        b'<p style="color:#fff;background:#fff url(x)">{{opt_out_url}}</p>',
        b"<font color=white>{{opt_out_url}}</font>",
        b'<a href="{{opt_out_url}}" style="color:transparent">x</a>',
        b'<div style="background:#333"><p style="background:#fff;color:#fff">{{opt_out_url}}</p></div>',
        b'<td style="font-size:0"><p style="font-size:12px">x<div>{{opt_out_url}}</div></td>',
        b'<td style="font-size:0"><a style="font-size:12px">x<a href="{{opt_out_url}}">y</a></td>',
        b'<a href="{{opt_out_url}}"><img src="x" width="0" height="0"></a>',
        b'<a href="{{opt_out_url}}" style="position:absolute;top:-2000px">x</a>',
        b'<p style="margin:0 0 0 -9999px">{{opt_out_url}}</p>',
        b'<p style="max-height:1px;overflow:hidden">{{opt_out_url}}</p>',
        b"<p style=opacity:0>{{opt_out_url}}</p>",
        b"<p STYLE = 'opacity:0'>{{opt_out_url}}</p>",
        b'a < b <p style="opacity:0">{{opt_out_url}}</p>',
        b'<p style="opacity: .05">{{opt_out_url}}</p>',
        b'<p style="opacity:1%">{{opt_out_url}}</p>',
        b'<p style="height:.1em;overflow:hidden">{{opt_out_url}}</p>',
        b'<p style="position:absolute;left:-99em">{{opt_out_url}}</p>',
        b'<p style="position:absolute;left:-9e3px">{{opt_out_url}}</p>',
        b'<p style="position:absolute;left:9999px">{{opt_out_url}}</p>',
        b'<p style="transform:rotateX(90deg)">{{opt_out_url}}</p>',
        b'<p style="transform:matrix(0,0,0,0,0,0)">{{opt_out_url}}</p>',
        b'<p style="--d:none;display:var(--d)">{{opt_out_url}}</p>',
        b'<p style="font-size:calc(0px)">{{opt_out_url}}</p>',
        b'<p style="font-size:.1vw">{{opt_out_url}}</p>',
        b'<p style="color:color-mix(in srgb,white,white)">{{opt_out_url}}</p>',
        b'<a style="pointer-events:none" href="{{opt_out_url}}">x</a>',
        b"<div popover>{{opt_out_url}}</div>",
        b"<div inert>{{opt_out_url}}</div>",
        b"<progress>{{opt_out_url}}</progress>",
        b"<ruby>a<rp>{{opt_out_url}}</rp></ruby>",
    ],
)
def test_a_placeholder_that_is_not_surely_seen_does_not_spare_the_footer(body: bytes) -> None:
    """It is filled, and the footer comes as well."""
    copy = _copy(body)
    assert isinstance(copy, bytes)
    assert copy.count(URL.encode()) == 2


@pytest.mark.parametrize(
    ("sheet", "body"),
    [
        (b".h{display:none}", b'<a class="h" href="{{opt_out_url}}">x</a>'),
        (b"A { display : none }", b'<a href="{{opt_out_url}}">x</a>'),
        (b"@media screen{.h{display:none!important}}", b"<div class=h><p>a</p><p>{{opt_out_url}}</p></div>"),
        (b"@media all{.a{color:red}.h , .b{visibility:hidden}}", b'<p class="q H">{{opt_out_url}}</p>'),
        (b"<!-- .h{font-size:0} -->", b"<p class=h>{{opt_out_url}}</p>"),
        (b"#h{color:#fff}", b"<p id=h>{{opt_out_url}}</p>"),
        (b"*[class=h]{display:none}", b"<p class=h>{{opt_out_url}}</p>"),
        (b'td[class*="hi"]{display:none}', b'<table><tr><td class="this">{{opt_out_url}}</table>'),
        (b"*{opacity:0}", b"{{opt_out_url}}"),
        (b".a{display:none;.b{color:red}}", b"<p class=a>{{opt_out_url}}"),
        (b".a{@media all{display:none}}", b"<p class=a>{{opt_out_url}}"),
        (b".h/**/{display/**/:none", b"<p class=h>{{opt_out_url}}</p>"),
        (b"img{display:none}", b'<a href="{{opt_out_url}}"><img src=x></a>'),
        (b".\\68{display:none}", b"<p class=h>{{opt_out_url}}</p>"),
        (b".h{display:none}", b'<p class="&#104;">{{opt_out_url}}</p>'),
        (b"body{display:none}", b"<body>{{opt_out_url}}</body>"),
        (b"," * 5000 + b".h{display:none}", b"<p class=h>{{opt_out_url}}</p>"),
        (b"a{}" * 100_000 + b".h{display:none}", b"<p class=h>{{opt_out_url}}</p>"),
    ],
)
def test_a_placeholder_that_a_style_sheet_may_hide_does_not_spare_the_footer(sheet: bytes, body: bytes) -> None:
    """The footer overrules the sender's style sheet by its own styles; the sender's link does not."""
    for text in (
        b"<style>%s</style>\r\n%s" % (sheet, body),
        b"<!-- x --><style type=text/css>%s</style>\r\n%s" % (sheet, body),
    ):
        copy = _copy(text)
        assert isinstance(copy, bytes)
        assert copy.count(URL.encode()) == 2


@pytest.mark.parametrize(
    ("sheet", "body"),
    [
        (b".h{display:none}", b'<div class=h>preview</div><p class="g">{{opt_out_url}}</p>'),
        (b"a:hover{opacity:0}.b{color:#333}", b'<a class=b href="{{opt_out_url}}">x</a>'),
        (
            b"body{-moz-osx-font-smoothing:grayscale}#x a{color:inherit}",
            b'<body><a href="{{opt_out_url}}">x</a></body>',
        ),
        (b".w{color:#fff}", b'<div style="background:#000"><a class=w href="{{opt_out_url}}">x</a></div>'),
        (b"@keyframes f{from{opacity:0}to{opacity:1}}@font-face{font-family:x}", b"{{opt_out_url}}"),
        (b"td{font-size:0}", b'<table><td><a href="{{opt_out_url}}" style="font-size:12px">x</a></table>'),
    ],
)
def test_a_placeholder_that_no_style_sheet_hides_is_the_opt_out(sheet: bytes, body: bytes) -> None:
    """What sheets say about other elements, and in other states, does not matter."""
    copy = _copy(b"<style>%s</style>\r\n%s" % (sheet, body))
    assert isinstance(copy, bytes)
    assert copy.count(URL.encode()) == 1


@pytest.mark.parametrize(
    "body",
    [
        b'<a href="{{opt_out_url}}">x</a>',
        b'<a href="{{opt_out_url}}#top" style="font-size:12px"><img src="x"></a>',
        b'<p style="display:none">x</p><p>{{opt_out_url}}</p>',
        b'<td style="font-size:0px"><div style="font-size:13px">{{opt_out_url}}</div></td>',
        b'<td bgcolor="#222222"><span style="color:#ffffff">{{opt_out_url}}</span></td>',
        b'<p style="color:#fff">x</p><p>{{opt_out_url}}</p>',
        b'<p style="background:#333333;color:#ffffff">{{opt_out_url}}</p>',
        b"a < b <p>{{opt_out_url}}</p>",
        b'<td style="background-position:0 0">{{opt_out_url}}</td>',
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
        b'a < b <div style="display:none">x</body>',
        b"<div style=display:none>x</body>",
        b"<div style = 'opacity:0'>x</body>",
        b'<div style="opacity:0.01">x</body>',
        b'<div style="position:absolute;left:-99em">x</body>',
        b"<div popover>x</body>",
        b"<meter>x</body>",
        # Quotes that end a search for styles too early.
        b"""<div x="style'" style='">;opacity:0'></body>""",
        b"""<div x=style=" style="opacity:0"></body>""",
        b"""<div x="style='" style="a:';opacity:0"></body>""",
        b"""<div title="<br x=" y='" z='"' style="opacity:0"></body>""",
        b"""<style="a<b style="><div style="opacity:0"></body>""",
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


@pytest.mark.parametrize(
    "body",
    [
        b"<!-- %s -->",
        b"<script>'%s'</script>",
        b'<p title="%s">x</p>',
        b"<title>%s</title>",
        b'<a href="%s"></a>',
        b'<div style="display:none"><a href="%s">x</a></div>',
        b'<a href="%s" style="font-size:0">x</a>',
        b'<div style="width:0;overflow:hidden"><a href="%s">x</a></div>',
        b'<p style="color:#ffffff"><a href="%s" style="color:#ffffff">x</a></p>',
        b'<a href="%s"><img src="x" width=1 height=1></a>',
    ],
)
def test_the_recipients_own_link_spares_the_footer_only_where_it_is_seen(body: bytes) -> None:
    """A message that holds it already, out of sight, gets the footer as any other."""
    copy = _copy(body % URL.encode())
    assert isinstance(copy, bytes)
    assert copy.count(URL.encode()) == 2


@pytest.mark.parametrize("kind", [b"text/html", b"text/plain"])
def test_a_copy_that_passes_again_is_left_as_it_is(kind: bytes) -> None:
    """The footer's own link is seen by whoever judges that."""
    copy = _copy(b"x", kind)
    assert isinstance(copy, bytes)
    assert _copy(copy, kind) == copy


def test_no_style_sheet_wins_over_the_footers_own_styles() -> None:
    """What makes it seen is important in the element itself, which no rule of a sheet outranks."""
    copy = _copy(b"<style>div,a{display:none!important}</style>x")
    assert isinstance(copy, bytes)
    for tag in (b"<div style=", b"<a href="):
        style = copy[copy.index(tag) :].partition(b">")[0]
        for declaration in (b"display:", b"visibility:visible", b"opacity:1", b"font-size:12px", b"color:#"):
            assert b"!important" in style[style.index(declaration) :].partition(b";")[0]


def test_an_amp_part_has_no_important_styles() -> None:
    """AMP forbids them, and readers drop a part that holds any."""
    body = b"--x\r\nContent-Type: text/plain\r\n\r\nx\r\n--x\r\nContent-Type: text/x-amp-html\r\n\r\nx\r\n--x--"
    copy = _copy(body, b"multipart/alternative; boundary=x")
    assert isinstance(copy, bytes)
    assert b"opacity:1" in copy
    assert b"!important" not in copy


@pytest.mark.parametrize("charset", [b"unicodeFFFE", b"utf16", b"csUTF16LE", b"csUTF32", b"utf_32be_x", b"ucs-2"])
def test_a_charset_with_wide_characters_is_never_taken_for_ascii(charset: bytes) -> None:
    """ASCII octets behind them would be other letters."""
    assert _copy(b"x", b"text/html; charset=" + charset) == RewriteDetail.UNSUITABLE_CHARSET


def test_an_equals_sign_before_an_escape_is_refused() -> None:
    """Readers decode it differently, so that a tag could be one for some of them only."""
    assert _copy(b"==3C!-- x", encoding=b"quoted-printable") == RewriteDetail.MALFORMED_ENCODING


@pytest.mark.parametrize("end", [b"= ", b"=\t", b"= \t \r\n", b"= \r\nx"])
def test_blanks_behind_a_soft_line_break_are_refused(end: bytes) -> None:
    """Some readers drop them, for others the equals sign is text."""
    assert _copy(b"<p>x</p>" + end, encoding=b"quoted-printable") == RewriteDetail.MALFORMED_ENCODING


@pytest.mark.parametrize("kind", [b"text/html", b"text/plain"])
@pytest.mark.parametrize(
    "charset", [b"iso-2022-jp", b"ISO-2022-JP-2", b"csISO2022JP", b"iso2022_jp", b"iso-2022-kr", b"csiso2022kr"]
)
def test_an_alias_of_a_charset_with_states_is_known(charset: bytes, kind: bytes) -> None:
    """Whatever it is called: text that ends in another alphabet is brought back to ASCII, or refused."""
    copy = _copy(b"a\x1b$B%C", kind + b"; charset=" + charset, b"7bit")
    assert copy == RewriteDetail.UNSUITABLE_CHARSET or (
        isinstance(copy, bytes) and b"\x1b(B" in copy.partition(b"<" if kind == b"text/plain" else b"<div")[0]
    )


@pytest.mark.parametrize("before", [b"", b"--o\r\nContent-Type: text/plain\r\n\r\nx\r\n"])
def test_a_text_beside_an_image_as_root_is_refused(before: bytes) -> None:
    """The standard shows the image alone, some readers the text: nothing is sure, whatever else is shown."""
    related = (
        b"--o\r\nContent-Type: multipart/related; boundary=i\r\n\r\n--i\r\nContent-Type: image/png\r\n\r\nx\r\n"
        b"--i\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--i--\r\n"
    )
    tail = b"--o\r\nContent-Type: text/plain\r\n\r\nx\r\n--o--\r\n"
    kind = b"multipart/alternative; boundary=o" if before else b"multipart/mixed; boundary=o"
    assert _copy(before + related + tail, kind) == RewriteDetail.NO_TEXT


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"text/html; charset=iso-2022-jp", b"<p>a</p><!-- \x1b$B!!-->!\x1b(B <p>x</p></body>"),
        (b"text/html; charset=iso-2022-jp", b"<p>a</p><style>\x1b(I</style>\x1b(B <p>x</p></body>"),
        (b"text/html; charset=iso-2022-jp", b"<!-- \x1b$B!!!!\r\n-->\x1b(B<p>x</p></body>"),
        (b"text/html", b'<meta charset="iso-2022-jp"><p>a</p><!-- \x1b$B!!-->!\x1b(B <p>x</p></body>'),
    ],
)
def test_what_only_looks_like_markup_to_us_opens_no_place(kind: bytes, body: bytes) -> None:
    """Between two escape sequences "-->" is a character and a half: to its reader the comment goes on to the end."""
    assert _copy(body, kind) in (RewriteDetail.HIDDEN_TAIL, RewriteDetail.UNSUITABLE_CHARSET)


def test_japanese_text_gets_its_footer_at_the_end() -> None:
    """Octets of its characters that are brackets in ASCII do not stand in the way."""
    copy = _copy(b"<p>\x1b$B$`$<$>\x1b(B</p></body></html>", b"text/html; charset=iso-2022-jp")
    assert isinstance(copy, bytes)
    assert copy.startswith(b"<p>\x1b$B$`$<$>\x1b(B</p>")
    assert copy.endswith(b"</body></html>")
    plain = _copy(b"\x1b$B!!<{{opt_out_url}}>!\x1b(B", b"text/plain; charset=iso-2022-jp")
    assert isinstance(plain, bytes)
    assert plain.count(URL.encode()) == 2


@pytest.mark.parametrize("kind", [b"alternative", b"related"])
def test_a_text_that_is_an_attachment_does_not_stand_for_the_text_behind_it(kind: bytes) -> None:
    """Readers list it, and show the next one: that gets the opt-out, too."""
    body = (
        b"--o\r\nContent-Type: multipart/%s; boundary=i\r\n\r\n--i\r\nContent-Type: text/plain\r\n"
        b"Content-Disposition: attachment\r\n\r\nfile\r\n--i--\r\n--o\r\nContent-Type: text/html\r\n\r\n"
        b"<p>shown\r\n--o--\r\n"
    )
    copy = _copy(body % kind, b"multipart/mixed; boundary=o", b"7bit")
    assert isinstance(copy, bytes)
    assert URL.encode() in copy.partition(b"<p>shown")[2]

"""What must hold for every message: generated MIME trees, charsets, encodings and texts."""

from __future__ import annotations

import base64
import binascii
import quopri

from hypothesis import example, given, settings
from hypothesis import strategies as st

from filters.brand import Brand
from filters.mime.footer import make_footer
from filters.mime.headers import scan_headers
from filters.mime.plan import plan_rewrite
from filters.mime.refusal import MalformedContent, RewriteRefusal
from filters.mime.release import check_copy
from filters.mime.rewrite_plan import RewritePlan
from filters.mime.settings import RewriteSettings
from filters.mime.stamp import stamp
from filters.mime.transfer import encode_quoted_printable, render_url_forms
from tests.support.mail_judge import judge

BRAND = Brand(
    code=600123,
    iys_code=600123,
    name="Örnek Mağaza",
    title="Örnek Mağaza A.Ş.",
    mersis="0123456789012345",
    contact="iletisim@magaza.example",
    opt_out_url="https://izin.example",
)
FOOTER = make_footer(BRAND)
SETTINGS = RewriteSettings()
HEADER = b"From: a@magaza.example\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
TRACE = b"Received: from a.example by b.example; Mon, 1 Jan 2024 10:00:00 +0300\r\n"

URLS = st.builds(
    "https://izin.example/o/{}{}".format,
    st.text("abcXYZ019-_~.=%+:@/", min_size=1, max_size=400),
    st.sampled_from(["", "?k=1&l=tr", "?--=--", "&&"]),
)
CHARSETS = st.sampled_from(["utf-8", "us-ascii", "iso-8859-9", "windows-1254", "iso-8859-1", "x-unknown"])
CODECS = {"x-unknown": "ascii", "us-ascii": "ascii", "windows-1254": "cp1254"}
LINES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n", exclude_categories=("Cs", "Cc")), max_size=120),
    st.sampled_from(
        ["-- ", "--sinir_1x", "> alıntı ", "From here", "=", "a=", "a=3D ", "büyük indirim  ", ".", "<!--", "'", '"']
    ),
)
MARKUP = st.sampled_from(
    [
        "<p>",
        "</p>",
        "</body>",
        "</BODY >",
        "</html>",
        "<body class='a'>",
        "<body>",
        "<!-- x -->",
        "<!--",
        "-->",
        "<!--[if mso]>",
        "<![endif]-->",
        "<!--[if !mso]><!-->",
        "<!--<![endif]-->",
        "<script>",
        "</script>",
        "<style>p{}</style>",
        '<a href="x>y">',
        '<img alt="</body>">',
        "<a title='",
        "<div style='display:none'>",
        "</div>",
        "<",
        "büyük",
        "\r\n",
        " ",
        "=",
    ]
)


def _encode(text: str, charset: str, encoding: str) -> bytes:
    octets = text.encode(CODECS.get(charset, charset), "replace")
    if encoding == "quoted-printable":
        return quopri.encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    if encoding == "base64":
        return base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return octets


@st.composite
def leaves(draw: st.DrawFn) -> bytes:
    is_html = draw(st.booleans())
    charset, encoding = draw(CHARSETS), draw(st.sampled_from(["7bit", "8bit", "quoted-printable", "base64"]))
    words = draw(st.lists(MARKUP, max_size=20) if is_html else st.lists(LINES, max_size=8))
    text = ("" if is_html else "\r\n").join(words)
    flowed = draw(st.sampled_from(["", "; format=flowed"]))
    body = _encode(text, charset, encoding)
    if encoding == "quoted-printable":
        body += draw(st.sampled_from([b"", b"=", b"=\r\n", b" ", b"\r\n"]))
    kind = "html" if is_html else "plain"
    fields = f"Content-Type: text/{kind}; charset={charset}{flowed}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return fields.encode() + body


@st.composite
def others(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(["image/png", "application/pdf", "message/rfc822", "text/calendar"]))
    body = draw(st.binary(max_size=60))
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode() + base64.encodebytes(
        body
    ).replace(b"\n", b"\r\n")


def _join(children: list[bytes], subtype: str, level: int) -> bytes:
    boundary = f"sinir_{level}x".encode()
    return b"".join(
        (
            b'Content-Type: multipart/%s; boundary="%s"\r\n\r\npreamble\r\n' % (subtype.encode(), boundary),
            *(b"--%s\r\n%s\r\n" % (boundary, child) for child in children),
            b"--%s--\r\nepilogue\r\n" % boundary,
        )
    )


@st.composite
def trees(draw: st.DrawFn, level: int = 1) -> bytes:
    kind = draw(st.sampled_from(["leaf", "leaf", "alternative", "mixed", "related"] if level < 4 else ["leaf"]))
    if kind == "leaf":
        return draw(leaves())
    children = draw(st.lists(st.one_of(trees(level=level + 1), others()), min_size=1, max_size=3))
    return _join(children, kind, level)


def _plan(content: bytes, has_8bitmime: bool = True) -> RewritePlan | RewriteRefusal:
    try:
        headers = scan_headers(content)
    except MalformedContent as malformed:
        return RewriteRefusal(malformed.detail)
    return plan_rewrite(
        content, headers, FOOTER, SETTINGS, remove=frozenset(), has_8bitmime=has_8bitmime, is_smtputf8=False
    )


@settings(max_examples=300, deadline=None)
@given(trees(), URLS, st.booleans())
def test_a_copy_is_the_message_with_one_opt_out_in_every_view(tree: bytes, url: str, has_8bitmime: bool) -> None:
    """Judged by another parser: all else octet for octet, each changed leaf the old text with one insertion."""
    content = HEADER + tree
    plan = _plan(content, has_8bitmime)
    if isinstance(plan, RewriteRefusal):
        return
    copy = plan.render(url, "mailto:a@izin.example", TRACE)
    verdict = judge(content, copy, url, added=TRACE)
    assert not verdict.problems
    assert len(verdict.changed) == plan.views
    check_copy(content, plan, copy)
    assert len(copy) - len(content) <= FOOTER.allowance_bytes + len(TRACE)
    assert plan.may_have_dot_lines or b"\r\n." not in copy
    if not has_8bitmime and content.isascii():
        assert copy.isascii()


@settings(max_examples=200, deadline=None)
@given(trees(), URLS)
def test_a_copy_that_passes_again_stays_what_it_is(tree: bytes, url: str) -> None:
    """Rewriting a copy for the same recipient gives the same octets: no second footer, no second field."""
    plan = _plan(HEADER + tree)
    if isinstance(plan, RewriteRefusal):
        return
    copy = plan.render(url, "", b"")
    again = _plan(copy)
    assert not isinstance(again, RewriteRefusal)
    assert again.render(url, "", b"") == copy


@settings(max_examples=100, deadline=None)
@given(trees(), URLS, URLS)
def test_the_link_of_another_recipient_does_not_count(tree: bytes, url: str, other: str) -> None:
    """A copy made for one person, sent on to another, gets that person's own link in every view."""
    plan = _plan(HEADER + tree)
    if isinstance(plan, RewriteRefusal) or url in other or other in url:
        return
    forwarded = plan.render(other, "", b"")
    again = _plan(forwarded)
    assert not isinstance(again, RewriteRefusal)
    assert len(judge(forwarded, again.render(url, "", b""), url).changed) == plan.views


@settings(max_examples=100, deadline=None)
@given(trees(), URLS)
def test_the_same_message_gives_the_same_copy(tree: bytes, url: str) -> None:
    """Nothing random, no clock, no order of sets."""
    first, second = _plan(HEADER + tree), _plan(HEADER + tree)
    if isinstance(first, RewriteRefusal) or isinstance(second, RewriteRefusal):
        assert first == second
        return
    assert first.render(url, "", b"") == second.render(url, "", b"")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            LINES,
            MARKUP,
            st.sampled_from(
                [
                    "Content-Type: text/html",
                    "Content-Type:multipart/mixed;boundary=a",
                    "--a",
                    "--a--",
                    "Content-Transfer-Encoding: base64",
                    "",
                ]
            ),
        ),
        max_size=25,
    ),
    st.sampled_from(["\r\n", "\n", "\r", "\r\n\r\n"]),
)
@example(["From a@b", "x"], "\r\n")
@example([], "\r\n")
def test_no_octets_whatever_bring_it_down(lines: list[str], line_end: str) -> None:
    """Bare CR and LF never get here, but if they did: a plan, a refusal, nothing else."""
    content = line_end.join(lines).encode()
    plan = _plan(content)
    if not isinstance(plan, RewriteRefusal):
        plan.render("https://izin.example/o/x", "", b"")
    headers = scan_headers(content)
    assert stamp(content, headers, frozenset(), b"") == content[headers.start :]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_random_octets_do_not_bring_it_down_either(content: bytes) -> None:
    """Whatever the octets."""
    plan = _plan(content)
    assert isinstance(plan, (RewritePlan, RewriteRefusal))


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=400), URLS)
def test_quoted_printable_of_ours_decodes_to_what_was_meant(text: str, url: str) -> None:
    """Lines of at most 76 characters, none of which begins with a hyphen, soft breaks of "=" CRLF, whole characters; no
    line of a URL begins with a dot."""
    octets = text.replace("\n", "\r\n").encode()
    encoded = encode_quoted_printable(octets)
    assert binascii.a2b_qp(encoded) == octets
    for form in (encoded, render_url_forms(url.encode())[2]):
        assert max(len(line) for line in form.split(b"\r\n")) <= 76
        assert not any(line.startswith(b"-") for line in form.split(b"\r\n"))
    assert b"\r\n." not in render_url_forms(url.encode())[2]
    for line in encoded.split(b"\r\n"):
        binascii.a2b_qp(line.removesuffix(b"=")).decode("utf-8")
    assert binascii.a2b_qp(render_url_forms(url.encode())[2]) == url.encode()

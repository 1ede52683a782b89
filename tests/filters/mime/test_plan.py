"""Fields, placeholders, links that are there already, and the checks before release."""

from __future__ import annotations

import base64

import pytest

from filters.brand import Brand
from filters.mime.footer import MAX_URL_BYTES, make_footer
from filters.mime.headers import scan_headers
from filters.mime.plan import plan_rewrite
from filters.mime.refusal import RewriteDetail, RewriteRefusal
from filters.mime.release import RewriteFault, check_copy
from filters.mime.rewrite_plan import RewritePlan
from filters.mime.settings import RewriteSettings

FOOTER = make_footer(
    Brand(600123, 600123, "Örnek Mağaza", "Örnek A.Ş.", "0123456789012345", opt_out_url="https://izin.example")
)
URL = "https://izin.example/o/abc?k=1&l=tr"
FIELDS = b"From: a@b.example\r\nMIME-Version: 1.0\r\n"
ALTERNATIVE = (
    FIELDS + b"Content-Type: multipart/alternative; boundary=x1\r\n\r\n"
    b"--x1\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
    b"--x1\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>Hello</p>\r\n"
    b"--x1\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+SGVsbG88L3A+\r\n"
    b"--x1--\r\n"
)


def _plan(content: bytes, settings: RewriteSettings | None = None, *, is_smtputf8: bool = False) -> RewritePlan:
    plan = plan_rewrite(
        content,
        scan_headers(content),
        FOOTER,
        settings or RewriteSettings(),
        remove=frozenset({b"x-izin-class"}),
        has_8bitmime=True,
        is_smtputf8=is_smtputf8,
    )
    assert isinstance(plan, RewritePlan)
    return plan


def _render(content: bytes, settings: RewriteSettings | None = None, url: str = URL) -> bytes:
    return _plan(content, settings).render(url, "", b"")


def test_opt_out_fields_stand_on_one_line_each_below_the_trace() -> None:
    """RFC 2369 and RFC 8058, in that order; folded only between the URIs and only where one line will not do."""
    plan = _plan(FIELDS + b"\r\nHello\r\n")
    copy = plan.render(URL, "mailto:ret-1@izin.example", b"T: 1\r\n")
    assert copy.startswith(
        b"T: 1\r\nList-Unsubscribe: <https://izin.example/o/abc?k=1&l=tr>, <mailto:ret-1@izin.example>\r\n"
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        b"List-Id: =?utf-8?b?w5ZybmVrIE1hxJ9hemE=?= <600123.izin.example>\r\nFrom: "
    )
    long = "https://izin.example/" + "a" * (MAX_URL_BYTES - 21)
    folded = plan.render(long, "mailto:" + "b" * 100 + "@izin.example", b"")
    assert max(len(line) for line in folded.split(b"\r\n")) <= 998
    assert scan_headers(folded).values(b"list-unsubscribe")[0].count(b"<") == 2


def test_with_smtputf8_the_list_name_is_utf8() -> None:
    """RFC 6532; without it ASCII only."""
    content = FIELDS + b"\r\nHello\r\n"
    assert 'List-Id: "Örnek Mağaza" <'.encode() in _plan(content, is_smtputf8=True).render(URL, "", b"")
    assert _render(content).isascii()


@pytest.mark.parametrize(
    "url",
    [
        "http://izin.example/o/a",
        "https://izin.example/o/a b",
        "https://izin.example/o/a\r\nBcc: x@y.example",
        'https://izin.example/o/"a',
        "https://izin.example/o/<a",
        "https://izin.example/o/ı",
        "https://izin.example/" + "a" * MAX_URL_BYTES,
        "https://izin.example/" + "&" * 200,
        "",
    ],
)
def test_a_url_that_would_break_out_of_its_place_is_not_put_there(url: str) -> None:
    """The alphabet is what makes one check speak for all copies."""
    with pytest.raises(ValueError):
        _plan(FIELDS + b"\r\nHello\r\n").render(url, "", b"")


@pytest.mark.parametrize(
    "mailto", ["a@b.example", "mailto:a@b.example>, <http://x", "mailto:a@b\r\n", "mailto:a,b@c.example"]
)
def test_a_mailto_that_is_no_single_uri_is_not_put_there(mailto: str) -> None:
    """A comma would begin another URI (RFC 2369 2)."""
    with pytest.raises(ValueError):
        _plan(FIELDS + b"\r\nHello\r\n").render(URL, mailto, b"")


def test_what_was_taken_out_is_told() -> None:
    """For the log: domains of removed signatures, and the sender's own List-Unsubscribe."""
    content = (
        b"DKIM-Signature: v=1; d=b.example;\r\n b=x\r\nDKIM-Signature: v=1;d=C.example; b=x\r\n"
        b"List-Unsubscribe: <https://old.example/>\r\n" + FIELDS + b"\r\nHello\r\n"
    )
    plan = _plan(content, RewriteSettings(signed_domains=frozenset({b"c.example"})))
    assert plan.removed_signatures == [b"c.example"]
    assert plan.replaced_list_unsubscribe
    assert plan.replaced_values == [b"<https://old.example/>"]
    assert b"d=b.example" in plan.render(URL, "", b"")
    assert _plan(content, RewriteSettings(keeps_foreign_signatures=False)).removed_signatures == [
        b"b.example",
        b"c.example",
    ]


@pytest.mark.parametrize(
    "own",
    [
        b"List-Unsubscribe: <https://old.example/>\r\n",
        b"List-Unsubscribe: <mailto:a@old.example>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
        b"List-Unsubscribe: <https://old.example/>\r\nList-Unsubscribe-Post: yes\r\n",
        b"List-Unsubscribe: <https://old.example/>\r\n" * 2 + b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
    ],
)
def test_an_incomplete_pair_of_the_senders_is_replaced_even_if_complete_ones_are_kept(own: bytes) -> None:
    """RFC 8058 3.1: one https URI and the one value, each field once."""
    copy = _render(own + FIELDS + b"\r\nHello\r\n", RewriteSettings(keep_sender_optout=True))
    assert b"old.example" not in copy
    assert copy.lower().count(b"list-unsubscribe:") == 1


def test_a_forged_mark_does_not_keep_the_footer_out() -> None:
    """Only this recipient's own link, where it is seen, stands for the footer."""
    hidden = (
        FIELDS + b"Content-Type: text/html\r\n\r\n<body><!-- " + URL.replace("&", "&amp;").encode() + b" --></body>\r\n"
    )
    other = FIELDS + b"\r\nsee https://izin.example/o/other\r\n"
    longer = FIELDS + b"\r\nsee <" + URL.encode() + b"x>\r\n"
    for content in (hidden, other, longer):
        assert b"MERS" in _render(content).partition(b"\r\n\r\n")[2]


def test_a_view_that_shows_the_recipients_own_link_is_left_alone() -> None:
    """And only that view, and only for that recipient."""
    once = _render(ALTERNATIVE)
    assert _render(once) == once
    assert _render(once, url=URL + "0").count(b"MERS") > once.count(b"MERS")


def test_a_placeholder_is_filled_in_each_view_and_nothing_is_added() -> None:
    """In HTML the URL is escaped, in quoted-printable encoded, in base64 encoded again."""
    html = base64.b64encode(b'<a href="{{opt_out_url}}">x</a>')
    content = ALTERNATIVE.replace(b"Hello\r\n--x1", b"{{opt_out_url}}, {{opt_out_url}}\r\n--x1", 1)
    content = content.replace(b"<p>Hello</p>", b'<a href=3D"{{opt_out_url}}">x</a>').replace(b"PHA+SGVsbG88L3A+", html)
    copy = _render(content)
    assert b"MERS" not in copy
    assert b"%s, %s" % (URL.encode(), URL.encode()) in copy
    assert base64.b64encode(b'<a href="https://izin.example/o/abc?k=1&amp;l=tr">x</a>')[:70] in copy
    assert b'<a href=3D"=\r\nhttps://izin.example/o/abc?k=3D1&amp;l=3Dtr=\r\n">x</a>' in copy


def test_lines_around_a_placeholder_bound_the_url() -> None:
    """What fits is told, what does not is not rendered."""
    plan = _plan(FIELDS + b"\r\n" + b"a" * 500 + b"{{opt_out_url}}\r\n")
    assert plan.max_url_bytes == 498
    assert plan.render("https://izin.example/".ljust(498, "a"), "", b"")
    with pytest.raises(ValueError):
        plan.render("https://izin.example/".ljust(499, "a"), "", b"")


def test_an_own_placeholder_is_recognised() -> None:
    """Any token, not only in braces."""
    content = FIELDS + b"\r\nRet: @@RET@@\r\n"
    assert b"Ret: " + URL.encode() in _render(content, RewriteSettings(placeholder=b"@@RET@@"))


@pytest.mark.parametrize("token", [b"", b"abc", b"a b c d", b"\xc4\xb1zin", b"x" * 65])
def test_a_placeholder_that_could_not_be_told_from_text_is_no_setting(token: bytes) -> None:
    """Four to 64 printable ASCII characters without blanks."""
    with pytest.raises(ValueError):
        RewriteSettings(placeholder=token)


def test_long_html_and_unseen_placeholders_are_warned_about() -> None:
    """The message goes out; the sender is told."""
    html = FIELDS + b"Content-Type: text/html\r\n\r\n<body>%s</body>\r\n"
    assert [warning.code for warning in _plan(html % (b"<p>word</p>\r\n" * 8_000)).warnings] == ["long_html"]
    assert [warning.code for warning in _plan(html % b"<!-- {{opt_out_url}} -->").warnings] == ["unseen_placeholder"]


def test_a_refusal_says_why_in_both_languages() -> None:
    """Every detail has both sentences, and they differ."""
    sentences = {(RewriteRefusal(detail).turkish, RewriteRefusal(detail).english) for detail in RewriteDetail}
    assert len(sentences) == len(RewriteDetail)
    assert all(turkish and english and turkish != english for turkish, english in sentences)
    assert all(english.isascii() and "\n" not in english for _, english in sentences)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (b"List-Unsubscribe-Post", b"X-Other"),
        (b"From: a@b.example\r\n", b"List-Unsubscribe: <https://x.example/>\r\nFrom: a@b.example\r\n"),
        (b"--x1--", b"--x1\r\n\r\n\r\n--x1--"),
        (b"--x1--", b"--x2--"),
        (b"Content-Type: text/plain", b"Content-Type: text/html"),
        (b"Hello\r\n", b"Hallo\r\n"),
        (b"<p>Hello</p>", b"<p>Hallo</p>"),
        (b"E-posta almayi", b"\r\n--x1\r\n\r\n"),
        (b"--x1--", b"\r\n--x1--\r\n"),
        (b"PHA+SGVs", b"PHA+SGVt"),
        (b"<https://izin.example/o/abc?k=1&l=tr>\r\nSender", b"<https://izin.example/o/abc?k=1&l=tx>\r\nSender"),
        (b"o/abc?k=3D1", b"o/abd?k=3D1"),
        (b"E-posta almayi", b"x" * 1_000),
        (b"base64\r\n\r\nPHA", b"base64\r\nX-A: b\r\n\r\n?HA"),
    ],
)
def test_the_check_before_release_finds_what_a_faulty_rewriter_would_do(wanted: bytes, found: bytes) -> None:
    """Each of these is a copy that must not go out."""
    footer = make_footer(
        Brand(600123, 600123, "Magaza", "Magaza A.S.", "0123456789012345", opt_out_url="https://izin.example"), "tr+en"
    )
    plan = plan_rewrite(
        ALTERNATIVE,
        scan_headers(ALTERNATIVE),
        footer,
        RewriteSettings(),
        remove=frozenset(),
        has_8bitmime=True,
        is_smtputf8=False,
    )
    assert isinstance(plan, RewritePlan)
    copy = plan.render(URL, "", b"").replace(b"Gonderen / Sender", b"Sender")
    check_copy(ALTERNATIVE, plan, copy)
    assert wanted in copy
    with pytest.raises(RewriteFault):
        check_copy(ALTERNATIVE, plan, copy.replace(wanted, found, 1))


def test_the_check_before_release_finds_a_boundary_line_wherever_it_comes_in() -> None:
    """Behind the header there is no octet before which one more boundary line could stand."""
    plan = _plan(ALTERNATIVE)
    copy = plan.render(URL, "", b"")
    check_copy(ALTERNATIVE, plan, copy)
    for at in range(copy.index(b"\r\n\r\n") + 4, len(copy) + 1):
        with pytest.raises(RewriteFault):
            check_copy(ALTERNATIVE, plan, copy[:at] + b"\r\n--x1\r\n\r\n" + copy[at:])


def test_a_placeholder_in_a_later_text_of_an_inner_message_is_filled() -> None:
    """It stands before a view of the message around it, so the changes must be made in order of place."""
    mixed = (
        b"Content-Type: multipart/mixed; boundary=in\r\n\r\n"
        b"--in\r\n\r\nFirst\r\n--in\r\n\r\nStop: {{opt_out_url}}\r\n--in--\r\n"
    )
    content = (
        FIELDS + b"Content-Type: multipart/alternative; boundary=out\r\n\r\n--out\r\n" + mixed + b"\r\n--out\r\n"
        b"Content-Type: text/html\r\n\r\n<p>Hello</p>\r\n--out--\r\n"
    )
    copy = _render(content)
    assert b"Stop: " + URL.encode() + b"\r\n--in--\r\n" in copy
    assert b"{{" not in copy
    assert copy.count(URL.encode().replace(b"&", b"&amp;")) == 1

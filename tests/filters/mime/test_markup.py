"""Where a footer in HTML is seen."""

from __future__ import annotations

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.mime.markup import find_place, scan_markup
from filters.mime.tags import TAG, UNSEEN_NAMES, pass_plain
from filters.mime.visibility import find_visible, is_hidden

MARK = "|"


def _place(html: str) -> int | None:
    octets = html.replace(MARK, "").encode()
    return find_place(octets, scan_markup(octets))


@pytest.mark.parametrize(
    "html",
    [
        "|",
        "text|",
        "<p>a</p>|",
        "<body>a|</body>",
        "<BODY>a|</BODY\n></HTML>",
        "<html>a|</html>",
        "<body>a</body>b|</body>",
        "<body>a|</body><!-- </body> --></html>",
        "<body>a|</body><!-- <script> --></html>",
        "<body><!-- <script> -->a|</body>",
        "<body><script>'</body>'</script>a|</body>",
        "<body><style></body></style>a|</body>",
        "<body><textarea></body></textarea>a|</body>",
        "<title></body></title>a|",
        "<body><iframe></body></iframe>a|</body>",
        "<body>a|</body><img alt='</body>'>",
        '<body>a|</body><img alt="</body>">',
        "<body>a|</body><p it's></p>",
        "<body><a href=x'y>a|</body>",
        "<body>a < b & c|</body>",
        "<body>a|</body><![CDATA[ </x ]]>",
        "<body>a<bodyguard>|</body></bodyguard>",
        "<body><!--[if mso]></body><![endif]-->a|</body>",
        "<body>a|</body><!--[if !mso]><!--></body><!--<![endif]-->",
        "<body>a|</body><![if !mso]></body><![endif]>",
        "<body><div style='display:none'>x</div>a|</body>",
        "<body><div style='display:none'><div>x</div></div>a|</body>",
        "<body><img style='display:none'>a|</body>",
        "<style>.x{display:none}</style><body>a|</body>",
        "<body>display:none|</body>",
        "<body>|<div style='DISPLAY: NONE'>a</body>",
        "<body>|<div><p style='display:none'>a</div></body>",
        "<body class=x>|a<!-- </body>",
        '<body class=x>|a<a title="</body>',
        "<body>|a<style></body>",
        "<body>|a<plaintext></body>",
        "<body>|a<template></body>",
        "<body>|a<![if x]></body>",
        "<?xml version='1.0'?><body>a|</body>",
        '<!DOCTYPE html PUBLIC "-//W3C//DTD" "x"><body>a|</body>',
        "<body></ p>a|</body>",
    ],
)
def test_the_footer_goes_before_the_last_end_that_counts(html: str) -> None:
    """The bar marks the place; what comments, scripts, attributes and conditions hold does not count."""
    assert _place(html) == len(html.partition(MARK)[0].encode())


@pytest.mark.parametrize(
    "html",
    [
        "a<!-- b",
        "a<!-- b --!> c --><p>",
        "<script><!-- <script> </script> --> </script>",
        "<a title='",
        "<style>p{",
        "<plaintext>",
        "<frameset><frame></frameset>",
        "<body style='display:none'>a</body>",
        "<div style='display:none'><body>a</body>",
        "<![if x]><body>a</body>",
    ],
)
def test_where_no_place_is_surely_seen_there_is_none(html: str) -> None:
    """Open, hidden, or read differently by different readers."""
    assert _place(html) is None


@pytest.mark.parametrize(
    ("html", "is_seen"),
    [
        ("<a href='X'>a</a>", True),
        ("<A HREF = X>a</A>", True),
        ("<p>X</p>", True),
        ("<!-- X -->", False),
        ("<style>X</style>", False),
        ("<img src='X'>", False),
        ("<a title='X'>a</a>", False),
        ("<p style='display:none'>X</p>", False),
        ("<!--[if mso]><a href='X'>a</a><![endif]-->", False),
        ("<![if !mso]><a href='X'>a</a><![endif]>", False),
    ],
)
def test_a_link_counts_only_where_it_is_seen_or_followed(html: str, is_seen: bool) -> None:
    """In text, or as the target of a link."""
    octets = html.encode()
    at = octets.index(b"X")
    assert find_visible(octets, [(at, at + 1)], scan_markup(octets).unseen) == [is_seen]


class _Reader(HTMLParser):
    """What the standard library sees: start and end tags with their offsets, text outside raw elements."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.ends: list[int] = []

    def handle_endtag(self, tag: str) -> None:
        if tag == "body":
            self.ends.append(self.getpos()[1])


PIECES = st.sampled_from(
    [
        *("<p>", "</p>", "a b", "</body>", "</BODY>", "<body>", "<br/>", "&lt;", "<!doctype html>"),
        *("<!-- c -->", "<!-- </body> -->", "<script>'</body>'</script>", "<style></body></style>"),
        *("<a href='x>y'>", '<b c="</body>">', "<i =x>", "<u a=b c>"),
    ]
)


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=20).map("".join))
def test_the_last_body_end_is_the_one_another_tokeniser_finds(html: str) -> None:
    """On sound markup both agree."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert scan_markup(html.encode()).body_close == (reader.ends[-1] if reader.ends else -1)


@given(st.text("<>/!-='\" \nabodyscriptbody[if]", max_size=200))
def test_the_place_is_never_inside_what_is_not_shown(html: str) -> None:
    """Whatever the markup: within the text, and in none of the spans that readers leave out."""
    octets = html.encode()
    markup = scan_markup(octets)
    place = find_place(octets, markup)
    if place is not None:
        assert 0 <= place <= len(octets)
        assert not any(start < place < end for start, end in markup.unseen)
        assert not is_hidden(octets, place, markup.unseen)


@pytest.mark.parametrize(
    "html",
    [
        b"style=" * 100_000,
        b'<p style="' * 100_000,
        b"<p hidden>" * 100_000,
        b'<p style="opacity:0"></p>' * 40_000,
        b'<div style="font-size:0">' * 90 + b"</b>" * 200_000,
        b'<p style="color:rgb(' + b"255 " * 200_000 + b'">x</p>',
        b'<p style="font:' + b"1 " * 200_000 + b'">x</p>',
        b'<p style="margin:' + b"-999" * 100_000 + b'">x</p>',
        b'<a b="c" d="e' * 100_000,
        b'<a b="?c="><p d=e>' * 50_000,
        b'<a b="?c=">' * 50_000 + b"<p d=e>" * 50_000,
    ],
    ids=range(11),
)
def test_what_is_made_to_take_long_does_not(html: bytes) -> None:
    """Linear in the length, and bounded where a sender would have to mean it."""
    started = time.process_time()
    markup = scan_markup(html)
    find_place(html, markup)
    find_visible(html, [(3, 4)], markup.unseen)
    assert time.process_time() - started < 5


PIECES = st.lists(
    st.sampled_from(
        [
            "<a ",
            "<p>",
            "</a>",
            "</a b",
            "<br/>",
            'b="',
            "b='",
            "b=c",
            "=",
            '"',
            "'",
            ">",
            "<",
            " ",
            "x",
            "<!--",
            "</body>",
        ]
    ),
    max_size=30,
).map("".join)


@given(PIECES)
def test_no_tag_is_passed_over_that_reaches_beyond_the_place(html: str) -> None:
    """Tag by tag, a reader comes to the very place, unless it is said to be unsure."""
    octets = html.encode()
    place, is_sure = pass_plain(octets, 0)
    position = 0
    while is_sure and 0 <= (start := octets.find(b"<", position)) < place:
        tag = TAG.match(octets, start)
        position = tag.end() if tag else start + 1
        assert position <= place
        assert tag or not octets[start + 1 : start + 2].isalpha()


@pytest.mark.parametrize("name", sorted(UNSEEN_NAMES | {b"body", b"html", b"frameset", b"style", b"script", b"title"}))
def test_no_tag_that_matters_is_plain(name: bytes) -> None:
    """In whatever case; and a text is not called plain that has one that hides."""
    for spelling in (name, name.upper(), name.title()):
        for end in (b">", b' a="b">', b"\r\n>"):
            html = b"<p>x<" + spelling + end + b"y"
            assert pass_plain(html, 0) == (4, True)
            assert scan_markup(html).is_plain == (name not in UNSEEN_NAMES and name != b"frameset")

"""What the pages look like, kept as files beside the test: a change of a word shows up in a diff.

To renew them after a change that is meant: ``python -m tests.gateway.opt_out.test_rendering`` from the project's root.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from filters.brand import Brand
from filters.vocabulary import Channel
from gateway.opt_out.language import LANGUAGES, Language
from gateway.opt_out.rendering import PageName, PageRenderer, keep_together
from gateway.opt_out.sentences import Notice, find_notice, find_sentences

SNAPSHOTS = Path(__file__).parent / "snapshots"
BRAND = Brand(
    600123,
    600123,
    "Örnek Mağaza",
    title="Örnek Mağaza A.Ş.",
    mersis="0123456789012345",
    contact="iletisim@shop.example",
    opt_out_url="https://izin.shop.example",
)
PAGES: list[PageName] = ["ask", "done"]
CASES: list[tuple[str, PageName, Brand | None, Channel, Language]] = [
    *((f"{page}-email-{language}", page, BRAND, Channel.EMAIL, language) for page in PAGES for language in LANGUAGES),
    *((f"ask-call-{language}", PAGES[0], BRAND, Channel.CALL, language) for language in LANGUAGES),
    *((f"{page}-neutral-{language}", page, None, Channel.EMAIL, language) for page in PAGES for language in LANGUAGES),
]


def render(page: PageName, brand: Brand | None, channel: Channel, language: Language) -> str:
    """Without the version of the style sheet, which changes with its looks."""
    renderer = PageRenderer(frozenset({BRAND.code}))
    renderer._style_version = "version"  # the only part that is not words
    return renderer.render_page(page, brand, channel, language).decode("utf-8")


def render_notice(notice: Notice, language: Language) -> str:
    renderer = PageRenderer(frozenset())
    renderer._style_version = "version"
    return renderer.render_notice(notice, language, 1).decode("utf-8")


@pytest.mark.parametrize(("name", "page", "brand", "channel", "language"), CASES, ids=[case[0] for case in CASES])
def test_the_page_is_as_it_was_agreed(
    name: str, page: PageName, brand: Brand | None, channel: Channel, language: Language
) -> None:
    assert render(page, brand, channel, language) == (SNAPSHOTS / f"{name}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_notice_is_as_it_was_agreed(language: Language) -> None:
    snapshot = (SNAPSHOTS / f"notice-{language}.html").read_text(encoding="utf-8")
    assert render_notice(Notice.NOT_RECORDED, language) == snapshot


@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize("name", ["Örnek", ""])
def test_both_languages_have_the_same_sentences_and_no_gap(channel: Channel, name: str) -> None:
    """No sentence is empty, none shows a placeholder."""
    turkish, english = (find_sentences(language, channel, name) for language in LANGUAGES)
    assert turkish.keys() == english.keys()
    for sentence in (*turkish.values(), *english.values()):
        assert sentence.strip()
        assert "{" not in sentence


@pytest.mark.parametrize("notice", Notice)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_notice_has_its_words(notice: Notice, language: Language) -> None:
    title, text = find_notice(language, notice)
    assert title
    assert text.endswith(".")


def test_a_brand_may_be_named_like_a_placeholder_or_a_tag() -> None:
    """Its name is shown as it is, never filled in or run."""
    page = render("ask", Brand(1, 1, "{brand} <script>alert(1)</script> e-Mağaza"), Channel.EMAIL, "tr")
    assert "{brand} &lt;script&gt;" in page
    assert "<script>" not in page


def test_words_with_a_hyphened_e_stay_on_one_line() -> None:
    """A phone would break "e-posta" behind the e; other hyphens may break, and markup stays text."""
    assert keep_together("ticari e-posta, A-Z & <b>") == (
        'ticari <span class="together">e-posta</span>, A-Z &amp; &lt;b&gt;'
    )


def _contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2, 1.4.3)."""

    def luminance(colour: str) -> float:
        channels = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        ("ink", "card"),
        ("soft", "card"),
        ("soft", "ground"),
        ("act", "ground"),
        ("act-ink", "act"),
        ("act-ink", "act-over"),
        ("done", "done-ground"),
    ],
)
def test_text_can_be_read_in_both_schemes(scheme: int, ink: str, ground: str) -> None:
    """At least 4.5 to 1 (WCAG 2.2 AA)."""
    style = PageRenderer(frozenset()).style.decode("utf-8")
    root = style.split(":root {")[1 + scheme].split("}")[0]
    colours = {
        name.strip().removeprefix("--"): value.strip()
        for name, _, value in (line.partition(":") for line in root.split(";"))
    }
    assert _contrast(colours[ink], colours[ground]) >= 4.5


if __name__ == "__main__":
    for name, page, brand, channel, language in CASES:
        (SNAPSHOTS / f"{name}.html").write_text(render(page, brand, channel, language), encoding="utf-8")
    for each in LANGUAGES:
        (SNAPSHOTS / f"notice-{each}.html").write_text(render_notice(Notice.NOT_RECORDED, each), encoding="utf-8")

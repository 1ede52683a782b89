"""Templates and sentences become bytes. Every page is rendered once and kept: there are few, and none holds anything
of the person or the token, so equal answers are equal to the byte and take equally long.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import jinja2
from markupsafe import Markup, escape

from filters.brand import Brand
from filters.vocabulary import Channel
from gateway.opt_out.language import LANGUAGES, Language
from gateway.opt_out.sentences import Notice, find_notice, find_sentences

_HERE = Path(__file__).parent

_HYPHENED = re.compile(r"\b[eE]-\w{1,12}\b")

PageName = Literal["ask", "done"]


class PageRenderer:
    """Renders for a fixed set of brands; ``logos`` are the codes of those that have one."""

    def __init__(self, logos: frozenset[int]) -> None:
        self._logos = logos
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["together"] = keep_together
        self.style = (_HERE / "static" / "style.css").read_bytes()
        self._style_version = blake2b(self.style, digest_size=4).hexdigest()
        self._pages: dict[tuple[PageName, int | None, Channel, Language], bytes] = {}
        self._notices: dict[tuple[Notice, Language, int], bytes] = {}

    def render_page(self, name: PageName, brand: Brand | None, channel: Channel, language: Language) -> bytes:
        """The page as it stands under ``/u/``; neutral where ``brand`` is None."""
        place = (name, brand.code if brand else None, channel, language)
        page = self._pages.get(place)
        if page is None:
            has_logo = brand is not None and brand.code in self._logos
            page = self._pages[place] = self._render(
                f"{name}.html",
                language=language,
                root="../",
                brand=brand,
                logo=f"../logo/{brand.code}" if brand is not None and has_logo else "",
                s=find_sentences(language, channel, brand.name if brand else ""),
            )
        return page

    def render_notice(self, notice: Notice, language: Language, depth: int) -> bytes:
        """A small page in both languages, ``language`` first. ``depth``: slashes of the path after the first.

        In both, because who ends up here sent a request that may well have said nothing of a language.
        """
        place = (notice, language, depth)
        page = self._notices.get(place)
        if page is None:
            other = LANGUAGES[1 - LANGUAGES.index(language)]
            texts = []
            for each in (language, other):
                title, text = find_notice(each, notice)
                texts.append({"language": each, "title": title, "text": text})
            page = self._notices[place] = self._render(
                "notice.html", language=language, root="../" * depth, first=texts[0], second=texts[1]
            )
        return page

    def _render(self, template: str, **values: object) -> bytes:
        return (
            self._environment.get_template(template).render(style_version=self._style_version, **values).encode("utf-8")
        )


def keep_together(text: str) -> Markup:
    """``text`` escaped, with words like "e-posta" kept on one line: a phone would break them behind the e."""
    return Markup(_HYPHENED.sub(r'<span class="together">\g<0></span>', str(escape(text))))  # noqa: S704 - escaped here

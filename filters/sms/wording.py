"""The words of the opt-out in SMS: how to refuse, and who sends (content rules C2 and C3; Law 6563 7/2).

Every form is made of ASCII characters that cost one unit in every alphabet, so that none of them can change the
alphabet of a text. Each names the brand's keyword and its number; what is dropped to save room are other words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from filters.brand import Brand
from filters.sms.alphabet import ASCII_ONE_UNIT, fold_letters
from filters.sms.letters import fold_text

SmsLanguage = Literal["tr", "en"]

_FORMS: Final[dict[SmsLanguage, tuple[str, ...]]] = {
    "tr": (
        "SMS almamak icin {keyword} yazip {number}'{dative} gonderin",
        "SMS ret: {keyword} yaz {number}'{dative} gonder",
        "Ret: {keyword} yaz {number}'{dative}",
        "Ret:{keyword}>{number}",
    ),
    "en": (
        "To stop these SMS, send {keyword} to {number}",
        "Stop SMS: {keyword} to {number}",
        "Stop:{keyword}>{number}",
    ),
}

_LAST_DIGIT: Final = dict(zip("123456789", ("e", "ye", "e", "e", "e", "ya", "ye", "e", "a"), strict=True))
_LAST_TEN: Final = dict(zip("123456789", ("a", "ye", "a", "a", "ye", "a", "e", "e", "a"), strict=True))

_MAX_DISTANCE: Final = 60
"""Characters between keyword and number for them to belong together."""


class Identity(StrEnum):
    """Whether the sender's MERSİS number (or a tradesman's name and T.C. number) goes into the suffix.

    ``ALWAYS`` has no form without it; ``WHERE_FITS`` drops it before the opt-out would be refused.
    """

    OMITTED = "omitted"
    WHERE_FITS = "where_fits"
    ALWAYS = "always"


class Trace(NamedTuple):
    """How to find something in a text: without ``ending`` in the raw text there is no need to look for ``patterns``."""

    ending: str
    patterns: tuple[re.Pattern[str], ...]


class OptOutWords(NamedTuple):
    """A brand's opt-out in all its forms, longest first and each with its leading space.

    ``without_identity`` are those for a text in which the identity stands already. ``route`` finds keyword and number
    together in folded text, ``identity`` the identity's digits in raw text (None where there is none).
    """

    forms: tuple[str, ...]
    without_identity: tuple[str, ...]
    route: Trace
    identity: Trace | None

    def is_in(self, text: str) -> bool:
        """Whether the brand's own keyword and number already stand together in ``text`` (C2.7).

        Loosely: any case, with or without Turkish letters, other signs between the words. Another brand's keyword,
        another number, and a number that is part of a longer one do not count.
        """
        ending, patterns = self.route
        if ending not in text:
            return False
        folded = fold_text(text)
        return any(pattern.search(folded) for pattern in patterns)

    def find_forms(self, text: str) -> tuple[str, ...]:
        """The forms to choose from for ``text``, longest first."""
        if self.identity is None or self.identity.ending not in text:
            return self.forms
        is_named = any(pattern.search(text) for pattern in self.identity.patterns)
        return self.without_identity if is_named else self.forms


def make_opt_out_words(
    brand: Brand,
    keyword: str,
    number: str,
    *,
    language: SmsLanguage = "tr",
    identity: Identity = Identity.WHERE_FITS,
) -> OptOutWords:
    """The forms for ``brand``, whose recipients refuse by sending ``keyword`` to ``number``.

    Turkish letters of the keyword are written as their ASCII look-alikes, which inbound matching takes as the same.
    Raises ``ValueError`` for a keyword without letters or digits or with characters that some alphabet lacks, for a
    number that is not 3 to 15 digits with an optional plus sign, and for ``ALWAYS`` where the brand has no identity.
    """
    keyword = " ".join(fold_letters(keyword).split())
    if not set(keyword) <= ASCII_ONE_UNIT or not any(char.isalnum() for char in keyword):
        raise ValueError("keyword: expected letters and digits that every SMS alphabet has")
    if not re.fullmatch(r"\+?[0-9]{3,15}", number):
        raise ValueError("number: expected 3 to 15 digits")
    identity_digits = brand.mersis or brand.trader_id
    words = {"keyword": keyword, "number": number, "dative": _find_dative(number)}
    bare = _sort(form.format_map(words) for form in _FORMS[language])
    sender = "" if identity is Identity.OMITTED else _name_sender(brand)
    if identity is Identity.ALWAYS and not sender:
        raise ValueError("identity: the brand has neither MERSIS number nor name and T.C. number")
    # The opt-out comes last, whoever reads only the end finds it (C2.2).
    named = [f"{sender} {form}" for form in bare] if sender else []
    forms = named if identity is Identity.ALWAYS else [*named, *bare]
    return OptOutWords(
        tuple(f" {form}" for form in _sort(forms)),
        tuple(f" {form}" for form in bare),
        Trace(number[-2:], _match_route(keyword, number)),
        Trace(identity_digits[-4:], (re.compile(rf"(?<![0-9]){' ?'.join(identity_digits)}(?![0-9])"),))
        if sender
        else None,
    )


def _sort(forms: Iterable[str]) -> list[str]:
    return sorted(forms, key=len, reverse=True)


def _name_sender(brand: Brand) -> str:
    """``Mersis:`` and 16 digits, or a tradesman's name and number; "" where either has what SMS cannot carry."""
    if brand.mersis:
        return f"Mersis:{brand.mersis}"
    if brand.trader_name and brand.trader_id:
        name = f"{fold_letters(brand.trader_name)} TC:{brand.trader_id}"
        return name if set(name) <= ASCII_ONE_UNIT else ""
    return ""


def _find_dative(number: str) -> str:
    """The ending of "to" behind a number read in Turkish: 3338'e, 4946'ya, 3342'ye, 4609'a."""
    if number[-1] != "0":
        return _LAST_DIGIT[number[-1]]
    if number[-2] != "0":
        return _LAST_TEN[number[-2]]
    return "e"  # yüz, bin


def _match_number(number: str) -> str:
    """The number with blanks, dots or hyphens between digits, and nothing of a longer number around it.

    A long number may stand with or without the country's prefix.
    """
    digits = number.lstrip("+")
    prefix = ""
    if len(digits) > 10:
        prefix, digits = f"(?:{digits[:-10]}[ .-]?|0)?", digits[-10:]
    return f"(?<![0-9]){prefix}{'[ .-]?'.join(digits)}(?![0-9])"


def _match_route(keyword: str, number: str) -> tuple[re.Pattern[str], ...]:
    """Keyword before number, and number before keyword, in folded text."""
    first, *others = re.findall(r"[^\W_]+", fold_text(keyword))
    # The look behind comes after the first letter, which a search alone finds several times as fast.
    said = f"{first[0]}(?<![^\\W_]{first[0]})" + r"[\W_]{0,3}".join([first[1:], *others]) + r"(?![^\W_])"
    called = _match_number(number)
    between = f"(?s:.{{0,{_MAX_DISTANCE}}}?)"
    return re.compile(said + between + called), re.compile(called + between + said)

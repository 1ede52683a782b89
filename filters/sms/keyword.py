"""Reading an SMS that a recipient sent: is it a refusal, and whose messages does it refuse?

The rule. A text is a refusal if a person plainly refuses and says nothing else:

1. It is a brand's registered keyword, however typed; or
2. all of it is known: words that refuse (``refusal_words``), brand names, the number it went to, and words that may
   stand beside a refusal (please, SMS, I want …), with at least one that refuses; or
3. its first sentence is nothing but one of the plainest words (RET, RED, STOP …), or a refusal with such a word and
   the brand's name, and the rest does not take it back.

One unknown word makes the difference: "iptal etmeyin" (do not cancel), "siparişimi iptal edin" (cancel my order),
"ret mi?" are no refusals. They hold a word that tells, so they are ``UNCLEAR``, for a person to look at; all other
talk is ``OTHER``. Words that would opt in (ONAY, EVET, KABUL, START …) are ``OTHER`` too: there is no reading that
means consent, because consent is given elsewhere and proven there.

Typed in any case, with either i, with or without Turkish letters, in quotes, with spaces or dots between letters,
with letters held down, glued to the brand's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from filters.sms.letters import fold_text
from filters.sms.refusal_words import (
    CORE_PHRASES,
    CURT_WORDS,
    FILLERS,
    INVERTED,
    LINKS,
    NOUNS,
    PLAIN_WORDS,
    POLITE_WORDS,
    TELLING,
    WITHDRAWALS,
)

_MAX_CHARACTERS: Final = 1000
_MAX_WORDS: Final = 24
_LONGEST_PHRASE: Final = max(map(len, CORE_PHRASES))

_APART: Final = re.compile(r"(?<![^\W_])(?:[^\W_][ .\-_*]){2,}[^\W_](?![^\W_])")
"""``R.E.T``, ``r e t``."""
_ENDING: Final = re.compile(
    r"(?<=[^\W_])['’‘´`](?:y?[aeiu]|n[iu]n|[iu]n|[dt][ae]n?|y?l[ae]|l[ae]r[a-z]{0,4})(?![^\W_])"
)
"""Turkish endings of names and numbers: ``3338'e``, ``Örnek'ten``."""
_APOSTROPHE: Final = re.compile(r"(?<=[^\W_])['’‘´`](?=[^\W_])")
_HELD: Final = re.compile(r"([^\W\d_])\1{2,}")
_PIECES: Final = re.compile(r"[^\W_]+|[.!?;,:\n\r…]+|\s-+\s")
_WORD: Final = re.compile(r"[^\W_]+")
_HARMLESS_DIGITS: Final = re.compile(r"[0-9]{10,13}|b[0-9]{3}")
"""A person's own phone number; the operator's code out of the message answered."""


class Meaning(StrEnum):
    """What a text says. Nothing it can say is consent."""

    REFUSAL = "refusal"
    UNCLEAR = "unclear"
    OTHER = "other"


class Reading(NamedTuple):
    """``brands``: the codes refused, in the book's order; all that share the number where none is named.

    Empty unless ``meaning`` is a refusal, and where no brand is known at that number.
    """

    meaning: Meaning
    brands: tuple[int, ...] = ()
    is_named: bool = False


class BrandKeyword(NamedTuple):
    """What recipients of a brand were told to write and where to; ``names``: other spellings of the brand."""

    brand: int
    keyword: str
    number: str
    names: tuple[str, ...] = ()


_Phrase = tuple[str, ...]
_GLUED: Final = tuple(phrase[0] for phrase in CORE_PHRASES if len(phrase) == 1 and len(phrase[0]) > 2)
_OTHER: Final = Reading(Meaning.OTHER)
_UNCLEAR: Final = Reading(Meaning.UNCLEAR)


class KeywordBook:
    """All brands' keywords, by the number they are sent to."""

    __slots__ = ("_all", "_by_number")

    def __init__(self, keywords: Iterable[BrandKeyword]) -> None:
        """Raises ``ValueError`` for a keyword without a letter or digit, and for a number without a digit."""
        entries = list(keywords)
        by_number: dict[str, list[BrandKeyword]] = {}
        for entry in entries:
            number = _shorten_number(entry.number)
            if not number:
                raise ValueError("number: expected digits")
            by_number.setdefault(number, []).append(entry)
        self._all = _Shelf(entries)
        self._by_number = {number: _Shelf(shelf) for number, shelf in by_number.items()}

    def read(self, text: str, number: str = "") -> Reading:
        """What ``text``, sent to ``number``, says; "" where the provider does not tell the number."""
        if not number:
            return self._all.read(text, "")
        digits = _shorten_number(number)
        shelf = self._by_number.get(digits)
        if shelf is not None:
            return shelf.read(text, digits)
        # A number of nobody's: the sender title answered to, or ours as the provider spells it. Who names the brand
        # refuses it there as well; who names none says nothing about any of them.
        reading = self._all.read(text, digits)
        return reading if reading.is_named else _EMPTY.read(text, digits)


class _Shelf:
    """The brands at one number."""

    def __init__(self, entries: Sequence[BrandKeyword]) -> None:
        self._brands = tuple(dict.fromkeys(entry.brand for entry in entries))
        self._keywords: dict[_Phrase, set[int]] = {}
        self._names: dict[_Phrase, set[int]] = {}
        for entry in entries:
            words = tuple(_WORD.findall(fold_text(entry.keyword)))
            if not words:
                raise ValueError("keyword: expected a letter or a digit")
            self._keywords.setdefault(words, set()).add(entry.brand)
            rest = tuple(word for word in words if (word,) not in CORE_PHRASES and word not in CURT_WORDS)
            names = [tuple(_WORD.findall(fold_text(name))) for name in (*entry.names, str(entry.brand))]
            for name in (rest, *names):
                if name:
                    self._names.setdefault(name, set()).add(entry.brand)
                    self._names.setdefault(("".join(name),), set()).add(entry.brand)
        self._longest = max(map(len, (*self._names, *CORE_PHRASES)), default=_LONGEST_PHRASE)

    def read(self, text: str, number: str) -> Reading:
        clauses = _split_clauses(text[:_MAX_CHARACTERS])
        words = tuple(word for clause in clauses for word in clause)
        if not words:
            return _OTHER
        if len(text) <= _MAX_CHARACTERS and len(words) <= _MAX_WORDS:
            reading = self._read_keyword(words, number) or self._read_all(clauses, number)
            if reading:
                return reading
        first, rest = clauses[0], words[len(clauses[0]) :]
        if rest and not WITHDRAWALS.intersection(rest):
            reading = self._read_all([first], number)
            is_plain = set(first) - POLITE_WORDS <= PLAIN_WORDS
            if reading and (is_plain or (reading.is_named and not PLAIN_WORDS.isdisjoint(first))):
                return reading
        return _UNCLEAR if any(map(self._is_telling, clauses)) else _OTHER

    def _read_keyword(self, words: _Phrase, number: str) -> Reading | None:
        """Rule 1, with politeness and the number itself beside it."""
        bare = tuple(word for word in words if word != number and word not in POLITE_WORDS)
        brands = self._keywords.get(words) or self._keywords.get(bare)
        return self._refuse(brands) if brands else None

    def _read_all(self, clauses: list[_Phrase], number: str) -> Reading | None:
        """Rule 2."""
        named: set[int] = set()
        is_refusal = is_curt = has_fillers = False
        for clause in clauses:
            if _is_inverted(clause):
                return None
            position = 0
            while position < len(clause):
                taken, brands, is_core = self._match(clause, position)
                word = clause[position]
                if taken:
                    named |= brands
                    is_refusal |= is_core
                    position += taken
                    continue
                if word in CURT_WORDS:
                    is_curt = True
                elif word in FILLERS:
                    has_fillers |= word not in POLITE_WORDS
                elif word != number and not _HARMLESS_DIGITS.fullmatch(word):
                    return None
                position += 1
        if is_refusal or (is_curt and not has_fillers):
            return self._refuse(named)
        return None

    def _match(self, clause: _Phrase, position: int) -> tuple[int, set[int], bool]:
        """The longest phrase at ``position``: words taken, brands named, whether it refuses."""
        for length in range(min(self._longest, len(clause) - position), 0, -1):
            phrase = clause[position : position + length]
            if phrase in self._names:
                return length, self._names[phrase], False
            if phrase in CORE_PHRASES:
                return length, set(), True
        brands = self._find_glued(clause[position])
        return (1, brands, True) if brands else (0, set(), False)

    def _find_glued(self, word: str) -> set[int]:
        """``retornek``, ``ornekiptal``: the brands named by a word that is name and refusal in one."""
        for core in _GLUED:
            if word.startswith(core) and (brands := self._names.get((word[len(core) :],))):
                return brands
            if word.endswith(core) and (brands := self._names.get((word[: -len(core)],))):
                return brands
        return set()

    def _is_telling(self, clause: _Phrase) -> bool:
        for position, word in enumerate(clause):
            taken, brands, is_core = self._match(clause, position)
            if is_core and (taken > 1 or brands or word in TELLING):
                return True
        return False

    def _refuse(self, named: set[int]) -> Reading:
        if not named:
            return Reading(Meaning.REFUSAL, self._brands)
        return Reading(Meaning.REFUSAL, tuple(brand for brand in self._brands if brand in named), is_named=True)


_EMPTY: Final = _Shelf(())


def _shorten_number(number: str) -> str:
    """The digits of a number; of a long one those that do not depend on how the country is written."""
    digits = "".join(re.findall("[0-9]", number))
    return digits[-10:] if len(digits) > 10 else digits


def _split_clauses(text: str) -> list[_Phrase]:
    """The folded words of each sentence or part of one; no empty ones."""
    folded = _APART.sub(lambda match: re.sub(r"[\W_]", "", match[0]), fold_text(text))
    folded = _APOSTROPHE.sub("", _ENDING.sub("", folded))
    clauses: list[list[str]] = [[]]
    for piece in _PIECES.findall(folded):
        if _WORD.fullmatch(piece):
            clauses[-1].append(_let_go(piece))
        elif clauses[-1]:
            clauses.append([])
    return [tuple(clause) for clause in clauses if clause]


def _let_go(word: str) -> str:
    """``rettt`` and ``rett`` are ``ret``: letters held down or struck twice."""
    word = _HELD.sub(r"\1", word)
    if len(word) > 3 and word[-1] == word[-2] and (word[:-1],) in CORE_PHRASES:
        return word[:-1]
    return word


def _is_inverted(clause: _Phrase) -> bool:
    """``iptal etmek istemiyorum``: the refusal is what is not wanted."""
    for position, word in enumerate(clause):
        if word in INVERTED:
            before = position - 1
            while before >= 0 and clause[before] in LINKS:
                before -= 1
            if before >= 0 and clause[before] in NOUNS:
                return True
    return False

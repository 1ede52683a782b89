"""Putting the opt-out into an SMS: never another alphabet, never a segment more that nobody was told of (C2).

A sender's own words are never changed, shortened or folded. Where the opt-out does not fit, the text is refused with
the number of characters to cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from filters.sms.alphabet import ASCII_ONE_UNIT, Encoding, Units
from filters.sms.dialect import Segments
from filters.sms.message import Alphabet, TextKind
from filters.sms.profiles import Attempt, Profile
from filters.sms.segments import Packing, pack_units
from filters.sms.wording import OptOutWords

DEFAULT_PLACEHOLDER = "{{opt_out}}"

_MAX_PLACEHOLDERS = 8
"""More are left as they stand: whoever writes so many does not mean the opt-out."""


class SuffixPolicy(StrEnum):
    """What to do where the opt-out would take a further segment (C2.4).

    ``FIT``: the longest form that adds none, else refuse. ``REFUSE``: the full form or none. ``ALLOW``: the longest
    form that adds as few as can be; the answer tells.
    """

    FIT = "fit"
    ALLOW = "allow"
    REFUSE = "refuse"


class SuffixProblem(StrEnum):
    """Why a text cannot carry the opt-out."""

    NOT_PLAIN = "not_plain"
    """An OTP, binary or template text, in which nothing may or can be put (C2.9)."""
    NOT_TEXT = "not_text"
    """It holds half a surrogate pair, which no alphabet has, or a zero, where readers end a text."""
    NO_ROOM = "no_room"
    """A further segment would be needed."""
    TOO_LONG = "too_long"
    """The result would pass what the provider takes at most."""


class Suffixed(NamedTuple):
    """A text that carries the opt-out. ``suffix`` is what was added, "" where the sender had written its own."""

    text: str
    encoding: Encoding
    segments: Segments
    suffix: str


class SuffixRefusal(NamedTuple):
    """A text that cannot carry the opt-out. ``cut``: characters to take off its end so that it can, in the same
    alphabet and still with the identity that it held; None where cutting does not help.
    """

    problem: SuffixProblem
    cut: int | None = None

    @property
    def detail(self) -> str:
        """For the sender; holds nothing of the text."""
        sentence = _SENTENCES[self.problem]
        return f"{sentence}; cut {self.cut} characters" if self.cut else sentence


_SENTENCES = {
    SuffixProblem.NOT_PLAIN: "text: an opt-out cannot be put into an OTP, binary or template message",
    SuffixProblem.NOT_TEXT: "text: half a surrogate pair or a zero is no character",
    SuffixProblem.NO_ROOM: "text: the opt-out does not fit without a further segment",
    SuffixProblem.TOO_LONG: "text: too long with the opt-out",
}

_ONE_UNIT = "".join(ASCII_ONE_UNIT).encode() + b"\r\n"
Measure = int | tuple[int, int, Encoding]
"""All that matters of a text without pairs at the end of a segment and without opt-out or identity: its characters,
and where they are not all of one unit in any alphabet, also the units and in which.
"""
_MAX_KNOWN = 4096
_AT_ONCE = 1000
_new = tuple.__new__
"""Half the time of the class's own way."""
_NOT_PLAIN = SuffixRefusal(SuffixProblem.NOT_PLAIN)
_NOT_TEXT = SuffixRefusal(SuffixProblem.NOT_TEXT)


_Known = dict[Alphabet, dict[Measure, Suffixed | SuffixRefusal]]


class SuffixWriter:
    """Puts one brand's opt-out into texts that leave by one profile.

    Of the texts it keeps only measures. What an ordinary text gets depends on its length and cost alone, and personal
    texts of one campaign differ little in these, so that most of them need no search for a form.
    """

    __slots__ = ("_attempts", "_code", "_known", "_placeholder", "_policy", "_profile", "_standing", "_words")

    def __init__(
        self,
        words: OptOutWords,
        profile: Profile,
        policy: SuffixPolicy = SuffixPolicy.FIT,
        placeholder: str = DEFAULT_PLACEHOLDER,
    ) -> None:
        """Where ``placeholder`` stands in a text the opt-out takes its place and nothing is appended; "" for none."""
        self._words = words
        self._profile = profile
        self._policy = policy
        self._placeholder = placeholder
        self._code = profile.code_length
        self._attempts = {alphabet: profile.find_attempts(alphabet) for alphabet in Alphabet}
        self._known: _Known = {alphabet: {} for alphabet in Alphabet}
        self._standing: _Known = {alphabet: {} for alphabet in Alphabet}

    def write(
        self, text: str, alphabet: Alphabet = Alphabet.AUTO, kind: TextKind = TextKind.PLAIN
    ) -> Suffixed | SuffixRefusal:
        """``text``, which must carry the opt-out, with it."""
        if kind is not TextKind.PLAIN:
            return _NOT_PLAIN
        if self._placeholder and self._placeholder in text:
            return self._fill(text, alphabet)
        words = self._words
        is_standing = words.is_in(text)
        if not is_standing and words.identity and words.identity.ending in text:
            return self._append(text, alphabet)
        known = (self._standing if is_standing else self._known)[alphabet]
        measure: Measure
        if text.isascii() and not text.encode().translate(None, _ONE_UNIT):
            measure = len(text)
        else:
            measured = self._measure(text, alphabet)
            if measured is None:
                return _NOT_TEXT
            attempt, units = measured
            if units.pairs and units.total > attempt.capacity.each:
                return self._append(text, alphabet)
            measure = len(text), units.total, attempt.encoding
        result = known.get(measure)
        if result is None:
            result = self._append(text, alphabet)
            # How much to cut depends on more than the measure where characters differ in cost.
            if isinstance(result, Suffixed) or isinstance(measure, int):
                if len(known) >= _MAX_KNOWN:
                    known.clear()
                known[measure] = result._replace(text="") if isinstance(result, Suffixed) else result
            return result
        if isinstance(result, SuffixRefusal):
            return result
        _, encoding, segments, suffix = result
        return Suffixed(text + suffix, encoding, segments, suffix)

    def write_each(
        self, texts: Sequence[str], alphabet: Alphabet = Alphabet.AUTO, kind: TextKind = TextKind.PLAIN
    ) -> list[Suffixed | SuffixRefusal]:
        """``write`` for each text, in order; equal texts cost one computation, ordinary ones a fifth of it."""
        different = texts if len(set(texts)) == len(texts) else list(dict.fromkeys(texts))
        results: list[Suffixed | SuffixRefusal] = []
        for begin in range(0, len(different), _AT_ONCE):
            results += self._write_some(different[begin : begin + _AT_ONCE], alphabet, kind)
        if different is texts:
            return results
        return list(map(dict(zip(different, results, strict=True)).__getitem__, texts))

    def _write_some(self, texts: Sequence[str], alphabet: Alphabet, kind: TextKind) -> list[Suffixed | SuffixRefusal]:
        whole = "".join(texts)
        placeholder = self._placeholder
        if (
            kind is not TextKind.PLAIN
            or not whole.isascii()
            or (placeholder and placeholder in whole)
            or whole.encode().translate(None, _ONE_UNIT)
        ):
            return [self.write(text, alphabet, kind) for text in texts]
        # All their characters cost one unit: of those in which neither opt-out nor identity may stand, the length says
        # what they get.
        words, known = self._words, self._known[alphabet]
        route = words.route.ending
        identity = words.identity.ending if words.identity else route
        results: list[Suffixed | SuffixRefusal] = []
        for text in texts:
            result = None if route in text or identity in text else known.get(len(text))
            if result is None:
                result = self.write(text, alphabet, kind)
            elif type(result) is Suffixed:
                _, encoding, segments, suffix = result
                result = _new(Suffixed, (text + suffix, encoding, segments, suffix))
            results.append(result)
        return results

    def _append(self, text: str, alphabet: Alphabet) -> Suffixed | SuffixRefusal:
        packed = self._pack(text, alphabet)
        if packed is None:
            return _NOT_TEXT
        attempt, packing = packed
        before = packing.count(self._code)
        if self._words.is_in(text):
            return Suffixed(text, attempt.encoding, Segments(before, before), "")
        forms = self._words.find_forms(text)
        longest = self._find_longest(text, packing, before)
        for form in forms if self._policy is not SuffixPolicy.REFUSE else forms[:1]:
            if len(form) <= longest:
                return Suffixed(text + form, attempt.encoding, Segments(before, before), form)
        if self._policy is SuffixPolicy.ALLOW:
            return self._append_anyway(text, attempt, packing, forms)
        wanted = len(forms[0 if self._policy is SuffixPolicy.REFUSE else -1])
        return self._refuse(text, attempt, packing, wanted)

    def _measure(self, text: str, alphabet: Alphabet) -> tuple[Attempt, Units] | None:
        """Which encoding ``text`` gets, and what it costs there; None for what is no text."""
        if "\0" in text:
            # Where a reader ends the text here, the opt-out behind it would not be seen.
            return None
        for attempt in self._attempts[alphabet]:
            units = attempt.measure(text)
            if units is not None:
                return attempt, units
        return None

    def _pack(self, text: str, alphabet: Alphabet) -> tuple[Attempt, Packing] | None:
        """Which encoding ``text`` gets, and its layout."""
        measured = self._measure(text, alphabet)
        if measured is None:
            return None
        attempt, units = measured
        return attempt, pack_units(units, attempt.encoding, attempt.capacity)

    def _find_longest(self, text: str, packing: Packing, before: int) -> int:
        """Characters that can be appended without a further segment and within the provider's limits."""
        profile = self._profile
        if before > profile.max_segments:
            return -1
        room = packing.find_room(before) - self._code
        return min(room, profile.max_characters - len(text)) if profile.max_characters else room

    def _append_anyway(
        self, text: str, attempt: Attempt, packing: Packing, forms: tuple[str, ...]
    ) -> Suffixed | SuffixRefusal:
        profile = self._profile
        after = packing.count(self._code + len(forms[-1]))
        if after > profile.max_segments or 0 < profile.max_characters < len(text) + len(forms[-1]):
            return self._refuse(text, attempt, packing, len(forms[-1]))
        longest = self._find_longest(text, packing, after)
        form = next(form for form in forms if len(form) <= longest)
        return Suffixed(text + form, attempt.encoding, Segments(packing.count(self._code), after), form)

    def _fill(self, text: str, alphabet: Alphabet) -> Suffixed | SuffixRefusal:
        """The opt-out in each place the sender marked for it; "before" is the text without the marks."""
        profile = self._profile
        pieces = text.split(self._placeholder, _MAX_PLACEHOLDERS)
        bare = "".join(pieces)
        packed = self._pack(bare, alphabet)
        if packed is None:
            return _NOT_TEXT
        attempt, packing = packed
        before = packing.count(self._code)
        forms = self._words.find_forms(text)
        best: Suffixed | None = None
        for form in forms if self._policy is not SuffixPolicy.REFUSE else forms[:1]:
            phrase = form[1:]
            filled = _fill_gaps(pieces, phrase)
            if 0 < profile.max_characters < len(filled):
                continue
            filled_packed = self._pack(filled, alphabet)
            after = filled_packed[1].count(self._code) if filled_packed else profile.max_segments + 1
            if after > profile.max_segments:
                continue
            if best is None or after < best.segments.after:
                best = Suffixed(filled, attempt.encoding, Segments(before, after), phrase)
            if after <= before:
                break
        if best and (best.segments.after <= before or self._policy is SuffixPolicy.ALLOW):
            return best
        wanted = len(forms[0 if self._policy is SuffixPolicy.REFUSE else -1]) - 1
        return self._refuse(bare, attempt, packing, (wanted + 2) * (len(pieces) - 1))

    def _refuse(self, text: str, attempt: Attempt, packing: Packing, wanted: int) -> SuffixRefusal:
        profile = self._profile
        before = packing.count(self._code)
        is_too_long = (
            before > profile.max_segments
            or 0 < profile.max_characters < len(text) + wanted
            or packing.count(self._code + wanted) > profile.max_segments
        )
        is_free = self._policy is SuffixPolicy.ALLOW
        cut: int | None = None
        for segments in (profile.max_segments if is_free else min(before, profile.max_segments), 1):
            kept, left = self._find_prefix(text, attempt, segments, wanted)
            # A cut that saves a segment by itself must not be eaten up by the opt-out.
            if kept and (is_free or left == segments):
                cut = len(text) - kept
                break
        return SuffixRefusal(SuffixProblem.TOO_LONG if is_too_long else SuffixProblem.NO_ROOM, cut)

    def _find_prefix(self, text: str, attempt: Attempt, segments: int, wanted: int) -> tuple[int, int]:
        """The most characters of ``text`` that take ``segments`` with ``wanted`` more behind them, and how many
        segments they take without; 0 where not even one character does."""
        high = min(len(text), segments * attempt.capacity.single)
        if self._profile.max_characters:
            high = min(high, self._profile.max_characters - wanted)
        low, taken = 0, 0
        while low < high:
            middle = (low + high + 1) // 2
            packing = attempt.pack(text[:middle])
            if packing and packing.find_room(segments) >= self._code + wanted:
                low, taken = middle, packing.count(self._code)
            else:
                high = middle - 1
        return low, taken


def _fill_gaps(pieces: Sequence[str], phrase: str) -> str:
    """``phrase`` between the pieces, set apart by a blank where it would touch a letter, a digit or an accent: a digit
    glued to the number would make another number of it."""
    filled = pieces[0]
    for piece in pieces[1:]:
        before = "" if not filled or _is_boundary(filled[-1]) else " "
        after = "" if not piece or _is_boundary(piece[0]) else " "
        filled = f"{filled}{before}{phrase}{after}{piece}"
    return filled


def _is_boundary(character: str) -> bool:
    return character.isspace() or (character.isascii() and not character.isalnum())

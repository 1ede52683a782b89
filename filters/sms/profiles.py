"""What each provider does with a text: which encodings it has, how Turkish is switched on, and where its limits lie.

Which letters cost what is the provider's affair (content rules C1, sms-dialects 1 and 12). Where its documents are
silent we take the smaller capacity: forced Turkish counts with the national header even for a text without one Turkish
letter, and the operator's code is reserved on every route. ``docs/sms-text.md`` lists what is not confirmed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from filters.sms.alphabet import Encoding, Units, find_measure, measure_folded
from filters.sms.message import Alphabet
from filters.sms.segments import MAX_SEGMENTS, Capacity, Packing, find_capacity, pack_units

OPERATOR_CODE_LENGTH: Final = len(" B001")
"""The space and four characters that operators put behind each bulk SMS, once a message (2016/DK-YED/211, 5)."""


class Mode(NamedTuple):
    """What one choice of alphabet leads to: the first of ``encodings`` that can hold the text.

    ``is_folded``: the provider first turns Turkish letters and typographic marks into ASCII look-alikes. A text that
    none of them can hold travels as UCS-2, so UCS-2 need not be named.
    """

    encodings: tuple[Encoding, ...]
    is_folded: bool = False


class Attempt(NamedTuple):
    """One encoding to be tried: what a text would cost in it, and what a segment holds."""

    encoding: Encoding
    measure: Callable[[str], Units | None]
    capacity: Capacity

    def pack(self, text: str) -> Packing | None:
        """``text`` laid out in segments; None where this encoding cannot hold it."""
        units = self.measure(text)
        return None if units is None else pack_units(units, self.encoding, self.capacity)


class Profile(NamedTuple):
    """One provider's way with texts. ``modes`` has an entry for each choice the dialect offers; others are ``AUTO``.

    ``max_segments`` and ``max_characters`` (0: no limit known) count after the suffix, the code included in segments
    only. ``reference_bits``: width of the reference that counts the parts of a long message.
    """

    name: str
    modes: dict[Alphabet, Mode]
    code_length: int = OPERATOR_CODE_LENGTH
    max_segments: int = MAX_SEGMENTS
    max_characters: int = 0
    reference_bits: int = 8

    def find_attempts(self, alphabet: Alphabet) -> tuple[Attempt, ...]:
        """The encodings in the order in which they are tried; the first that can hold a text is the one it gets."""
        mode = self.modes.get(alphabet) or self.modes[Alphabet.AUTO]
        encodings = dict.fromkeys((*mode.encodings, Encoding.UCS2))
        return tuple(
            Attempt(
                encoding,
                measure_folded if mode.is_folded and encoding is Encoding.GSM7 else find_measure(encoding),
                find_capacity(encoding, self.reference_bits),
            )
            for encoding in encodings
        )

    def pack(self, text: str, alphabet: Alphabet = Alphabet.AUTO) -> tuple[Encoding, Packing] | None:
        """The encoding ``text`` will travel in, and how it is laid out there, the operator's code not in it.

        None for what is no text (half a surrogate pair).
        """
        for attempt in self.find_attempts(alphabet):
            packing = attempt.pack(text)
            if packing is not None:
                return attempt.encoding, packing
        return None

    def count_segments(self, text: str, alphabet: Alphabet = Alphabet.AUTO) -> int | None:
        """Segments the sender pays for, the operator's code included; None for what is no text."""
        packed = self.pack(text, alphabet)
        return None if packed is None else packed[1].count(self.code_length)


_PLAIN = Mode((Encoding.GSM7,))
_FOLDED = Mode((Encoding.GSM7,), is_folded=True)
_SINGLE = Mode((Encoding.TURKISH_SINGLE,))
_LOCKING = Mode((Encoding.TURKISH_LOCKING,))
_UNICODE = Mode((Encoding.UCS2,))
_BY_CONTENT = Mode((Encoding.GSM7, Encoding.TURKISH_SINGLE))

PROFILES: Final = {
    profile.name: profile
    for profile in (
        # encoding "TR" is TURKISH; without it letters are folded (sms-dialects 3.1). At most six parts [T].
        Profile(
            "netgsm",
            {Alphabet.AUTO: _FOLDED, Alphabet.DEFAULT: _FOLDED, Alphabet.TURKISH: _SINGLE},
            max_segments=6,
        ),
        # No flag: 155 plain or 150 Turkish by content; error 453 above seven parts (4.1).
        Profile("iletimerkezi", {Alphabet.AUTO: _BY_CONTENT}, max_segments=7),
        # datacoding 0, 1, 2. Published lengths for 1 are those of the locking table; seven parts (12).
        Profile(
            "verimor",
            {
                Alphabet.AUTO: _FOLDED,
                Alphabet.DEFAULT: _FOLDED,
                Alphabet.TURKISH: _LOCKING,
                Alphabet.UNICODE: _UNICODE,
            },
            max_segments=7,
        ),
        # forceenglish folds; nothing else is said about alphabets (6.2).
        Profile("jetsms", {Alphabet.AUTO: _BY_CONTENT, Alphabet.DEFAULT: _FOLDED}),
        # charset default, turkish, unicode (6.1).
        Profile(
            "mutlucell",
            {
                Alphabet.AUTO: _FOLDED,
                Alphabet.DEFAULT: _FOLDED,
                Alphabet.TURKISH: _SINGLE,
                Alphabet.UNICODE: _UNICODE,
            },
        ),
        # message_type normal, turkce (6.4).
        Profile("vatansms", {Alphabet.AUTO: _FOLDED, Alphabet.DEFAULT: _FOLDED, Alphabet.TURKISH: _SINGLE}),
        # No flag seen (6.3).
        Profile("turkcell", {Alphabet.AUTO: _BY_CONTENT}),
        # transliteration folds, language TR brings the national tables; 25 parts and 4000 bytes, the bytes read as
        # those of UCS-2 (9).
        Profile(
            "infobip",
            {
                Alphabet.AUTO: _PLAIN,
                Alphabet.DEFAULT: _FOLDED,
                Alphabet.TURKISH: _SINGLE,
                Alphabet.UNICODE: _UNICODE,
            },
            max_segments=25,
            max_characters=2000,
        ),
        # By content; more than 1600 characters is error 21617 (7).
        Profile("twilio", {Alphabet.AUTO: _PLAIN}, max_characters=1600),
        # type text or unicode, encoding_type auto (8).
        Profile("vonage", {Alphabet.AUTO: _PLAIN, Alphabet.UNICODE: _UNICODE}),
        # Our own interface, which can leave through any of them: the wire profile is then that of the upstream.
        Profile(
            "plain",
            {
                Alphabet.AUTO: _BY_CONTENT,
                Alphabet.DEFAULT: _FOLDED,
                Alphabet.TURKISH: _SINGLE,
                Alphabet.UNICODE: _UNICODE,
            },
        ),
        # data_coding says it; the peer may count parts with 16 bits (UDH 0x08, or sar_msg_ref_num) (11.3).
        Profile(
            "smpp",
            {Alphabet.AUTO: _PLAIN, Alphabet.TURKISH: _SINGLE, Alphabet.UNICODE: _UNICODE},
            reference_bits=16,
        ),
    )
}
"""By the name that ``Dialect.profile`` gives."""


def find_profile(name: str, *, code_length: int | None = None) -> Profile:
    """The profile called ``name``, with another operator code where an installation's route adds another one.

    Raises ``ValueError`` for a name that is none.
    """
    profile = PROFILES.get(name)
    if profile is None:
        raise ValueError(f"profile: expected one of {', '.join(sorted(PROFILES))}")
    return profile if code_length is None else profile._replace(code_length=code_length)

"""E-mail addresses: one strict parser, made once, never repaired (design D10).

``parse_email`` gives a value whose ``wire`` is byte for byte what it was given and whose ``key`` is what consent is
looked up under. Two spellings that could reach the same mailbox must share a key, or a refusal would be missed; a
spelling that the next hop might read as *another* mailbox is refused, or mail would reach someone who was never looked
up. What is accepted:

* **local part**: a dot-atom (RFC 5322 3.2.3) of at most 64 octets. Letters are compared without ASCII case, never by
  Turkish or other rules (``I`` is ``i``; ``İ`` and ``ı`` are letters of their own). Plus tags and dots are part of the
  mailbox. Quotes, comments, encoded words, leading, trailing or double dots: refused. ``%`` and ``!`` are refused
  although they are legal: Postfix by default reads ``user%host@relay`` and ``host!user@relay`` as ``user@host``, so
  the mailbox reached would not be the one looked up.
* **non-ASCII local part** (RFC 6531, only with SMTPUTF8): UTF-8 in NFC, of visible characters without a compatibility
  form (a full-width ``ａ`` may become ``a`` at the next hop).
* **domain**: at least two labels of letters, digits and inner hyphens, the last one alphabetic or an A-label, at most
  253 octets. U-labels need SMTPUTF8 and are mapped by UTS 46 (non-transitional) to lower-case A-labels; the only
  mapping allowed is lower-casing, one letter for one: full-width letters, ligatures, ideographic dots and ``İ`` map
  differently from one implementation to the next and are refused. A-labels must be canonical (RFC 5891 5.3). Labels
  with hyphens in third and fourth place are A-labels or refused. A few valid names can be written as A-labels only:
  those with an invisible joiner, which a hop on the way may strip, and Cherokee ones, whose case folds the other way.
  No address literals, no final dot, no underscore.
* at most 254 octets (RFC 5321 4.5.3.1.3), both as given and as key.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

import idna


class EmailAddress(NamedTuple):
    """A mailbox, made only by ``parse_email``.

    ``wire`` is what RCPT TO carries, byte for byte; ``key`` the canonical form under which consent is looked up
    (local part folded by ASCII only, domain as lower-case A-label).
    """

    wire: bytes
    key: bytes
    needs_smtputf8: bool


class AddressProblem(StrEnum):
    """Why an address was refused; closed. ``sentence`` is for people and holds nothing of the address."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    NON_ASCII = "non_ascii"
    NOT_UTF8 = "not_utf8"
    CONTROL = "control"
    WHITESPACE = "whitespace"
    INVISIBLE = "invisible"
    QUOTED = "quoted"
    COMMENT = "comment"
    ROUTE = "route"
    LITERAL = "literal"
    NO_LOCAL_PART = "no_local_part"
    NO_DOMAIN = "no_domain"
    SEVERAL_ATS = "several_ats"
    LOCAL_PART_TOO_LONG = "local_part_too_long"
    ENCODED_WORD = "encoded_word"
    ROUTING_CHARACTER = "routing_character"
    MISPLACED_DOT = "misplaced_dot"
    LOCAL_PART_CHARACTER = "local_part_character"
    NOT_NORMALISED = "not_normalised"
    MAPPED_FORM = "mapped_form"
    DOMAIN_TOO_LONG = "domain_too_long"
    LABEL_TOO_LONG = "label_too_long"
    EMPTY_LABEL = "empty_label"
    SINGLE_LABEL = "single_label"
    LABEL_CHARACTER = "label_character"
    LABEL_HYPHEN = "label_hyphen"
    TOP_LEVEL = "top_level"
    INVALID_IDN = "invalid_idn"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES: dict[AddressProblem, str] = {
    AddressProblem.EMPTY: "the address is empty",
    AddressProblem.TOO_LONG: "the address is longer than 254 octets",
    AddressProblem.NON_ASCII: "the address holds non-ASCII octets but SMTPUTF8 is not in use",
    AddressProblem.NOT_UTF8: "the address is not valid UTF-8",
    AddressProblem.CONTROL: "the address holds a control character",
    AddressProblem.WHITESPACE: "the address holds a space or another blank",
    AddressProblem.INVISIBLE: "the address holds an invisible, reserved or unassigned character",
    AddressProblem.QUOTED: "quoted local parts are not accepted",
    AddressProblem.COMMENT: "comments in an address are not accepted",
    AddressProblem.ROUTE: "source routes are not accepted",
    AddressProblem.LITERAL: "address literals are not accepted in place of a domain",
    AddressProblem.NO_LOCAL_PART: "nothing stands before the @",
    AddressProblem.NO_DOMAIN: "the address has no domain",
    AddressProblem.SEVERAL_ATS: "the address holds more than one @",
    AddressProblem.LOCAL_PART_TOO_LONG: "the part before the @ is longer than 64 octets",
    AddressProblem.ENCODED_WORD: "encoded words do not belong in an address",
    AddressProblem.ROUTING_CHARACTER: "percent or exclamation marks before the @ are refused: relays route by them",
    AddressProblem.MISPLACED_DOT: "the part before the @ begins or ends with a dot or holds two in a row",
    AddressProblem.LOCAL_PART_CHARACTER: "the part before the @ holds a character that does not belong there",
    AddressProblem.NOT_NORMALISED: "the part before the @ is not in Unicode normalisation form C",
    AddressProblem.MAPPED_FORM: "the address holds a character that stands for another one; spell it plainly",
    AddressProblem.DOMAIN_TOO_LONG: "the domain is longer than 253 octets",
    AddressProblem.LABEL_TOO_LONG: "a label of the domain is longer than 63 octets",
    AddressProblem.EMPTY_LABEL: "the domain begins or ends with a dot or holds two in a row",
    AddressProblem.SINGLE_LABEL: "the domain has only one label",
    AddressProblem.LABEL_CHARACTER: "the domain holds a character that does not belong there",
    AddressProblem.LABEL_HYPHEN: "a label of the domain begins or ends with a hyphen",
    AddressProblem.TOP_LEVEL: "the last label of the domain is not alphabetic",
    AddressProblem.INVALID_IDN: "a label of the domain is not valid under IDNA 2008",
}


class AddressError(ValueError):
    """The address cannot be accepted; its text is ``problem.sentence`` and never holds the address."""

    def __init__(self, problem: AddressProblem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem


MAX_ADDRESS_BYTES = 254
MAX_LOCAL_PART_BYTES = 64
MAX_DOMAIN_BYTES = 253
MAX_LABEL_BYTES = 63

_ATOM = r"[A-Za-z0-9#$&'*+/=^_`{|}~-]"

# The common case in one linear pass (possessive throughout). What it does not match is not refused yet, only slow:
# "?" (may be an encoded word), "--" in a domain (may be an A-label), long addresses, everything outside ASCII.
_PLAIN = re.compile(
    rf"{_ATOM}++(?:\.{_ATOM}++)*+@(?:[A-Za-z0-9]++(?:-[A-Za-z0-9]++)*+\.)++[A-Za-z]{{2,}}+".encode()
).fullmatch

# Up to this length no part of an address that has an @ and a dot can break a length limit.
_PLAIN_MAX_BYTES = 64

_LOCAL_ASCII = re.compile(r"[A-Za-z0-9#$&'*+/=?^_`{|}~.-]*+").fullmatch
_LABEL_ASCII = re.compile(r"[A-Za-z0-9-]++").fullmatch
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]").search
_FOLD = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

# Characters that show nothing although their category says letter, mark or symbol (Unicode's
# Default_Ignorable_Code_Point, the blank Braille cell, the replacement character left by a broken conversion).
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u2800\u3164\uffa0\ufffc\ufffd"
    + "".join(map(chr, range(0xFE00, 0xFE10)))
    + "".join(map(chr, range(0xE0100, 0xE01F0)))
)
_INVISIBLE_CATEGORIES = frozenset({"Cf", "Cn", "Co", "Cs"})
_BLANK_CATEGORIES = frozenset({"Zs", "Zl", "Zp"})

_new = tuple.__new__


def parse_email(wire: bytes, *, allow_utf8: bool) -> EmailAddress:
    """The mailbox behind ``wire``, an address as it stands between the angle brackets of RCPT TO.

    ``allow_utf8`` says that SMTPUTF8 is in use. Raises ``AddressError``.
    """
    if len(wire) <= _PLAIN_MAX_BYTES and _PLAIN(wire):
        # bytes.lower folds ASCII only, whatever the locale.
        return _new(EmailAddress, (wire, wire.lower(), False))
    return _parse_rare(wire, allow_utf8)


def _parse_rare(wire: bytes, allow_utf8: bool) -> EmailAddress:
    if not wire:
        raise AddressError(AddressProblem.EMPTY)
    if len(wire) > MAX_ADDRESS_BYTES:
        raise AddressError(AddressProblem.TOO_LONG)
    needs_smtputf8 = not wire.isascii()
    if needs_smtputf8 and not allow_utf8:
        raise AddressError(AddressProblem.NON_ASCII)
    try:
        text = wire.decode()
    except UnicodeDecodeError:
        raise AddressError(AddressProblem.NOT_UTF8) from None
    _check_characters(text)
    local, domain = _split(text)
    key = _fold_local_part(local) + b"@" + canonical_domain(domain)
    if len(key) > MAX_ADDRESS_BYTES:
        # The same mailbox must not be acceptable in one spelling and too long in the other.
        raise AddressError(AddressProblem.TOO_LONG)
    return EmailAddress(wire, key, needs_smtputf8)


def _check_characters(text: str) -> None:
    """Nothing that a reader, a log or a parser further on would not see as itself."""
    if _CONTROLS(text):
        raise AddressError(AddressProblem.CONTROL)
    if " " in text or "\t" in text:
        raise AddressError(AddressProblem.WHITESPACE)
    if text.isascii():
        return
    for character in text:
        if character > "\x7f":
            category = unicodedata.category(character)
            if category in _BLANK_CATEGORIES:
                raise AddressError(AddressProblem.WHITESPACE)
            if category in _INVISIBLE_CATEGORIES or character in _INVISIBLE:
                raise AddressError(AddressProblem.INVISIBLE)


def _split(text: str) -> tuple[str, str]:
    """Local part and domain, once every notation in which the @ might not be the separator is refused."""
    if '"' in text or "\\" in text:
        raise AddressError(AddressProblem.QUOTED)
    if "(" in text or ")" in text:
        raise AddressError(AddressProblem.COMMENT)
    if text.startswith("@") and (":" in text or "," in text):
        raise AddressError(AddressProblem.ROUTE)
    local, at, domain = text.partition("@")
    if domain.startswith("["):
        raise AddressError(AddressProblem.LITERAL)
    if "@" in domain:
        raise AddressError(AddressProblem.SEVERAL_ATS)
    if at and not local:
        raise AddressError(AddressProblem.NO_LOCAL_PART)
    if not domain:
        raise AddressError(AddressProblem.NO_DOMAIN)
    return local, domain


def _fold_local_part(local: str) -> bytes:
    """The local part as it stands in a key. ASCII letters only are folded: ``I`` is ``i`` in every country."""
    if len(local.encode()) > MAX_LOCAL_PART_BYTES:
        raise AddressError(AddressProblem.LOCAL_PART_TOO_LONG)
    if "=?" in local or "?=" in local:
        # RFC 2047 5 forbids encoded words in addresses, yet libraries decode them there: the address checked would not
        # be the address sent.
        raise AddressError(AddressProblem.ENCODED_WORD)
    if "%" in local or "!" in local:
        raise AddressError(AddressProblem.ROUTING_CHARACTER)
    if local.startswith(".") or local.endswith(".") or ".." in local:
        raise AddressError(AddressProblem.MISPLACED_DOT)
    if local.isascii():
        if not _LOCAL_ASCII(local):
            raise AddressError(AddressProblem.LOCAL_PART_CHARACTER)
        return local.encode().lower()
    if not _LOCAL_ASCII("".join(character for character in local if character <= "\x7f")):
        raise AddressError(AddressProblem.LOCAL_PART_CHARACTER)
    if unicodedata.category(local[0])[0] == "M":
        raise AddressError(AddressProblem.LOCAL_PART_CHARACTER)
    if not unicodedata.is_normalized("NFC", local):
        raise AddressError(AddressProblem.NOT_NORMALISED)
    if not unicodedata.is_normalized("NFKC", local):
        raise AddressError(AddressProblem.MAPPED_FORM)
    # Folding can bring a letter and its mark together (H + U+0331 has no composed form, h + U+0331 has): compose again,
    # or ``H̱`` and ``ẖ`` would be looked up as two people.
    return unicodedata.normalize("NFC", local.translate(_FOLD)).encode()


@lru_cache(maxsize=4096)
def canonical_domain(domain: str) -> bytes:
    """``domain`` as lower-case A-labels. Raises ``AddressError``."""
    if domain.isascii() and len(domain) > MAX_DOMAIN_BYTES:
        raise AddressError(AddressProblem.DOMAIN_TOO_LONG)
    labels = domain.split(".")
    if "" in labels:
        raise AddressError(AddressProblem.EMPTY_LABEL)
    canonical = [_canonical_label(label) for label in labels]
    if len(canonical) == 1:
        raise AddressError(AddressProblem.SINGLE_LABEL)
    last = canonical[-1]
    if not (last.startswith("xn--") or (last.isalpha() and len(last) > 1)):
        # "1.2.3.4" would be taken for an IP address by some next hops.
        raise AddressError(AddressProblem.TOP_LEVEL)
    joined = ".".join(canonical)
    if len(joined) > MAX_DOMAIN_BYTES:
        raise AddressError(AddressProblem.DOMAIN_TOO_LONG)
    return joined.encode()


def _canonical_label(label: str) -> str:
    if label.isascii():
        if not _LABEL_ASCII(label):
            raise AddressError(AddressProblem.LABEL_CHARACTER)
        if len(label) > MAX_LABEL_BYTES:
            raise AddressError(AddressProblem.LABEL_TOO_LONG)
        if label.startswith("-") or label.endswith("-"):
            raise AddressError(AddressProblem.LABEL_HYPHEN)
        lowered = label.lower()
        if lowered[2:4] == "--":
            _check_a_label(lowered)
        return lowered
    lowered = label.lower()
    try:
        mapped = idna.uts46_remap(label)
    except idna.IDNAError:
        raise AddressError(AddressProblem.INVALID_IDN) from None
    # Normalised, too: the Kelvin sign has k for its lower-case letter.
    if len(lowered) != len(label) or mapped != lowered or not unicodedata.is_normalized("NFKC", label):
        raise AddressError(AddressProblem.MAPPED_FORM)
    try:
        return idna.alabel(lowered).decode("ascii")
    except idna.IDNAError as error:
        too_long = error.code in ("label_too_long", "input_too_long")
        problem = AddressProblem.LABEL_TOO_LONG if too_long else AddressProblem.INVALID_IDN
        raise AddressError(problem) from None


def _check_a_label(label: str) -> None:
    """Whether ``label`` is the one A-label of a valid U-label: otherwise a name could be spelled in two ways."""
    if not label.startswith("xn--"):
        raise AddressError(AddressProblem.INVALID_IDN)
    try:
        is_canonical = idna.alabel(idna.ulabel(label)) == label.encode()
    except (ValueError, IndexError, OverflowError):  # the codec below idna raises its own
        is_canonical = False
    if not is_canonical:
        raise AddressError(AddressProblem.INVALID_IDN)

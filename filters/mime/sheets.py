"""Which elements the sender's own style sheets could hide: enough of CSS for that, and in doubt more.

A selector is judged by its last part alone, whatever it stands in and under whatever condition: hidden on telephones
is hidden. What our footer looks like is safe from all this by its own styles; a link of the sender's is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from filters.mime.tags import ATTRIBUTE, W

_COMMENT = re.compile(rb"/\*.*?(?:\*/|\Z)|<!--|-->", re.DOTALL)
# The innermost blocks; each round of looking for them takes the next ones around.
_BLOCK = re.compile(rb"\{([^{}]*+)\}")
_MAX_ROUNDS = 8
# Beyond any of these anything may be hidden.
_MAX_SHEET_BYTES = 128 * 1024
_MAX_PRELUDE_BYTES = 4_000
_MAX_SELECTOR_BYTES = 400
_MAX_NAMES = 50
_LAST_PART = re.compile(rb"(?:[^\s>+~\[\]()]|\[[^\]]*\]|\([^)]*\))+\Z")
_BRACKETS = re.compile(rb"\[[^\]]*\]|\([^)]*\)")
_NAMED = re.compile(rb"\[\s*(?:class|id)\s*([~|^$*]?)=\s*[\"']?([^\"'\]]*)")
_WORD = re.compile(rb"[.#]([a-z0-9_\x80-\xff-]+)")
_TAG_NAME = re.compile(rb"[a-z][a-z0-9]*")
# What is no element of the text, or not its usual state.
_ASIDE = re.compile(rb"::|:(?:before|after|hover|active|focus|visited|first-l)|^(?:from|to|[0-9.]+%)\Z")
_CLASS_OR_ID = re.compile(rb"[\t\n\f\r \"'/](?:class|id)" + W + rb"*+=")


class Sheet(NamedTuple):
    """What may be done to elements, as bits, by their classes and ids, by parts of these, and by their names.
    ``everything``: to all of them. ``worst``: all bits there are.
    """

    words: Mapping[bytes, int]
    parts: Mapping[bytes, int]
    names: Mapping[bytes, int]
    everything: int = 0
    worst: int = 0

    def judge(self, name: bytes, tag: bytes) -> int:
        """The bits for an element, by its name and its whole tag in lower case."""
        state = self.everything | self.names.get(name, 0)
        if (self.words or self.parts) and (b"class" in tag or b"id" in tag):
            for attribute in ATTRIBUTE.finditer(tag, 1 + len(name), len(tag) - 1):
                if attribute[1] in (b"class", b"id"):
                    value = (attribute[2] or b"").strip(b"\"'")
                    if b"&" in value:  # a character reference could stand for any of them
                        return self.worst
                    for word in value.split():
                        state |= self.words.get(word, 0)
                    for part, bits in self.parts.items():
                        if part in value:
                            state |= bits
        return state

    def find_suspects(self, lowered: bytes) -> list[int]:
        """Where elements stand that this may concern: a place in each one's tag."""
        found: list[int] = []
        if self.words or self.parts:
            found += [match.end() for match in _CLASS_OR_ID.finditer(lowered)]
        if self.names:
            names = re.compile(rb"<(?:" + b"|".join(sorted(self.names)) + rb")(?![a-z0-9])")
            found += [match.end() for match in names.finditer(lowered)]
        return found


NO_SHEET = Sheet({}, {}, {})


def read_sheets(lowered: bytes, unseen: list[tuple[int, int]]) -> bytes:
    """The text of all style sheets. ``unseen``: the spans that hold them, among other things."""
    found = []
    for start, end in unseen:
        if lowered.find(b"<style", start, end) >= 0:
            found += [sheet.partition(b">")[2] for sheet in lowered[start:end].split(b"<style")[1:]]
    return b"\n".join(found)


@lru_cache(maxsize=128)
def parse_sheet(text: bytes, judge: Callable[[bytes], int]) -> Sheet:
    """``judge`` gives the bits for the declarations of one rule. A sender's mails have the same sheet each."""
    words: dict[bytes, int] = {}
    parts: dict[bytes, int] = {}
    names: dict[bytes, int] = {}
    judged: dict[bytes, int] = {}
    everything = 0
    if len(text) > _MAX_SHEET_BYTES:
        everything = judge(b"display:none")
        return Sheet(words, parts, names, everything, everything)
    rest = _COMMENT.sub(b"", text) + b"}" * _MAX_ROUNDS  # what is left open is closed at the end
    for _ in range(_MAX_ROUNDS):
        around: list[bytes] = []
        position = 0
        for block in _BLOCK.finditer(rest):
            at = block.start()
            low = max(position, at - _MAX_PRELUDE_BYTES)
            begin = max(low, *(rest.rfind(mark, low, at) + 1 for mark in (b"{", b"}", b";")))
            around += (rest[position:begin], b";")
            position = block.end()
            bits = judged.get(block[1])
            if bits is None:
                bits = judged[block[1]] = judge(block[1])
            if not bits:
                continue
            prelude = rest[begin:at].strip()
            if prelude.startswith(b"@") or len(prelude) >= _MAX_PRELUDE_BYTES:
                everything |= bits
                continue
            for selector in prelude.split(b","):
                everything |= _take_selector(selector.strip(), bits, words, parts, names)
        if not position:
            break
        rest = b"".join(around) + rest[position:]
    worst = everything
    for bits in (*words.values(), *parts.values(), *names.values()):
        worst |= bits
    if len(parts) > _MAX_NAMES or len(names) > _MAX_NAMES:
        everything = worst
    return Sheet(words, parts, names, everything, worst)


def _take_selector(
    selector: bytes, bits: int, words: dict[bytes, int], parts: dict[bytes, int], names: dict[bytes, int]
) -> int:
    """Note whom ``selector`` means; the bits if that may be anybody."""
    last = _LAST_PART.search(selector) if len(selector) <= _MAX_SELECTOR_BYTES else None
    if last is None or b"\\" in last[0]:
        return bits
    if _ASIDE.search(last[0]):
        return 0
    plain = _BRACKETS.sub(b"", last[0])
    found = _WORD.findall(plain)
    if found:
        words[found[0]] = words.get(found[0], 0) | bits
        return 0
    named = _NAMED.search(last[0])
    if named is not None:
        value = named[2].strip()
        where = words if named[1] in (b"", b"~") and b" " not in value else parts
        where[value] = where.get(value, 0) | bits
        return 0
    name = _TAG_NAME.match(plain)
    if name is None:
        return bits
    names[name[0]] = names.get(name[0], 0) | bits
    return 0

"""Which fields a request may have, whatever its syntax: JSON, form or XML.

A name that is not known is refused, and so is a known one in other letters ("No", "gsm_no", "no "): a provider whose
reader is laxer than ours might find recipients there that we never looked up.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from filters.sms.dialect import Fault, RequestRefusedError

MAX_SHOWN_NAME = 32

_SHOWABLE = re.compile(rf"[A-Za-z_][A-Za-z_-]{{0,{MAX_SHOWN_NAME - 1}}}[0-9]?", re.ASCII).fullmatch


def place(where: str, name: str) -> str:
    """``messages[3]`` and ``no`` make ``messages[3].no``; a name that may hide a number or a secret is not shown."""
    shown = name if _SHOWABLE(name) else "(a name that is not shown)"
    return f"{where}.{shown}" if where else shown


def refuse_unknown_names(found: Iterable[str], known: Iterable[str], where: str = "") -> None:
    """Refuses the first name of ``found`` that is not in ``known``, saying whether it only looks like one.

    Raises ``RequestRefusedError``.
    """
    known = frozenset(known)
    for name in found:
        if name in known:
            continue
        folded = _fold(name)
        for proper in known:
            if _fold(proper) == folded:
                raise RequestRefusedError(Fault.UNKNOWN_FIELD, f"{place(where, name)}: expected the spelling {proper}")
        raise RequestRefusedError(Fault.UNKNOWN_FIELD, f"{place(where, name)}: no such field is known")


def _fold(name: str) -> str:
    """What a lax reader may take for the same name: case, Turkish i, blanks, hyphens and underscores aside."""
    letters = unicodedata.normalize("NFKD", name).casefold().replace("ı", "i")
    return "".join(letter for letter in letters if letter.isalnum())

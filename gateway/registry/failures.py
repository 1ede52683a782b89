"""Failures of the registry in words of a closed list, for logs, status and metric labels."""

from __future__ import annotations

import re

from filters.registry.failures import Failure, Limited, LoginRefused, Refused, ServerFault, TransportFault

_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])")
_CODE = re.compile(r"H[0-9]{3,4}").fullmatch


def failure_words(failure: Failure) -> str:
    """The kind of a failure, and what was said: ``refused H353``, ``transport_fault timed_out``.

    Only codes of the registry's own form are repeated; what else stands in their place could be anything.
    """
    kind = _WORD_START.sub("_", type(failure).__name__).lower()
    detail = ""
    if isinstance(failure, TransportFault):
        detail = str(failure.problem)
    elif isinstance(failure, Limited | LoginRefused):
        detail = failure.code
    elif isinstance(failure, Refused | ServerFault):
        detail = failure.codes[0] if failure.codes else ""
        detail = detail if _CODE(detail) else str(failure.status)
    if isinstance(failure, Limited | LoginRefused) and not _CODE(detail):
        detail = ""
    return f"{kind} {detail}".rstrip()

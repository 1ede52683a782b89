"""Prints the decision table as a page, so that the page and the program cannot drift apart.

``python -m gateway.cli.decision_table_page > docs/decision-table.md``
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from filters.decision.table import EDGE_CASES, GATES, ROWS
from filters.reason import Reason

_HEAD = """\
# Decision table

Printed from `filters/decision/table.py` by `python -m gateway.cli.decision_table_page`; a test keeps the two equal.
This is how the program decides, not legal advice.

"Law" is Law no. 6563 on the regulation of electronic commerce, "Reg." the Regulation on Commercial Communication and
Commercial Electronic Messages; "[I]" marks our own reading. Which records count: a refusal first, under the declared
recipient type or the other one; then a consent under the declared type; then one under the other. For an undeclared
type the individual's record stands first. The state of the index is *fresh* (or *aging*: the same with an alarm),
*stale*, *blind* or *never loaded* (`cold` in metrics); where it could not be asked at all, row R14 holds.
"""


def render_page() -> str:
    """The whole page as Markdown, final line end included."""
    return "\n".join(
        [
            _HEAD,
            "## Gates",
            "",
            "Asked in this order, before any row.",
            "",
            *_table(
                ("gate", "situation", "durum", "result", "reason", "ground"),
                ((g.id, g.situation_en, g.situation_tr, g.result, f"`{g.reason}`", g.ground) for g in GATES),
            ),
            "",
            "## Rows",
            "",
            "Exactly one row holds for every recipient.",
            "",
            *_table(
                ("row", "situation", "durum", "result", "reasons", "ground"),
                ((r.id, r.situation_en, r.situation_tr, r.result, _codes(r.reasons), r.ground) for r in ROWS),
            ),
            "",
            "## Edge cases",
            "",
            *_table(
                ("no", "situation", "durum", "result", "reasons", "ground", "ensured by"),
                (
                    (e.id, e.situation_en, e.situation_tr, e.result, _codes(e.reasons), e.ground, e.enforced_in)
                    for e in EDGE_CASES
                ),
            ),
            "",
            "## Reasons",
            "",
            "One name in replies, metrics, evidence and here; who can mend it, and how.",
            "",
            *_table(
                ("reason", "reply", "in English", "Türkçe"),
                (
                    (
                        f"`{reason}`",
                        f"{reason.reply.code} {reason.reply.enhanced}",
                        reason.sentence_en,
                        reason.sentence_tr,
                    )
                    for reason in Reason
                ),
            ),
            "",
        ]
    )


def _codes(reasons: Iterable[Reason]) -> str:
    return ", ".join(f"`{reason}`" for reason in reasons)


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for cells in (headings, ("---",) * len(headings), *rows):
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(render_page())

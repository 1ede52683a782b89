"""Shows an explanation to a person, or as JSON to a script."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from filters.decision.explain import Explanation
from filters.registry.words import RECIPIENT_TYPE_WORDS, render_time
from filters.vocabulary import Channel, Verdict
from gateway.registry.pending import Pending, PendingState, pending_as_json

_COLOUR = {Verdict.PERMIT: "green", Verdict.DROP: "red", Verdict.DEFER: "yellow"}


def render_explanation(
    explanation: Explanation,
    console: Console,
    as_json: bool,
    pending: Sequence[Pending] = (),
    channel: Channel = Channel.EMAIL,
) -> None:
    """Print the verdict, who can mend it in English and Turkish, and the steps in order; or one JSON object.

    A person is shown our reply for mail alone: each dialect of SMS has words of its own. ``pending``: consents of this
    person that were handed to us for the registry (edge cases E5, E6).
    """
    if as_json:
        # Not print_json: a script wants one object a line, whatever the width and colours of a terminal.
        told = explanation.as_json()
        if pending:
            told = {**told, "pending": [pending_as_json(each) for each in pending]}
        console.print(json.dumps(told, ensure_ascii=False), soft_wrap=True, highlight=False, markup=False)
        return
    decision = explanation.decision
    colour = _COLOUR[decision.verdict]
    # The answer first; then how it came about, for whoever wants to know.
    console.print(Text.assemble((f"{decision.verdict} {decision.reason}", f"bold {colour}"), f"  ({decision.row})"))
    if decision.noted:
        console.print(Text(f"noted: {', '.join(decision.noted)}"))
    console.print(Text(explanation.sentence_en))
    console.print(Text(explanation.sentence_tr))
    for each in pending:
        console.print(Text(_describe_pending(each), style="yellow"))
    if channel is Channel.EMAIL:
        console.print(Text(f"reply: {decision.reply.render().decode('ascii').rstrip()}", style="dim"))
    table = Table(show_lines=False, expand=False)
    table.add_column("id", no_wrap=True)
    # Question, finding and ground below each other: side by side they are words under words in 80 columns.
    table.add_column("asked, seen, ground", overflow="fold")
    table.add_column("result", overflow="fold")
    for step in explanation.steps:
        # Text, not markup: what was seen may hold brackets.
        table.add_row(
            Text(step.id, style="bold" if step.is_decisive else ""),
            Text.assemble(step.question, "\n", ("→ ", colour if step.is_decisive else "dim"), step.seen, "\n",
                          (step.ground, "dim")),
            Text(step.result, style=colour if step.is_decisive else ""),
        )  # fmt: skip
    console.print(table)


def _describe_pending(pending: Pending) -> str:
    kind = RECIPIENT_TYPE_WORDS[pending.recipient_type]
    begin = f"consent ({kind}) taken on {render_time(pending.taken_at)}"
    if pending.state is PendingState.WAITING:
        return f"{begin}, not yet in İYS: it permits nothing before"
    if pending.state is PendingState.REFUSED:
        return f"{begin}, refused by İYS on {render_time(pending.at)} ({pending.code})"
    if pending.state is PendingState.SUPERSEDED:
        return f"{begin}; İYS holds a later will"
    return f"{begin}, in İYS since {render_time(pending.at)}"

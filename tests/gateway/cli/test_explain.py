"""What a person, or a script, is shown of an explanation."""

from __future__ import annotations

import io
import json

from rich.console import Console

from filters.brand import Brand
from filters.consent import Consent, State
from filters.decision.decide import Facts
from filters.decision.explain import explain
from filters.decision.policy import Policy
from filters.vocabulary import Channel, FreshnessState, MessageClass, RecipientType, Status
from gateway.cli.explain import render_explanation

FACTS = Facts(
    MessageClass.COMMERCIAL,
    Channel.EMAIL,
    RecipientType.INDIVIDUAL,
    Brand(600123, 600123, "[bold]Örnek[/bold]", "Örnek A.Ş.", "0123456789012345"),
    FreshnessState.FRESH,
    1_800_000_000,
    is_tagged=False,
)
STATE: State = {(Channel.EMAIL, RecipientType.INDIVIDUAL): Consent(Status.REJECTED, 1_700_000_000, "[red]")}


def render(*, as_json: bool, width: int = 600) -> str:
    out = io.StringIO()
    render_explanation(explain(FACTS, STATE, Policy()), Console(file=out, width=width), as_json)
    return out.getvalue()


def test_a_person_sees_every_step_the_verdict_and_both_sentences() -> None:
    """And nothing of what was seen is taken for markup."""
    shown = render(as_json=False)
    explanation = explain(FACTS, STATE, Policy())
    for step in explanation.steps:
        assert step.question in shown
        assert step.seen in shown
        assert step.ground in shown
    assert "[red]" in shown
    assert "drop REFUSED  (R2)" in shown
    assert "noted: TAG_MISSING" in shown
    assert explanation.sentence_en in shown
    assert explanation.sentence_tr in shown
    assert "reply: 550 5.7.1 REFUSED (TAG_MISSING): " in shown


def test_an_smtp_reply_is_shown_for_mail_alone() -> None:
    """Whoever sends SMS never hears one."""
    out = io.StringIO()
    told = explain(FACTS._replace(channel=Channel.SMS), STATE, Policy())
    render_explanation(told, Console(file=out, width=600), as_json=False, channel=Channel.SMS)
    assert "reply:" not in out.getvalue()


def test_a_script_sees_one_json_object_on_one_line_however_narrow_the_terminal() -> None:
    """Nothing is wrapped, coloured or left out."""
    shown = render(as_json=True, width=20)
    assert shown.count("\n") == 1
    assert json.loads(shown) == json.loads(json.dumps(explain(FACTS, STATE, Policy()).as_json()))


def test_in_eighty_columns_the_verdict_comes_first_and_the_steps_stay_sentences() -> None:
    """Nobody has to read up from the end, and no column is so narrow that words stand below each other."""
    lines = render(as_json=False, width=80).splitlines()
    assert lines[0] == "drop REFUSED  (R2)"
    assert all(len(line) <= 80 for line in lines)
    assert len(lines) < 60

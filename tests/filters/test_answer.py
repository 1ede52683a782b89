"""What the client of plain SMTP hears about a message with many fates."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from filters.answer import compose
from filters.envelope import RecipientOutcome
from filters.reply import Reply
from filters.vocabulary import Outcome

RELAYED = RecipientOutcome(Outcome.RELAYED, Reply(250, "0.0", "Ok: queued as 4F2"))
DROPPED = RecipientOutcome(Outcome.DROPPED, Reply(550, "7.1", "NO_CONSENT"))
DEFERRED = RecipientOutcome(Outcome.DEFERRED, Reply(451, "7.1", "STALE"))
REFUSED = RecipientOutcome(Outcome.REFUSED, Reply(550, "1.1", "no such user"))
UNKNOWN = RecipientOutcome(Outcome.UNKNOWN, Reply(451, "4.2", "connection lost after the final dot"))
CLOSING = RecipientOutcome(Outcome.DEFERRED, Reply(421, "3.2", "shutting down"))

fates = st.lists(st.sampled_from([RELAYED, DROPPED, DEFERRED, REFUSED, UNKNOWN, CLOSING]), min_size=1, max_size=12)


def test_one_recipient_hears_the_next_hops_own_words() -> None:
    """With one recipient the upstream's reply is relayed as it is; what is no success names the message."""
    assert compose("m1", [RELAYED]).overall == RELAYED.reply
    for fate in (DROPPED, DEFERRED, REFUSED, UNKNOWN):
        answer = compose("m1", [fate])
        assert answer.overall == fate.reply._replace(text=f"{fate.reply.text} (id m1)")
        assert answer.per_recipient == (answer.overall,)


def test_a_refusal_that_fills_its_line_names_the_message_in_a_line_of_its_own() -> None:
    """No line of a reply is longer than 512 octets (RFC 5321 4.5.3.1.5)."""
    long = RecipientOutcome(Outcome.REFUSED, Reply(550, "1.1", "no\n" + "x" * 490))
    text = compose("m1", [long]).overall.text
    assert text == "no\n" + "x" * 490 + "\n(id m1)"


def test_some_dropped_and_the_rest_relayed_is_success_with_counts() -> None:
    """250, and the client can read how many were left out."""
    overall = compose("m1", [RELAYED, DROPPED, RELAYED]).overall
    assert overall.code == 250
    assert overall.text == "2 relayed, 1 dropped (id m1)"


def test_all_dropped_is_refused_with_the_reason() -> None:
    """550 5.7.1 and the reason code of the first."""
    overall = compose("m1", [DROPPED, DROPPED]).overall
    assert (overall.code, overall.enhanced) == (550, "5.7.1")
    assert overall.text == "NO_CONSENT (0 relayed, 2 dropped) (id m1)"


def test_one_open_fate_makes_the_whole_answer_temporary() -> None:
    """The client keeps the message for the one that is missing."""
    overall = compose("m1", [RELAYED, DEFERRED, REFUSED]).overall
    assert overall.is_temporary
    assert overall.text == "1 of 3 relayed, 1 deferred, a retry sends only the rest: STALE (id m1)"


def test_a_refusal_of_the_next_hop_is_not_hidden_behind_a_success() -> None:
    """One recipient of two would be lost silently if the answer were 250."""
    overall = compose("m1", [RELAYED, REFUSED]).overall
    assert (overall.code, overall.enhanced) == (550, "5.1.1")
    assert overall.text == "1 of 2 relayed, 1 refused by next hop: no such user (id m1)"


@given(fates)
def test_the_end_of_the_upstreams_channel_is_never_said_of_ours(given_fates: list[RecipientOutcome]) -> None:
    """421 from the next hop becomes 451 in every reply."""
    answer = compose("m1", given_fates)
    assert 421 not in {answer.overall.code, *(reply.code for reply in answer.per_recipient)}


@given(fates)
def test_success_is_said_only_if_nobody_is_open_or_refused_upstream(given_fates: list[RecipientOutcome]) -> None:
    """Promise 2: no success answer before the upstream's own, for each and every recipient."""
    answer = compose("m1", given_fates)
    outcomes = {fate.outcome for fate in given_fates}
    assert answer.overall.is_success == (Outcome.RELAYED in outcomes and outcomes <= {Outcome.RELAYED, Outcome.DROPPED})
    assert len(answer.per_recipient) == len(given_fates)


@given(fates)
def test_any_open_fate_is_temporary_and_nothing_else_is(given_fates: list[RecipientOutcome]) -> None:
    """A retry is asked for exactly when it can change something."""
    answer = compose("m1", given_fates)
    is_open = any(fate.outcome in (Outcome.DEFERRED, Outcome.UNKNOWN) for fate in given_fates)
    assert answer.overall.is_temporary == is_open

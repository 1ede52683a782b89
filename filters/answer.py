"""What the client is told about a whole message, from the fates of its recipients.

Plain SMTP has one reply for all recipients once the final dot is sent, so the worst thing that still needs the
client's care decides (design D1, D3):

1. somebody's fate is open (deferred, or unknown) → temporary: the client keeps the message and tries again, and the
   memory of who has it already keeps the retry from reaching anyone twice;
2. the next hop refused somebody for good → its refusal: an answer of success would lose that recipient silently;
3. everybody left out for want of consent → 550 with the reason;
4. some left out, the rest relayed → 250 with counts;
5. all relayed → 250; for a single recipient the next hop's own words.
"""

from __future__ import annotations

from collections.abc import Sequence

from filters.envelope import Answer, RecipientOutcome
from filters.reply import Reply
from filters.vocabulary import Outcome

_OPEN = frozenset({Outcome.DEFERRED, Outcome.UNKNOWN})

_CLOSES_CHANNEL = 421
_TEMPORARY = 451


def compose(message_id: str, fates: Sequence[RecipientOutcome]) -> Answer:
    """The answer for ``fates`` (at least one, in the order of the recipients)."""
    replies = tuple(_keep_channel(fate.reply) for fate in fates)
    if len(fates) == 1:
        return Answer(replies[0], replies)
    outcomes = [fate.outcome for fate in fates]
    relayed = outcomes.count(Outcome.RELAYED)
    for group, words in ((_OPEN, "deferred, a retry sends only the rest"), ({Outcome.REFUSED}, "refused by next hop")):
        if hits := [number for number, outcome in enumerate(outcomes) if outcome in group]:
            first = replies[hits[0]]
            if len(hits) == len(fates) and len({replies[number] for number in hits}) == 1:
                return Answer(first, replies)
            text = f"{_counts(outcomes, relayed)}, {len(hits)} {words}: {first.text.partition(chr(10))[0]}"
            return Answer(Reply(first.code, first.subject_detail, f"{text} (id {message_id})"), replies)
    if not relayed:
        return Answer(replies[0]._replace(text=f"{replies[0].text} ({_counts(outcomes, relayed)})"), replies)
    return Answer(Reply(250, "0.0", f"{_counts(outcomes, relayed)} (id {message_id})"), replies)


def _counts(outcomes: Sequence[Outcome], relayed: int) -> str:
    dropped = outcomes.count(Outcome.DROPPED)
    return f"{relayed} relayed, {dropped} dropped" if dropped else f"{relayed} of {len(outcomes)} relayed"


def _keep_channel(reply: Reply) -> Reply:
    """A next hop's 421 closes *its* channel; said to our client it would announce the end of ours."""
    return Reply(_TEMPORARY, reply.subject_detail, reply.text) if reply.code == _CLOSES_CHANNEL else reply

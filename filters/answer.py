"""What the client is told about a whole message, from the fates of its recipients.

Plain SMTP has one reply for all recipients once the final dot is sent, so the worst thing that still needs the
client's care decides (design D1, D3):

1. somebody's fate is open (deferred, or unknown) → temporary: the client keeps the message and tries again, and the
   memory of who has it already keeps the retry from reaching anyone twice;
2. the next hop refused somebody for good → its refusal: an answer of success would lose that recipient silently;
3. everybody left out for want of consent → 550 with the reason;
4. some left out, the rest relayed → 250 with counts;
5. all relayed → 250; for a single recipient the next hop's own words.

Whatever is not success names the message's id, also to a single recipient, so that the sender can quote it: log,
evidence and report know the message by it.
"""

from __future__ import annotations

from collections.abc import Sequence

from filters.envelope import Answer, RecipientOutcome
from filters.reply import Reply
from filters.vocabulary import Outcome

_OPEN = frozenset({Outcome.DEFERRED, Outcome.UNKNOWN})

_FIRST_FAILURE = 400
_CLOSES_CHANNEL = 421
_TEMPORARY = 451
# Of the 512 octets that a line of a reply has (RFC 5321 4.5.3.1.5), less codes and id.
_LONGEST_WITH_ID = 440


def compose(message_id: str, fates: Sequence[RecipientOutcome]) -> Answer:
    """The answer for ``fates`` (at least one, in the order of the recipients)."""
    replies = tuple(
        [
            fate.reply if fate.reply.code < _FIRST_FAILURE else _with_id(_keep_channel(fate.reply), message_id)
            for fate in fates
        ]
    )
    if len(fates) == 1:
        return Answer(replies[0], replies)
    outcomes = [fate.outcome for fate in fates]
    relayed = outcomes.count(Outcome.RELAYED)
    for group, words in ((_OPEN, "deferred, a retry sends only the rest"), ({Outcome.REFUSED}, "refused by next hop")):
        if hits := [number for number, outcome in enumerate(outcomes) if outcome in group]:
            first = replies[hits[0]]
            if len(hits) == len(fates) and len({replies[number] for number in hits}) == 1:
                return Answer(first, replies)
            why = fates[hits[0]].reply.text.partition("\n")[0]
            text = f"{_counts(outcomes, relayed)}, {len(hits)} {words}: {why}"
            return Answer(Reply(first.code, first.subject_detail, f"{text} (id {message_id})"), replies)
    if not relayed:
        first = fates[0].reply
        return Answer(first._replace(text=f"{first.text} ({_counts(outcomes, relayed)}) (id {message_id})"), replies)
    return Answer(Reply(250, "0.0", f"{_counts(outcomes, relayed)} (id {message_id})"), replies)


def _counts(outcomes: Sequence[Outcome], relayed: int) -> str:
    dropped = outcomes.count(Outcome.DROPPED)
    return f"{relayed} relayed, {dropped} dropped" if dropped else f"{relayed} of {len(outcomes)} relayed"


def _with_id(reply: Reply, message_id: str) -> Reply:
    last = reply.text.rpartition("\n")[2]
    # A next hop's line may be as long as a line can be.
    gap = " " if len(last) <= _LONGEST_WITH_ID else "\n"
    return reply._replace(text=f"{reply.text}{gap}(id {message_id})")


def _keep_channel(reply: Reply) -> Reply:
    """A next hop's 421 closes *its* channel; said to our client it would announce the end of ours."""
    return Reply(_TEMPORARY, reply.subject_detail, reply.text) if reply.code == _CLOSES_CHANNEL else reply

"""Parts of long messages on one listener: kept until all are there, then one message to the pipeline.

All parts get the answer that the whole message gets, as far as their senders have the patience (``part_hold_s``): a
client with a window of one sends the second part only after the first was answered. A part answered early is answered
as taken; then the last part carries the verdict, which is the message's all the same, for nothing of it is sent without
the last part. Its sender hears the rest by receipts, if it asked for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from filters.client import Client
from filters.smpp.carrier import RecipientAnswer
from filters.smpp.numbers import TEMPORARY, CommandStatus
from filters.smpp.reassembly import Part, PartPlace, PartSet, Reassembler
from filters.smpp.receipt import MessageState
from gateway.smpp.awaited import Awaited, mint_message_id
from gateway.smpp.receipts import ClientPart

if TYPE_CHECKING:
    from gateway.smpp.listener import SmppListener


class LongMessages:
    """The incomplete messages of one listener."""

    def __init__(self, listener: SmppListener) -> None:
        self._listener = listener
        self._reassembler = Reassembler(listener.settings.reassembly)

    def add(self, awaited: Awaited, client: Client, place: PartPlace) -> None:
        """A part has come. Raises ``PduError`` where there is no room for it."""
        awaited.message_id = mint_message_id()
        now = self._listener.now()
        owner = (client.name, awaited.destinations)
        added = self._reassembler.add(owner, awaited.message, place, awaited, now)
        if added.replaced is not None:
            # Its sender asked again, so it does not wait for the first answer any more.
            added.replaced.answer(CommandStatus.SYSTEM_ERROR)
        if added.given_up is not None:
            self._give_up(added.given_up)
        if added.complete is not None:
            self._carry(added.complete, awaited, client)
        elif self._listener.settings.part_hold_s <= 0:
            awaited.answer(CommandStatus.OK, awaited.message_id)

    def sweep(self, now: float) -> None:
        """Answer early whom nothing followed, and give up what is too old."""
        for kept in self._reassembler.waiting_since(now - self._listener.settings.part_hold_s):
            for part in kept.parts.values():
                awaited: Awaited = part.ticket
                awaited.answer(CommandStatus.OK, awaited.message_id)
        for kept in self._reassembler.expire(now):
            self._give_up(kept)

    def give_up_all(self) -> None:
        """We go down: whoever waits for the answer to a part comes again with all parts."""
        for kept in self._reassembler.expire(float("inf")):
            self._give_up(kept)

    def _carry(self, complete: PartSet, last: Awaited, client: Client) -> None:
        parts = complete.in_order()
        early = frozenset(number for number, part in complete.parts.items() if part.ticket.is_answered)
        self._listener.carry(
            [part.message for part in parts],
            last,
            client,
            partial(_are_gone, parts, early),
            partial(self._answer, complete, early),
        )

    def _answer(self, complete: PartSet, early: frozenset[int], answers: Sequence[RecipientAnswer]) -> None:
        listener = self._listener
        parts = complete.in_order()
        failed = [said for said in answers if said.status != CommandStatus.OK]
        # A long message to several destinations gets one word: parts cannot be refused for some of them.
        said = failed[0] if failed else answers[0]
        for destination, answer in zip(parts[0].ticket.destinations, answers, strict=True):
            if answer.status == CommandStatus.OK:
                told = [
                    ClientPart(part.ticket.message_id, part.message._replace(destination=destination)) for part in parts
                ]
                listener.track(parts[0].ticket.client, told, answer.smsc_ids)
        is_accepted = said.status == CommandStatus.OK or (
            len(answers) == 1 and all(listener.accepts(said, part.message) for part in parts)
        )
        for number, part in complete.parts.items():
            awaited: Awaited = part.ticket
            if number not in early:
                awaited.answer(CommandStatus.OK if is_accepted else said.status, awaited.message_id)
        if said.status == CommandStatus.OK:
            return
        if said.status in TEMPORARY:
            kept = {number: part for number, part in complete.parts.items() if number in early}
            if kept and self._reassembler.put_back(complete, kept, listener.now()):
                return
        for number, part in complete.parts.items():
            if is_accepted or number in early:
                listener.tell(part.ticket.client, part.ticket.message_id, part.message, MessageState.REJECTED)

    def _give_up(self, kept: PartSet) -> None:
        for part in kept.parts.values():
            awaited: Awaited = part.ticket
            if awaited.is_answered:
                self._listener.tell(awaited.client, awaited.message_id, part.message, MessageState.EXPIRED)
            else:
                awaited.answer(CommandStatus.SYSTEM_ERROR)


def _are_gone(parts: list[Part], early: frozenset[int]) -> bool:
    """Whether somebody who waits for the answer to a part cannot be told any more."""
    return any(part.ticket.is_gone() for number, part in enumerate(parts, 1) if number not in early)

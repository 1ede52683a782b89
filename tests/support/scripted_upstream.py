"""A next hop in memory: takes or fails by recipient, now or later, in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from filters.envelope import RecipientOutcome
from filters.exchange import EXPIRED, OutgoingMail, UpstreamCapabilities
from filters.reply import Reply
from filters.vocabulary import Outcome
from tests.support.agenda import Agenda, Manner, always, behave

EVERYTHING = UpstreamCapabilities(None, True, True, True)

RELAYED = RecipientOutcome(Outcome.RELAYED, Reply(250, "0.0", "Ok: queued"))
DEFERRED = RecipientOutcome(Outcome.DEFERRED, Reply(451, "4.1", "next hop is busy"))
REFUSED = RecipientOutcome(Outcome.REFUSED, Reply(550, "1.1", "no such mailbox"))
UNKNOWN = RecipientOutcome(Outcome.UNKNOWN, Reply(451, "4.2", "next hop did not confirm"))


class Given(NamedTuple):
    """One transaction as it was handed over, when, and how many look-ups had been answered by then."""

    at: float
    asked: int
    mail: OutgoingMail

    @property
    def wires(self) -> tuple[bytes, ...]:
        return tuple(recipient.address.wire for recipient in self.mail.recipients)


class ScriptedUpstream:
    """A ``MailUpstream``. ``fate_of`` says what becomes of a recipient (by wire address), ``manner`` how that is told.

    ``given`` is all that was handed over, ``taken`` counts what this next hop has, by wire address and content's
    ``Message-ID``: RELAYED always, UNKNOWN too (it took it, and the confirmation was lost). With ``is_queueing`` every
    transaction that may expire does so once. ``doubtful`` are those who have it without our having been told so.
    """

    def __init__(
        self,
        agenda: Agenda | None = None,
        *,
        name: str = "relay",
        capabilities: UpstreamCapabilities | None = EVERYTHING,
        clock: Callable[[], float] = lambda: 0.0,
        count_asked: Callable[[], int] = lambda: 0,
    ) -> None:
        self.name = name
        self.capabilities = capabilities
        self.agenda = agenda or Agenda()
        self.manner: Callable[[], Manner] = always(Manner.AT_ONCE)
        self.fate_of: Callable[[bytes], RecipientOutcome] = lambda _wire: RELAYED
        self.is_queueing: Callable[[], bool] = lambda: False
        self.given: list[Given] = []
        self.taken: Counter[tuple[bytes, bytes]] = Counter()
        self.doubtful: set[bytes] = set()
        self.under_way = 0
        self.most_under_way = 0
        self._clock = clock
        self._count_asked = count_asked

    def relay(self, mail: OutgoingMail, done: Callable[[Sequence[RecipientOutcome]], None]) -> None:
        if mail.valid_s < 1e9 and not mail.is_again and self.is_queueing():
            self._late(lambda: done([EXPIRED] * len(mail.recipients)))
            return
        self.given.append(Given(self._clock(), self._count_asked(), mail))
        fates = [self.fate_of(recipient.address.wire) for recipient in mail.recipients]
        manner = self.manner()
        has_taken = manner not in (Manner.RAISES, Manner.FAILS, Manner.FAILS_LATE)
        if has_taken:
            self._take(mail, fates)
        if manner is Manner.LATE:
            self._late(lambda: done(fates))
            return
        if manner is Manner.IS_WRONG:  # nobody can say which of them are meant
            self.doubtful.update(recipient.address.wire for recipient in mail.recipients)
            done([*fates, RELAYED])
            return
        behave(manner, self.agenda, lambda: done(fates), lambda: done([DEFERRED] * len(fates)))

    def _take(self, mail: OutgoingMail, fates: Sequence[RecipientOutcome]) -> None:
        for recipient, fate in zip(mail.recipients, fates, strict=True):
            if fate.outcome is Outcome.UNKNOWN:
                self.doubtful.add(recipient.address.wire)
            if fate.outcome in (Outcome.RELAYED, Outcome.UNKNOWN):
                self.taken[recipient.address.wire, message_id_of(mail.content)] += 1

    def _late(self, tell: Callable[[], object]) -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)

        def deliver() -> None:
            self.under_way -= 1
            tell()

        self.agenda.owed.append(deliver)


def message_id_of(content: bytes) -> bytes:
    at = content.find(b"Message-ID: ")
    return content[at + 12 : content.index(b"\r\n", at)] if at >= 0 else b""

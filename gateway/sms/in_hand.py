"""One SMS request on its way through the pipeline: what each step found out, for the steps after it.

Fifty thousand recipients make lists, not objects: position n of each list is the n-th recipient of the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from filters.exchange import Lookup
from filters.reason import Reason
from filters.sms.dialect import Call, Segments
from filters.sms.http import HttpRequest, HttpResponse, UpstreamFault
from filters.sms.judgement import Settlement
from filters.sms.message import SmsFate, Submission
from filters.vocabulary import FreshnessState, LookupFailure, MessageClass, Outcome, Verdict

if TYPE_CHECKING:
    from filters.classify import Classification
    from filters.client import Client
    from gateway.sms.at_provider import HandOver
    from gateway.sms.route import SmsBrand, SmsRoute

NOT_SETTLED = -1

_FEW = 4
"""So many are looked through one by one: most requests have two, before and after the hand-over."""


class SmsInHand:
    """The request. Times are wall-clock seconds since 1970 UTC, ``*_s`` durations in seconds."""

    __slots__ = (
        "_numbers",
        "body_digest",
        "brand",
        "call",
        "classification",
        "client",
        "decided_at",
        "decision_s",
        "detail",
        "digest",
        "end_awaited",
        "fates",
        "freshness",
        "hand_over",
        "is_again",
        "is_commercial",
        "is_gone",
        "is_handed_over",
        "is_heavy",
        "is_recorded",
        "kept",
        "keys",
        "lookup",
        "lookup_s",
        "message_id",
        "minted_id",
        "received_at",
        "refusal",
        "request",
        "response",
        "route",
        "segments",
        "sent_sha256",
        "settled",
        "settlements",
        "staleness_s",
        "status",
        "submission",
        "texts",
        "upstream_fault",
    )  # fmt: skip

    def __init__(
        self,
        request: HttpRequest,
        call: Call,
        route: SmsRoute,
        client: Client,
        message_id: str,
        received_at: float,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> None:
        self.request = request
        self.call = call
        self.route = route
        self.client = client
        self.message_id = message_id
        self.received_at = received_at
        self.is_gone = is_gone
        """Whether the client has left without our word."""
        self.end_awaited: asyncio.Future[None] | None = None
        """What those wait for who may not go on before this one is answered."""
        self.hand_over: HandOver | None = None
        """Its mark for other workers while it is at the provider."""
        self.decided_at = received_at
        self.submission: Submission | None = None
        self.is_heavy = False
        self.digest = b""
        """Client, upstream and request: by this the request is known again at a retry (design D2)."""
        self.body_digest = ""
        self.classification: Classification | None = None
        self.is_commercial = True
        """Until the class is known the stricter reading holds (G1)."""
        self.brand: SmsBrand | None = None
        self.keys: list[bytes] = []
        self.lookup: Lookup | LookupFailure | None = None
        self.freshness = FreshnessState.COLD
        self.staleness_s: int | None = None
        self.settlements: list[Settlement] = []
        self.settled: list[int] = []
        self._numbers: dict[Settlement, int] = {}
        self.fates: list[SmsFate | None] = []
        self.kept: list[int] = []
        """Positions of those who may have it, in order."""
        self.texts: list[str] = []
        """The text that goes to each of ``kept``."""
        self.segments: Sequence[Segments] = ()
        self.sent_sha256: list[str] = []
        self.response: HttpResponse | None = None
        """The upstream's."""
        self.upstream_fault: UpstreamFault | None = None
        self.minted_id = ""
        self.is_again = 0
        self.is_handed_over = self.is_recorded = False
        self.refusal = Reason.OPTOUT_IMPOSSIBLE
        """Why the whole request is refused, where it is one of the closed list of reasons."""
        self.detail = ""
        self.status = 0
        self.lookup_s = self.decision_s = 0.0

    @property
    def message_class(self) -> MessageClass:
        return MessageClass.COMMERCIAL if self.classification is None else self.classification.message_class

    @property
    def asked(self) -> Submission:
        """The request as read."""
        assert self.submission is not None
        return self.submission

    def begin(self, submission: Submission) -> None:
        """It was read: nobody is settled yet."""
        self.submission = submission
        self.begin_decision()
        self.keys = [b""] * len(submission.recipients)

    def begin_decision(self) -> None:
        """Whatever was decided and written before counts no longer."""
        number = len(self.asked.recipients)
        self.settled = [NOT_SETTLED] * number
        self.fates = [None] * number
        self.sent_sha256 = [""] * number
        self.kept = []
        self.texts = []

    def number_of(self, settlement: Settlement) -> int:
        """The number of ``settlement`` in ``settlements``, where it is put if it is new."""
        settlements, numbers = self.settlements, self._numbers
        if len(settlements) < _FEW:
            for number, known in enumerate(settlements):
                if known == settlement:
                    return number
        elif (found := numbers.get(settlement)) is not None:
            return found
        elif not numbers:  # no longer few
            numbers.update(zip(settlements, range(len(settlements)), strict=True))
            if (found := numbers.get(settlement)) is not None:
                return found
        number = len(settlements)
        settlements.append(settlement)
        if number >= _FEW:
            numbers[settlement] = number
        return number

    def settle(self, position: int, fate: SmsFate, row: str, verdict: Verdict) -> None:
        """What became of one recipient."""
        reason = "" if fate.reason is None else str(fate.reason)
        self.settled[position] = self.number_of(Settlement(row, reason, verdict, fate.outcome, fate.upstream_code))
        self.fates[position] = fate

    def settle_open(self, reason: Reason) -> None:
        """Whoever is not settled yet is put off for ``reason``, or dropped where that is for good."""
        if None not in self.fates:
            return
        is_temporary = reason.reply.is_temporary
        verdict = Verdict.DEFER if is_temporary else Verdict.DROP
        fate = SmsFate(Outcome.DEFERRED if is_temporary else Outcome.DROPPED, reason)
        for position, found in enumerate(self.fates):
            if found is None:
                self.settle(position, fate, "", verdict)

    def positions_of(self, outcome: Outcome) -> list[int]:
        """Where in the request the recipients stand who are settled with ``outcome``."""
        numbers = {number for number, settlement in enumerate(self.settlements) if settlement.outcome is outcome}
        if not numbers or numbers.isdisjoint(self.settled):
            return []
        fates = self.fates
        return [n for n, number in enumerate(self.settled) if number in numbers and fates[n] is not None]

    def count(self) -> list[tuple[Settlement, int]]:
        """How many recipients each settlement stands for that any has."""
        if len(self.settled) == 1:
            number = self.settled[0]
            return [(self.settlements[number], 1)] if number >= 0 else []
        counts = [0] * len(self.settlements)
        for number in self.settled:
            if number >= 0:
                counts[number] += 1
        return [each for each in zip(self.settlements, counts, strict=True) if each[1]]

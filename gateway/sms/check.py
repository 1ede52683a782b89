"""``POST /v1/check``: the decision without sending, for senders that cannot be proxied and for diallers.

One recipient or a hundred thousand, in the channel MESAJ, EPOSTA or ARAMA. The answer to a list is written as it is
found, as one JSON document or, asked for by ``Accept: application/x-ndjson``, one line each; in the list's order.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from filters.address import AddressError, parse_email
from filters.classify import Classification, ClassificationRefusal
from filters.client import Client
from filters.consent_key import ConsentKeys
from filters.decision.decide import Facts
from filters.decision.freshness import freshness
from filters.decision.policy import Policy
from filters.exchange import Lookup
from filters.phone import PhoneError, parse_phone
from filters.reason import Reason
from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.dialects.plain import PlainDialect
from filters.sms.dialects.strict_json import check_fields, malformed, read_json_object, text_field
from filters.sms.http import HttpRequest
from filters.sms.judgement import BatchJudge
from filters.sms.message import Submission
from filters.vocabulary import Channel, FreshnessState, LookupFailure, MessageClass, RecipientType, Verdict
from gateway.dealers import DealerLists, index_for
from gateway.ports import ConsentIndex
from gateway.sms.callbacks import answer_of
from gateway.sms.exchange import BodyMemory, make_response, read_body, read_head
from gateway.sms.route import SmsBrand
from gateway.sms.tags import SmsTags, fault_of

MAX_RECIPIENTS = 100_000
MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_RECIPIENT_CHARACTERS = 320
SLICE = 2000
"""So many are decided in one turn of the loop: some twenty milliseconds."""

CHANNELS = {"MESAJ": Channel.SMS, "EPOSTA": Channel.EMAIL, "ARAMA": Channel.CALL}
"""The registry's names."""

_TYPES = {
    "individual": RecipientType.INDIVIDUAL,
    "business": RecipientType.BUSINESS,
    "BIREYSEL": RecipientType.INDIVIDUAL,
    "TACIR": RecipientType.BUSINESS,
}
_CLASSES = {str(message_class): message_class for message_class in MessageClass}
_FIELDS = frozenset({"brand", "channel", "class", "recipient_type", "recipient", "recipients"})
_NDJSON = "application/x-ndjson"
_DIALECT = PlainDialect()
_EXEMPT_POLICY = Policy()


class _Question(NamedTuple):
    channel: Channel
    recipients: Sequence[str]
    is_single: bool
    found: Classification
    client: Client


class Checks:
    """Answers checks. ``find_client`` knows who may ask; ``count`` hears of each call."""

    def __init__(
        self,
        *,
        find_client: Callable[[web.Request, HttpRequest], Awaitable[Client]],
        brands: Mapping[int, SmsBrand],
        tags: SmsTags,
        keys: ConsentKeys,
        index: ConsentIndex,
        memory: BodyMemory,
        count: Callable[[str, str, int], None],
        dealer_lists: DealerLists | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._find_client = find_client
        self._brands = brands
        self._any_brand = next(iter(brands))
        self._tags = tags
        self._keys = keys
        self._index = index
        self._dealer_lists = dealer_lists
        self._memory = memory
        self._count = count
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/check", self.answer)]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One JSON object for ``recipient``, a list for ``recipients``."""
        try:
            head = read_head(request)
            client = await self._find_client(request, head)
            body = await read_body(request, MAX_BODY_BYTES, self._memory)
            try:
                question = self._read(head._replace(body=body), client)
            finally:
                self._memory.give_back(len(body))
        except RequestRefusedError as refusal:
            response = _DIALECT.write_fault(refusal.fault, refusal.detail)
            self._count("check", "check", response.status)
            return make_response(response)
        if question.is_single:
            (entry,), about = await self._decide(question, question.recipients)
            self._count("check", "check", 200)
            return web.json_response({**entry, **about}, dumps=lambda value: orjson.dumps(value).decode())
        return await self._stream(request, question)

    def _read(self, request: HttpRequest, client: Client) -> _Question:
        if request.query:
            raise RequestRefusedError(Fault.UNKNOWN_FIELD, "the query: expected none")
        asked = read_json_object(request)
        check_fields(asked, _FIELDS)
        channel = CHANNELS.get(text_field(asked, "channel", default="MESAJ"))
        if channel is None:
            raise malformed(f"channel: expected one of {', '.join(CHANNELS)}")
        if ("recipient" in asked) == ("recipients" in asked):
            raise malformed("recipient or recipients: expected one of them")
        recipients = asked.get("recipients", [asked.get("recipient")])
        if type(recipients) is not list or not recipients or not all(type(each) is str for each in recipients):
            raise malformed("recipients: expected a list of texts that is not empty")
        if len(recipients) > MAX_RECIPIENTS:
            raise RequestRefusedError(Fault.TOO_MANY_RECIPIENTS, f"recipients: expected at most {MAX_RECIPIENTS}")
        if max(map(len, recipients)) > MAX_RECIPIENT_CHARACTERS:
            raise RequestRefusedError(Fault.BAD_NUMBER, "recipients: one is longer than any address")
        brand = asked.get("brand", "")
        if type(brand) not in (int, str):
            raise malformed("brand: expected the code or the name of a brand")
        submission = Submission(
            "plain",
            "check",
            [],
            [],
            tag_class=_choice(asked, "class", _CLASSES),
            tag_type=_choice(asked, "recipient_type", _TYPES),
            brand=str(brand),
        )
        found = self._tags.classify(request, submission, client)
        if isinstance(found, ClassificationRefusal):
            raise RequestRefusedError(*fault_of(found))
        return _Question(channel, recipients, "recipient" in asked, found, client)

    async def _stream(self, request: web.Request, question: _Question) -> web.StreamResponse:
        is_lines = _NDJSON in request.headers.get("Accept", "")
        response = web.StreamResponse(
            headers={
                "Content-Type": _NDJSON if is_lines else "application/json; charset=utf-8",
                "Cache-Control": "no-store",
                "Server": "izinkapi",
            }
        )
        await response.prepare(request)
        if not is_lines:
            await response.write(b'{"results":[')
        about: dict[str, object] = {}
        permitted = 0
        for start in range(0, len(question.recipients), SLICE):
            entries, about = await self._decide(question, question.recipients[start : start + SLICE])
            permitted += sum(entry["permitted"] is True for entry in entries)
            if is_lines:
                part = b"".join(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE) for entry in entries)
            else:
                part = (b"," if start else b"") + orjson.dumps(entries)[1:-1]
            await response.write(part)  # waits where the client reads slowly
        totals = {**about, "recipients": len(question.recipients), "permitted": permitted}
        if not is_lines:
            await response.write(b"]," + orjson.dumps(totals)[1:])
        await response.write_eof()
        self._count("check", "check", 200)
        return response

    async def _decide(
        self, question: _Question, recipients: Sequence[str]
    ) -> tuple[list[dict[str, object]], dict[str, object]]:
        """One entry each, in order, and how fresh the index was."""
        found, channel = question.found, question.channel
        own = self._brands[found.brand.code] if found.brand is not None else None
        code = own.brand.code if own is not None else self._any_brand
        keys: list[bytes | None] = [_key_of(channel, each) for each in recipients]
        asked = self._keys.derive_many(code, [key for key in keys if key is not None])
        answer: Lookup | LookupFailure = Lookup((None,) * len(asked), None, 0)
        if found.message_class is MessageClass.COMMERCIAL and asked:
            try:
                index = index_for(self._index, self._dealer_lists, question.client)
                answer = await answer_of(partial(index.lookup, code, asked, None))
            except Exception:  # unknown means no
                answer = LookupFailure.BROKEN
        now = int(self._clock())
        policy = own.policy if own is not None else _EXEMPT_POLICY
        how_fresh, staleness_s, failure = FreshnessState.COLD, None, None
        values: Sequence[bytes | None] = (None,) * len(asked)
        if isinstance(answer, Lookup) and len(answer.values) == len(asked):
            values = answer.values
            how_fresh, staleness_s = freshness(answer.watermark_at, now, policy)
        else:
            failure = answer if isinstance(answer, LookupFailure) else LookupFailure.BROKEN
        facts = Facts(
            found.message_class,
            channel,
            found.recipient_type,
            own.brand if own is not None else None,
            how_fresh,
            now,
            staleness_s,
            failure,
            found.is_tagged,
            is_dealer=question.client.retailer_code is not None,
        )
        judge = BatchJudge(facts, policy)
        left = iter(values)
        entries: list[dict[str, object]] = []
        for spelled, key in zip(recipients, keys, strict=True):
            if key is None:
                entries.append(_entry(spelled, Verdict.DROP, Reason.ADDRESS_INVALID, ""))
                continue
            is_abroad = channel is not Channel.EMAIL and not key.startswith(b"+90")
            decision = judge.judge(next(left), is_abroad).decision
            entries.append(_entry(spelled, decision.verdict, decision.reason, decision.row))
        return entries, {"freshness": how_fresh, "staleness_s": staleness_s, "checked_at": now}


def _entry(spelled: str, verdict: Verdict, reason: Reason, row: str) -> dict[str, object]:
    is_permitted = verdict is Verdict.PERMIT
    return {"recipient": spelled, "permitted": is_permitted, "verdict": verdict, "reason": reason, "row": row}


def _key_of(channel: Channel, spelled: str) -> bytes | None:
    """What consent is kept under; None for what is no address of this channel."""
    try:
        if channel is Channel.EMAIL:
            return parse_email(spelled.encode("utf-8"), allow_utf8=True).key
        return parse_phone(spelled).key
    except (AddressError, PhoneError, UnicodeEncodeError):
        return None


def _choice(asked: Mapping[str, Any], name: str, choices: Mapping[str, Any]) -> Any:
    value = asked.get(name)
    if value is None:
        return None
    if type(value) is not str or value not in choices:
        raise malformed(f"{name}: expected one of {', '.join(choices)}")
    return choices[value]

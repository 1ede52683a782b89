"""``POST /v1/consents``: consents and refusals for the registry, as a JSON array or one JSON object a line.

Rows have the registry's own fields (``filters.registry.rows``). Each gets its own answer: an id under which
``GET /v1/consents/{id}`` says what became of it, or the codes the registry would give. 202 where any row was taken,
422 where none was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from filters.client import Client
from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.dialects.plain import PlainDialect
from filters.sms.dialects.strict_json import malformed, parse_json, refuse_other_content
from filters.sms.http import HttpRequest
from gateway.clients import ClientDirectory, Network
from gateway.registry.pending import ConsentNotes, pending_as_json
from gateway.registry.registering import Registering, Taken
from gateway.sms.exchange import BodyMemory, make_response, read_body, read_head
from gateway.sms.recognition import ClientRecogniser

MAX_ROWS = 10_000
MAX_BODY_BYTES = 8 * 1024 * 1024
_NDJSON = "application/x-ndjson"
_ID_DIGITS = 32
_DIALECT = PlainDialect()


class ConsentsApi:
    """``find_client`` knows who may hand over; ``brands`` are those of this installation."""

    def __init__(
        self,
        *,
        find_client: Callable[[web.Request, HttpRequest], Awaitable[Client]],
        brands: Collection[int],
        registering: Registering,
        notes: ConsentNotes,
        memory: BodyMemory,
        count: Callable[[str, str, int], None],
    ) -> None:
        self._find_client = find_client
        self._brands = frozenset(brands)
        self._registering = registering
        self._notes = notes
        self._memory = memory
        self._count = count

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/consents", self.take), web.get("/v1/consents/{item_id}", self.tell)]

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Rows of one brand: ``?brand=600123``, which may be left out by a client that has one only."""
        return await self._answer(request, self._take)

    async def tell(self, request: web.Request) -> web.StreamResponse:
        """What became of one consent."""
        return await self._answer(request, self._tell)

    async def _answer(
        self, request: web.Request, answer: Callable[[web.Request], Awaitable[web.Response]]
    ) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await answer(request)
        except RequestRefusedError as refusal:
            response = make_response(_DIALECT.write_fault(refusal.fault, refusal.detail))
        except OSError:
            fault = _DIALECT.write_fault(Fault.UNAVAILABLE, "the consents could not be written down now")
            response = make_response(fault)
        self._count("consents", "consents", response.status)
        return response

    async def _take(self, request: web.Request) -> web.Response:
        head = read_head(request)
        client = await self._find_client(request, head)
        brand = self._read_brand(request, client)
        body = await read_body(request, MAX_BODY_BYTES, self._memory)
        try:
            rows = _read_rows(head._replace(body=body))
            if len(rows) > MAX_ROWS:
                raise RequestRefusedError(Fault.TOO_MANY_RECIPIENTS, f"the list: expected at most {MAX_ROWS} rows")
            taken = await self._registering.take(brand, rows)
        finally:
            self._memory.give_back(len(body))
        good = sum(not each.codes for each in taken)
        entries = [_entry(place, each) for place, each in enumerate(taken)]
        status = 202 if good else 422
        return _json(status, {"accepted": good, "refused": len(taken) - good, "items": entries})

    async def _tell(self, request: web.Request) -> web.Response:
        client = await self._find_client(request, read_head(request))
        text = request.match_info["item_id"]
        if len(text) != _ID_DIGITS or not set(text) <= set("0123456789abcdef"):
            raise RequestRefusedError(Fault.NOT_FOUND, "no such consent")
        pending = await self._notes.find(bytes.fromhex(text))
        if pending is None or pending.brand not in client.brands:
            raise RequestRefusedError(Fault.NOT_FOUND, "no such consent")
        return _json(200, pending_as_json(pending))

    def _read_brand(self, request: web.Request, client: Client) -> int:
        if not set(request.query) <= {"brand"} or len(request.query.getall("brand", [])) > 1:
            raise RequestRefusedError(Fault.UNKNOWN_FIELD, "the query: expected brand once and nothing else")
        text = request.query.get("brand")
        if text is None:
            if len(client.brands) != 1:
                raise malformed("brand: expected in the query, as ?brand=600123")
            return client.brands[0]
        code = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0
        if code not in client.brands or code not in self._brands:
            raise RequestRefusedError(Fault.NOT_ALLOWED, "brand: not one of this client's")
        return code


@dataclass(frozen=True, slots=True)
class ConsentsMeans:
    """What every listener with ``consents_api`` shares in one worker."""

    clients: ClientDirectory
    registering: Registering
    notes: ConsentNotes
    count: Callable[[str, str, int], None]

    def make_api(self, brands: Collection[int], forwarded_from: Sequence[Network], memory_bytes: int) -> ConsentsApi:
        """The API of one listener; ``memory_bytes`` bounds the bodies held at once."""
        recogniser = ClientRecogniser(self.clients, forwarded_from)
        return ConsentsApi(
            find_client=recogniser.find_client,
            brands=brands,
            registering=self.registering,
            notes=self.notes,
            memory=BodyMemory(memory_bytes),
            count=self.count,
        )


def _read_rows(request: HttpRequest) -> list[Any]:
    content_type = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if content_type == _NDJSON:
        refuse_other_content(request, (_NDJSON,))
        rows = [parse_json(line) for line in request.body.split(b"\n") if line.strip()]
    else:
        refuse_other_content(request, ("application/json", "text/json"))
        rows = parse_json(request.body)
    if type(rows) is not list or not rows:
        raise malformed("the body: expected a list of consents that is not empty")
    return rows


def _entry(place: int, taken: Taken) -> dict[str, object]:
    if taken.codes:
        return {"index": place, "codes": taken.codes}
    return {"index": place, "id": taken.item_id.hex(), "status": "ONAY" if taken.status == "approved" else "RET"}


def _json(status: int, value: object) -> web.Response:
    headers = {"Cache-Control": "no-store", "Server": "izinkapi"}
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json", headers=headers)

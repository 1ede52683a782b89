"""The three syntaxes of İleti Merkezi's calls have one content, the tree that its JSON shows; this is the first.

``request`` holds ``authentication`` and ``order``; ``response`` holds ``status`` and, where there is one, ``order``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from filters.sms.dialect import RequestRefusedError
from filters.sms.dialects.iletimerkezi_values import sentence_of
from filters.sms.dialects.strict_form import refuse_query
from filters.sms.dialects.strict_json import json_response, parse_json, read_json_object, write_json
from filters.sms.http import HttpRequest, HttpResponse

Tree = dict[str, Any]


class Syntax(Protocol):
    """How requests and answers are written down."""

    def operation_of(self, request: HttpRequest) -> str | None:
        """``send-sms`` and others, None for a call that is not of this syntax."""

    def read(self, request: HttpRequest) -> Tree:
        """The whole of a request to send. Unknown and repeated fields are refused here, or kept for who reads the tree
        to refuse. Raises ``RequestRefusedError``."""

    def read_order(self, request: HttpRequest) -> Tree:
        """What a report or cancellation asks about. Raises ``RequestRefusedError``."""

    def write(self, operation: str, login: Mapping[str, str], order: Tree) -> HttpRequest:
        """The request of these values, ``order["message"]`` being a message or a list of them."""

    def answer(self, code: int, detail: str = "", order: Tree | None = None) -> HttpResponse:
        """The answer; the HTTP status mirrors the code."""

    def read_answer(self, response: HttpResponse) -> tuple[int, Tree]:
        """Code (0 where it cannot be read; older documents show it as text) and order of an answer."""

    def add_rows(self, response: HttpResponse, rows: Sequence[Mapping[str, Any]]) -> HttpResponse:
        """A report that ``read_answer`` could read, with further messages (number and status) in its order."""


class JsonSyntax:
    """The JSON calls: ``/v1/OPERATION/json``."""

    def operation_of(self, request: HttpRequest) -> str | None:
        path = request.path.removesuffix("/")
        if request.method != "POST" or not path.startswith("/v1/") or not path.endswith("/json"):
            return None
        return path.removeprefix("/v1/").removesuffix("/json")

    def read(self, request: HttpRequest) -> Tree:
        refuse_query(request)
        return read_json_object(request)

    def read_order(self, request: HttpRequest) -> Tree:
        found: Any = read_json_object(request)
        for name in ("request", "order"):
            found = found.get(name) if type(found) is dict else None
        return found if type(found) is dict else {}

    def write(self, operation: str, login: Mapping[str, str], order: Tree) -> HttpRequest:
        body = {"request": {"authentication": login, "order": order}}
        headers = (("content-type", "application/json"), ("accept", "application/json"))
        return HttpRequest("POST", f"/v1/{operation}/json", "", headers, write_json(body))

    def answer(self, code: int, detail: str = "", order: Tree | None = None) -> HttpResponse:
        # The code is an integer, as its Python client demands.
        status = {"code": code, "message": sentence_of(code, detail)}
        return json_response(code, {"response": {"status": status, **({"order": order} if order else {})}})

    def read_answer(self, response: HttpResponse) -> tuple[int, Tree]:
        try:
            found = parse_json(response.body)
        except RequestRefusedError:
            return 0, {}
        inner = found.get("response") if type(found) is dict else None
        status = inner.get("status") if type(inner) is dict else None
        code = status.get("code") if type(status) is dict else None
        order = inner.get("order") if type(inner) is dict else None
        return read_code(code), (order if type(order) is dict else {})

    def add_rows(self, response: HttpResponse, rows: Sequence[Mapping[str, Any]]) -> HttpResponse:
        answer = parse_json(response.body)
        order = answer["response"]["order"]
        found = order.get("message")
        listed = found if type(found) is list else [found] if type(found) is dict else []
        answer["response"]["order"] = {**order, "message": [*listed, *rows]}
        return json_response(response.status, answer)


def read_code(code: object) -> int:
    """An answer's code, written as integer or text; 0 for anything else."""
    if type(code) is str and code.isascii() and code.isdigit() and len(code) == 3:
        return int(code)
    return code if type(code) is int else 0

"""İleti Merkezi's XML and query-string calls, twins of the JSON ones; both are answered in XML.

From the provider's own documents: names and nesting are those of the JSON, ``message`` and ``number`` repeated. The
query call has no time of sending there, so a request with one is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.dialects.iletimerkezi_json import Tree, read_code
from filters.sms.dialects.iletimerkezi_values import sentence_of
from filters.sms.dialects.strict_form import read_query, refuse_query, required_field, write_form
from filters.sms.dialects.strict_json import malformed
from filters.sms.dialects.strict_xml import (
    Element,
    check_element,
    parse_xml,
    read_xml,
    write_document,
    write_element,
    write_text,
)
from filters.sms.http import HttpRequest, HttpResponse

_LOGIN = ("key", "hash", "username", "password")
_TAGS = ("sender", "sendDateTime", "iys", "iysList")
_ASKED = ("id", "page", "rowCount")
_QUERY_FIELDS = frozenset({*_LOGIN, "text", "receipents", "sender", "iys", "iysList"})
_HEADERS = (("content-type", "text/xml; charset=utf-8"),)


class XmlSyntax:
    """The XML calls: ``/v1/OPERATION``."""

    def operation_of(self, request: HttpRequest) -> str | None:
        path = request.path.removesuffix("/")
        return path.removeprefix("/v1/") if request.method == "POST" and path.startswith("/v1/") else None

    def read(self, request: HttpRequest) -> Tree:
        refuse_query(request)
        root = read_xml(request, "request")
        check_element(root, ("authentication", "order"))
        order = _required(root, "order")
        check_element(order, (*_TAGS, "message"))
        read = {**_fields(order, _TAGS), "message": [_read_message(each) for each in order.all("message")]}
        login = _required(root, "authentication")
        check_element(login, _LOGIN)
        return {"request": {"authentication": _fields(login, _LOGIN), "order": read}}

    def read_order(self, request: HttpRequest) -> Tree:
        order = read_xml(request, "request").one("order")
        return _fields(order, _ASKED) if order is not None else {}

    def write(self, operation: str, login: Mapping[str, str], order: Tree) -> HttpRequest:
        head = "".join(map(write_element, _leaves(order)))
        messages = order.get("message", [])
        body = "".join(map(_write_message, [messages] if type(messages) is dict else messages))
        written = write_element(Element("authentication", children=_leaves(login)))
        document = f"<request>{written}<order>{head}{body}</order></request>"
        return HttpRequest("POST", f"/v1/{operation}", "", _HEADERS, write_document(document))

    def answer(self, code: int, detail: str = "", order: Tree | None = None) -> HttpResponse:
        status = Element("status", children=_leaves({"code": code, "message": sentence_of(code, detail)}))
        children = [status]
        if order:
            rows = [Element("message", children=_leaves(row)) for row in order.get("message", ())]
            head: Tree = {name: order[name] for name in ("id", "status") if name in order}
            children.append(Element("order", children=[*_leaves(head), *rows]))
        return HttpResponse(code, _HEADERS, write_document(Element("response", children=children)))

    def read_answer(self, response: HttpResponse) -> tuple[int, Tree]:
        try:
            root = parse_xml(response.body)
            status, order = root.one("status"), root.one("order")
            code = status.text_of("code") if status is not None and root.name == "response" else ""
            return read_code(code), (_fields(order, ("id", "status")) if order is not None else {})
        except RequestRefusedError:
            return 0, {}

    def add_rows(self, response: HttpResponse, rows: Sequence[Mapping[str, Any]]) -> HttpResponse:
        root = parse_xml(response.body)
        more = [Element("message", children=_leaves(row)) for row in rows]
        children = [
            Element("order", children=[*child.children, *more]) if child.name == "order" else child
            for child in root.children
        ]
        return HttpResponse(response.status, _HEADERS, write_document(Element("response", children=children)))


class QuerySyntax(XmlSyntax):
    """The one query call: ``GET /v1/send-sms/get/``, of one text to a comma list of numbers."""

    def operation_of(self, request: HttpRequest) -> str | None:
        is_send = request.method == "GET" and request.path.removesuffix("/") == "/v1/send-sms/get"
        return "send-sms" if is_send else None

    def read(self, request: HttpRequest) -> Tree:
        fields = read_query(request, _QUERY_FIELDS)
        numbers = [piece.strip(" ") for piece in required_field(fields, "receipents").split(",")]
        if not all(numbers):
            raise RequestRefusedError(Fault.BAD_NUMBER, "receipents: expected a number between commas")
        message = {"text": required_field(fields, "text"), "receipents": {"number": numbers}}
        return {
            "request": {
                "authentication": {name: fields[name] for name in _LOGIN if name in fields},
                "order": {**{name: fields[name] for name in _TAGS if name in fields}, "message": [message]},
            }
        }

    def write(self, operation: str, login: Mapping[str, str], order: Tree) -> HttpRequest:
        messages = order["message"]
        if len({message["text"] for message in messages}) != 1:
            # The form has room for one text only.
            raise RequestRefusedError(Fault.TEXT_TOO_LONG, "text: expected the same text for everybody")
        numbers = ",".join(number for message in messages for number in message["receipents"]["number"])
        fields = {**login, "text": messages[0]["text"], "receipents": numbers}
        fields |= {name: order[name] for name in _TAGS if name in order}
        return HttpRequest("GET", "/v1/send-sms/get/", write_form(fields.items()))


def _read_message(message: Element) -> Tree:
    children = message.children
    if len(children) == 2 and (children[0].name, children[1].name) == ("text", "receipents"):
        # As nearly all are, of which there may be fifty thousand.
        text, recipients = children
        leaves = recipients.children
        is_plain = not (message.attributes or text.attributes or text.children or recipients.attributes)
        is_list = bool(leaves) and all(
            leaf.name == "number" and not leaf.children and not leaf.attributes for leaf in leaves
        )
        if is_plain and is_list:
            return {"text": text.text, "receipents": {"number": [leaf.text.strip() for leaf in leaves]}}
    return _read_unusual_message(message)


def _read_unusual_message(message: Element) -> Tree:
    check_element(message, ("text", "receipents"))
    text, recipients = message.one("text"), _required(message, "receipents")
    check_element(recipients, ("number",))
    for leaf in ([text] if text is not None else []) + recipients.children:
        if leaf.children or leaf.attributes:
            raise malformed(f"{leaf.name}: expected text")
    read: Tree = {"receipents": {"number": [number.text.strip() for number in recipients.children]}}
    return read if text is None else {"text": text.text, **read}


def _write_message(message: Tree) -> str:
    numbers = "".join(f"<number>{write_text(number)}</number>" for number in message["receipents"]["number"])
    return f"<message><text>{write_text(message['text'])}</text><receipents>{numbers}</receipents></message>"


def _required(element: Element, name: str) -> Element:
    found = element.one(name)
    if found is None:
        raise malformed(f"{name}: expected, but absent")
    if found.text.strip():
        raise malformed(f"{name}: expected elements")
    return found


def _fields(element: Element, names: Sequence[str]) -> Tree:
    """The texts of those children called ``names`` that are there."""
    found: Tree = {}
    for name in names:
        child = element.one(name)
        if child is not None:
            if child.attributes:
                raise malformed(f"{name}: expected no attributes")
            found[name] = element.text_of(name)
    return found


def _leaves(fields: Mapping[str, Any]) -> list[Element]:
    return [Element(name, text=str(value)) for name, value in fields.items() if name != "message" or type(value) is str]

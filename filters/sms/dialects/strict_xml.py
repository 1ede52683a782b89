"""XML bodies read so that no second reader could find other recipients in them, and that cost no more than their size.

Refused: document types and with them every entity of one's own (so neither files nor "billion laughs"), processing
instructions, namespaces, text between elements, depth and number of elements beyond bounds, charsets that Turkish
senders do not use. Which elements and attributes are known is the codec's business: ``check_element``. Every function
raises ``RequestRefusedError``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.dialects.field_names import place, refuse_unknown_names
from filters.sms.dialects.strict_json import malformed
from filters.sms.http import HttpRequest

MAX_DEPTH = 12
MAX_ELEMENTS = 250_000
"""Two elements and a wrapper for each of 50,000 recipients, and room."""

MEDIA_TYPES = ("text/xml", "application/xml", "application/x-www-form-urlencoded", "text/plain")
"""Widespread clients post XML under the form type, because their HTTP library does so unasked; the body tells."""

CHARSETS = ("utf-8", "us-ascii", "iso-8859-9", "windows-1254")

_KEPT = {"\r": "&#13;"}
"""A bare carriage return would be read back as a line feed."""

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]").search


@dataclass(slots=True)
class Element:
    """One element: either text or children, never both. ``text`` is as written, blanks included."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, name: str) -> list[Element]:
        """The children called ``name``, in order."""
        return [child for child in self.children if child.name == name]

    def one(self, name: str) -> Element | None:
        """The child called ``name``, None where there is none; refused where there are several."""
        found = self.all(name)
        if len(found) > 1:
            raise malformed(f"{place(self.name, name)}: expected once")
        return found[0] if found else None

    def text_of(self, name: str, default: str | None = "") -> str:
        """The text of the child ``name`` without blanks around it; refused where it has children of its own."""
        found = self.one(name)
        if found is None:
            if default is None:
                raise malformed(f"{place(self.name, name)}: expected, but absent")
            return default
        if found.children:
            raise malformed(f"{place(self.name, name)}: expected text")
        return found.text.strip()


def read_xml(request: HttpRequest, root: str) -> Element:
    """The document in the body of ``request``; its outermost element must be ``root``."""
    types = [value for name, value in request.headers if name == "content-type"]
    if len(types) > 1:
        raise malformed("Content-Type: expected once")
    if types and types[0].partition(";")[0].strip().lower() not in MEDIA_TYPES:
        raise malformed("Content-Type: expected text/xml")
    if (request.header("content-encoding") or "identity").lower() != "identity":
        raise malformed("Content-Encoding: expected none")
    found = parse_xml(request.body)
    if found.name != root:
        raise malformed(f"the body: expected the element {root}")
    return found


def check_element(element: Element, children: Iterable[str] = (), attributes: Iterable[str] = ()) -> None:
    """Refuses children and attributes of ``element`` that are not known."""
    refuse_unknown_names({child.name for child in element.children}, children, element.name)
    refuse_unknown_names(element.attributes, attributes, element.name)


def parse_xml(body: bytes) -> Element:
    """The outermost element of a document."""
    return _Reader().read(body)


def write_element(element: Element) -> str:
    """The element as XML, without declaration."""
    attributes = "".join(f" {name}={quoteattr(value)}" for name, value in element.attributes.items())
    inner = "".join(map(write_element, element.children)) if element.children else write_text(element.text)
    return f"<{element.name}{attributes}>{inner}</{element.name}>"


def write_text(text: str) -> str:
    """Text as it stands between tags."""
    return escape(text, _KEPT)


def write_document(element: Element | str) -> bytes:
    """The element, or what is already written of it, as a document in UTF-8. Refuses characters that XML cannot
    carry."""
    text = element if isinstance(element, str) else write_element(element)
    if _NOT_XML(text):
        raise malformed("a text: holds a character that XML cannot carry")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()


# Shared by all leaves that the reader makes: two containers less for each of 100,000 elements to be collected.
_NO_CHILDREN: list[Element] = []
_NO_ATTRIBUTES: dict[str, str] = {}


class _Reader:
    """Builds elements from what expat sees."""

    def __init__(self) -> None:
        self._open: list[Element] = []
        self._root: Element | None = None
        self._count = 0
        parser = self._parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declaration
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.EntityDeclHandler = _refuse_doctype
        parser.ExternalEntityRefHandler = _refuse_doctype
        parser.ProcessingInstructionHandler = _refuse_instruction

    def read(self, body: bytes) -> Element:
        try:
            self._parser.Parse(body, True)
        except (expat.ExpatError, ValueError, LookupError):
            raise malformed("the body: expected XML") from None
        finally:
            # The handlers are bound methods of this reader: without this the two keep each other alive.
            for name in ("XmlDeclHandler", "StartElementHandler", "EndElementHandler", "CharacterDataHandler"):
                setattr(self._parser, name, None)
        if self._root is None:
            raise malformed("the body: expected XML")
        return self._root

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if (encoding or "utf-8").lower() not in CHARSETS:
            raise malformed("the XML declaration: expected encoding UTF-8")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise RequestRefusedError(Fault.TOO_MANY_RECIPIENTS, "the body: holds too many elements")
        if len(self._open) >= MAX_DEPTH:
            raise malformed("the body: elements are nested too deep")
        if ":" in name or (attributes and any(":" in key or key == "xmlns" for key in attributes)):
            raise malformed("the body: namespaces are not expected")
        element = Element(name, attributes or _NO_ATTRIBUTES, _NO_CHILDREN, "")
        if self._open:
            parent = self._open[-1]
            if parent.children is _NO_CHILDREN:
                parent.children = [element]
            else:
                parent.children.append(element)
        else:
            self._root = element
        self._open.append(element)

    def _end(self, name: str) -> None:
        element = self._open.pop()
        if element.children:
            if element.text.strip():
                raise malformed(f"{place('', name)}: expected no text between its elements")
            element.text = ""

    def _text(self, text: str) -> None:
        # Pieces are joined by the parser, but for references, CDATA and line ends.
        self._open[-1].text += text


def _refuse_doctype(*_: object) -> NoReturn:
    raise malformed("the body: document types are not accepted")


def _refuse_instruction(*_: object) -> NoReturn:
    raise malformed("the body: processing instructions are not accepted")

"""The XML and query-string side of the simulated İleti Merkezi: requests as its JSON has them, answers in XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from loadtest.providers.simulator import RefusedError

Tree = dict[str, Any]


def read_body(body: bytes) -> Tree:
    """What stands in the element ``request``; ``message`` and ``number`` may occur several times."""
    try:
        root = ET.fromstring(body)
    except ET.ParseError:
        raise RefusedError(400) from None
    if root.tag != "request":
        raise RefusedError(400)
    found: Tree = {part.tag: {leaf.tag: (leaf.text or "").strip() for leaf in part} for part in root}
    order = root.find("order")
    if order is not None and (messages := order.findall("message")):
        found["order"]["message"] = [
            {
                "text": message.findtext("text") or "",
                "receipents": {"number": [each.text or "" for each in message.iterfind("receipents/number")]},
            }
            for message in messages
        ]
    return found


def read_query(query: Mapping[str, str]) -> Tree:
    """The fields of the one query call."""
    message = {"text": query.get("text", ""), "receipents": {"number": query.get("receipents", "").split(",")}}
    order = {name: query[name] for name in ("sender", "iys", "iysList") if name in query}
    return {"authentication": dict(query), "order": {**order, "message": message}}


def write_answer(code: int, sentence: str, more: Mapping[str, Any]) -> web.Response:
    """The envelope; lists become elements of one name."""
    root = ET.Element("response")
    _add(root, {"status": {"code": code, "message": sentence}, **more})
    return web.Response(
        status=code, body=ET.tostring(root, "UTF-8", xml_declaration=True), content_type="text/xml", charset="utf-8"
    )


def _add(parent: ET.Element, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        for each in value if isinstance(value, list) else [value]:
            child = ET.SubElement(parent, name)
            if isinstance(each, Mapping):
                _add(child, each)
            else:
                child.text = str(each)

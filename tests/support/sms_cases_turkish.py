"""Netgsm, İleti Merkezi and Verimor for the contract of SMS dialects; these readers share no code with the codecs."""

from __future__ import annotations

import base64
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from filters.sms.dialects.iletimerkezi import IletiMerkeziDialect
from filters.sms.dialects.iletimerkezi_json import Syntax
from filters.sms.dialects.iletimerkezi_xml import QuerySyntax, XmlSyntax
from filters.sms.dialects.netgsm import NetgsmDialect
from filters.sms.dialects.netgsm_legacy import NetgsmLegacyDialect
from filters.sms.dialects.verimor import VerimorDialect
from filters.sms.http import HttpRequest, HttpResponse
from loadtest.providers.iletimerkezi import IletiMerkeziSimulator
from loadtest.providers.netgsm import NetgsmSimulator
from loadtest.providers.verimor import VerimorSimulator
from tests.support.sms_dialect_case import BUSINESS, INDIVIDUAL, INFORMATIONAL, UNTAGGED, DialectCase, Pair, Tag

JSON = ("content-type", "application/json")
BASIC = ("authorization", "Basic " + base64.b64encode(b"8500000001:sifre-1").decode())

NETGSM_TAGS = {INDIVIDUAL: "11", BUSINESS: "12", INFORMATIONAL: "0", UNTAGGED: None}


# -- second readers --------------------------------------------------------------------------------------------------


def lax_object(pick_first: bool) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """Objects as a lax reader sees them: keys in any case, the first or the last of two."""

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if not (pick_first and name.lower() in found):
                found[name.lower()] = value
        return found

    return build


def json_readers(
    find: Callable[[dict[str, Any]], list[Pair]],
) -> tuple[Callable[[HttpRequest], list[Pair]], ...]:
    def reader(pick_first: bool) -> Callable[[HttpRequest], list[Pair]]:
        def read(request: HttpRequest) -> list[Pair]:
            try:
                return find(json.loads(request.body, object_pairs_hook=lax_object(pick_first)))
            except (KeyError, TypeError, AttributeError) as error:
                raise ValueError("not readable") from error

        return read

    return reader(False), reader(True)


def form_readers(find: Callable[[dict[str, str]], list[Pair]]) -> tuple[Callable[[HttpRequest], list[Pair]], ...]:
    def reader(pick_first: bool) -> Callable[[HttpRequest], list[Pair]]:
        def read(request: HttpRequest) -> list[Pair]:
            try:
                return find(lax_object(pick_first)(parse_qsl(request.query, keep_blank_values=True)))
            except KeyError as error:
                raise ValueError("not readable") from error

        return read

    return reader(False), reader(True)


def spelled(value: Any) -> str:
    if type(value) is str or type(value) is int:
        return str(value)
    raise ValueError("not a number")


# -- Netgsm ----------------------------------------------------------------------------------------------------------


def netgsm_request(pairs: Sequence[Pair], tag: Tag) -> HttpRequest:
    body: dict[str, Any] = {"msgheader": "ORNEK", "messages": [{"msg": text, "no": number} for number, text in pairs]}
    if NETGSM_TAGS[tag] is not None:
        body["iysfilter"] = NETGSM_TAGS[tag]
    body["encoding"] = "TR"
    return HttpRequest("POST", "/sms/rest/v2/send", "", (JSON, BASIC), json.dumps(body).encode())


def netgsm_pairs(body: dict[str, Any]) -> list[Pair]:
    return [(spelled(each["no"]), each["msg"]) for each in body["messages"]]


def netgsm_report(job_ids: Sequence[str], page: int, size: int) -> HttpRequest:
    body = {"jobids": list(job_ids), "pagenumber": page, "pagesize": size}
    return HttpRequest("POST", "/sms/rest/v2/report", "", (JSON, BASIC), json.dumps(body).encode())


def netgsm_rows(response: HttpResponse) -> list[tuple[str, object]]:
    body = json.loads(response.body)
    if response.status == 406:
        assert body["code"] == "60"
        return []
    return [(row["number"], row["status"]) for row in body["jobs"]]


NETGSM = DialectCase(
    name="netgsm",
    dialect=NetgsmDialect(),
    compose=netgsm_request,
    readers=json_readers(netgsm_pairs),
    tag_in=lambda request: json.loads(request.body).get("iysfilter"),
    # What the official clients look at: Python the status, Node the code.
    is_success=lambda response: response.status == 200 or json.loads(response.body)["code"] == "00",
    job_id=lambda response: json.loads(response.body)["jobid"],
    id_shape=r"[1-9][0-9]{25}",
    make_simulator=NetgsmSimulator,
    report=netgsm_report,
    rows=netgsm_rows,
    refused_status=16,
)


# -- Netgsm, older interface -----------------------------------------------------------------------------------------


def legacy_get_request(pairs: Sequence[Pair], tag: Tag) -> HttpRequest:
    fields = {
        "usercode": "8500000001",
        "password": "sifre-1",
        "gsmno": ",".join(number for number, _ in pairs),
        "message": pairs[0][1],
        "msgheader": "ORNEK",
        "dil": "TR",
    }
    if NETGSM_TAGS[tag] is not None:
        fields["filter"] = NETGSM_TAGS[tag]
    return HttpRequest("GET", "/sms/send/get/", urlencode(fields))


def legacy_get_pairs(fields: dict[str, str]) -> list[Pair]:
    return [(number.strip(), fields["message"]) for number in fields["gsmno"].split(",")]


def legacy_xml_request(pairs: Sequence[Pair], tag: Tag) -> HttpRequest:
    root = ET.Element("mainbody")
    header = ET.SubElement(root, "header")
    ET.SubElement(header, "company", dil="TR").text = "Netgsm"
    fields = {"usercode": "8500000001", "password": "sifre-1", "type": "n:n", "msgheader": "ORNEK"}
    if NETGSM_TAGS[tag] is not None:
        fields["filter"] = NETGSM_TAGS[tag]
    for name, value in fields.items():
        ET.SubElement(header, name).text = value
    body = ET.SubElement(root, "body")
    for number, text in pairs:
        pair = ET.SubElement(body, "mp")
        ET.SubElement(pair, "msg").text = text
        ET.SubElement(pair, "no").text = number
    return HttpRequest("POST", "/sms/send/xml", "", (("content-type", "text/xml"),), ET.tostring(root, "utf-8"))


def legacy_xml_pairs(request: HttpRequest) -> list[Pair]:
    try:
        body = ET.fromstring(request.body).find("body")
    except ET.ParseError as error:
        raise ValueError("not readable") from error
    if body is None:
        raise ValueError("not readable")
    if body.find("mp") is None:
        return [((each.text or "").strip(), body.findtext("msg", "")) for each in body.findall("no")]
    return [(pair.findtext("no", "").strip(), pair.findtext("msg", "")) for pair in body.findall("mp")]


def legacy_xml_tag(request: HttpRequest) -> object:
    return ET.fromstring(request.body).findtext("header/filter")


def legacy_report(job_ids: Sequence[str], page: int, size: int) -> HttpRequest:
    query = urlencode({"usercode": "8500000001", "password": "sifre-1", "bulkid": ",".join(job_ids), "type": "0"})
    return HttpRequest("GET", "/sms/report/", query)


def legacy_rows(response: HttpResponse) -> list[tuple[str, object]]:
    text = response.body.decode()
    if text == "60":
        return []
    return [(line.split()[0], int(line.split()[1])) for line in text.split("<br>") if line]


def legacy_case(
    name: str,
    compose: Callable[[Sequence[Pair], Tag], HttpRequest],
    readers: tuple[Callable[[HttpRequest], list[Pair]], ...],
    tag_in: Callable[[HttpRequest], object],
    *,
    has_one_text: bool,
) -> DialectCase:
    return DialectCase(
        name=name,
        dialect=NetgsmLegacyDialect(),
        compose=compose,
        readers=readers,
        tag_in=tag_in,
        is_success=lambda response: response.body.startswith(b"0"),
        job_id=lambda response: response.body.decode().split()[1],
        id_shape=r"[1-9][0-9]{25}",
        has_one_text=has_one_text,
        make_simulator=NetgsmSimulator,
        report=legacy_report,
        rows=legacy_rows,
        has_pages=False,
        refused_status=16,
    )


NETGSM_GET = legacy_case(
    "netgsm_legacy-get",
    legacy_get_request,
    form_readers(legacy_get_pairs),
    lambda request: dict(parse_qsl(request.query)).get("filter"),
    has_one_text=True,
)
NETGSM_XML = legacy_case(
    "netgsm_legacy-xml", legacy_xml_request, (legacy_xml_pairs,), legacy_xml_tag, has_one_text=False
)


# -- İleti Merkezi ---------------------------------------------------------------------------------------------------

ILETIMERKEZI_TAGS: dict[Tag, dict[str, Any]] = {
    INDIVIDUAL: {"iys": "1", "iysList": "BIREYSEL"},
    BUSINESS: {"iys": 1, "iysList": "TACIR"},
    INFORMATIONAL: {"iys": "0", "iysList": "BIREYSEL"},
    UNTAGGED: {},
}
ILETIMERKEZI_LOGIN = {"key": "anahtar-1", "hash": "ozet-1"}


def iletimerkezi_call(name: str, order: dict[str, Any]) -> HttpRequest:
    body = {"request": {"authentication": ILETIMERKEZI_LOGIN, "order": order}}
    return HttpRequest("POST", f"/v1/{name}/json", "", (JSON,), json.dumps(body).encode())


def iletimerkezi_request(pairs: Sequence[Pair], tag: Tag) -> HttpRequest:
    messages: list[dict[str, Any]] = []
    for number, text in pairs:
        if not messages or messages[-1]["text"] != text:
            messages.append({"text": text, "receipents": {"number": []}})
        messages[-1]["receipents"]["number"].append(number)
    return iletimerkezi_call(
        "send-sms", {"sender": "ORNEK", "sendDateTime": [], **ILETIMERKEZI_TAGS[tag], "message": messages}
    )


def iletimerkezi_pairs(body: dict[str, Any]) -> list[Pair]:
    messages = body["request"]["order"]["message"]
    return [
        (spelled(number), message["text"])
        for message in (messages if isinstance(messages, list) else [messages])
        for number in message["receipents"]["number"]
    ]


def iletimerkezi_tag(request: HttpRequest) -> object:
    order = json.loads(request.body)["request"]["order"]
    return {name: order[name] for name in ("iys", "iysList") if name in order}


def iletimerkezi_rows(response: HttpResponse) -> list[tuple[str, object]]:
    if response.status == 455:
        return []
    return [(row["number"], row["status"]) for row in json.loads(response.body)["response"]["order"]["message"]]


ILETIMERKEZI = DialectCase(
    name="iletimerkezi",
    dialect=IletiMerkeziDialect(),
    compose=iletimerkezi_request,
    readers=json_readers(iletimerkezi_pairs),
    tag_in=iletimerkezi_tag,
    is_success=lambda response: (
        response.status == 200 or json.loads(response.body)["response"]["status"]["code"] in (200, "200")
    ),
    job_id=lambda response: str(json.loads(response.body)["response"]["order"]["id"]),
    id_shape=r"[1-9][0-9]{17}",
    make_simulator=IletiMerkeziSimulator,
    report=lambda ids, page, size: iletimerkezi_call("get-report", {"id": ids[0], "page": page + 1, "rowCount": size}),
    rows=iletimerkezi_rows,
    refused_status=112,
    knows_nobody_left=True,
)


def iletimerkezi_twin(syntax: Syntax, name: str, compose: Any, readers: Any, tag_in: Any, **more: Any) -> DialectCase:
    return DialectCase(
        name=name,
        dialect=IletiMerkeziDialect(syntax),
        compose=compose,
        readers=readers,
        tag_in=tag_in,
        is_success=lambda response: response.status == 200 or b"<code>200<" in response.body,
        job_id=lambda response: ET.fromstring(response.body).findtext("order/id") or "",
        id_shape=r"[1-9][0-9]{17}",
        make_simulator=IletiMerkeziSimulator,
        knows_nobody_left=True,
        **more,
    )


def iletimerkezi_xml_call(name: str, order: str) -> HttpRequest:
    login = "".join(f"<{field}>{value}</{field}>" for field, value in ILETIMERKEZI_LOGIN.items())
    body = f"<request><authentication>{login}</authentication><order>{order}</order></request>"
    return HttpRequest("POST", f"/v1/{name}", "", (("content-type", "text/xml"),), body.encode())


def iletimerkezi_xml_request(pairs: Sequence[Pair], tag: Tag) -> HttpRequest:
    """As the provider's samples write it: texts in CDATA."""
    tags = "".join(f"<{name}>{value}</{name}>" for name, value in ILETIMERKEZI_TAGS[tag].items())
    messages: list[tuple[str, list[str]]] = []
    for number, text in pairs:
        if not messages or messages[-1][0] != text:
            messages.append((text, []))
        messages[-1][1].append(f"<number>{number}</number>")
    written = "".join(
        f"<message><text><![CDATA[{text}]]></text><receipents>{''.join(numbers)}</receipents></message>"
        for text, numbers in messages
    )
    return iletimerkezi_xml_call("send-sms", f"<sender>ORNEK</sender><sendDateTime></sendDateTime>{tags}{written}")


def iletimerkezi_xml_reader(pick_first: bool) -> Callable[[HttpRequest], list[Pair]]:
    """A reader that takes names in any case, and the first or the last of two texts."""

    def read(request: HttpRequest) -> list[Pair]:
        try:
            root = ET.fromstring(request.body)
        except ET.ParseError as error:
            raise ValueError("not readable") from error
        return [
            ((number.text or "").strip(), [each.text or "" for each in under(message, "text")][0 if pick_first else -1])
            for order in under(root, "order")
            for message in under(order, "message")
            for recipients in under(message, "receipents")
            for number in under(recipients, "number")
        ]

    return read


def under(element: ET.Element, name: str) -> list[ET.Element]:
    return [child for child in element if child.tag.lower() == name]


def iletimerkezi_xml_tag(request: HttpRequest) -> object:
    order = ET.fromstring(request.body).find("order")
    return (
        {}
        if order is None
        else {name: order.findtext(name) for name in ("iys", "iysList") if order.find(name) is not None}
    )


def iletimerkezi_xml_report(job_ids: Sequence[str], page: int, size: int) -> HttpRequest:
    return iletimerkezi_xml_call(
        "get-report", f"<id>{job_ids[0]}</id><page>{page + 1}</page><rowCount>{size}</rowCount>"
    )


def iletimerkezi_xml_rows(response: HttpResponse) -> list[tuple[str, object]]:
    if response.status == 455:
        return []
    rows = ET.fromstring(response.body).findall("order/message")
    return [(row.findtext("number") or "", int(row.findtext("status") or "0")) for row in rows]


def iletimerkezi_get_request(pairs: Sequence[Pair], tag: Tag) -> HttpRequest:
    fields = {"text": pairs[0][1], "receipents": ",".join(number for number, _ in pairs), "sender": "ORNEK"}
    query = urlencode({**ILETIMERKEZI_LOGIN, **fields, **ILETIMERKEZI_TAGS[tag]})
    return HttpRequest("GET", "/v1/send-sms/get/", query)


def iletimerkezi_get_tag(request: HttpRequest) -> object:
    fields = dict(parse_qsl(request.query))
    return {name: fields[name] for name in ("iys", "iysList") if name in fields}


ILETIMERKEZI_XML = iletimerkezi_twin(
    XmlSyntax(),
    "iletimerkezi-xml",
    iletimerkezi_xml_request,
    (iletimerkezi_xml_reader(False), iletimerkezi_xml_reader(True)),
    iletimerkezi_xml_tag,
    report=iletimerkezi_xml_report,
    rows=iletimerkezi_xml_rows,
    refused_status=112,
)
ILETIMERKEZI_GET = iletimerkezi_twin(
    QuerySyntax(),
    "iletimerkezi-get",
    iletimerkezi_get_request,
    form_readers(lambda fields: [(number.strip(" "), fields["text"]) for number in fields["receipents"].split(",")]),
    iletimerkezi_get_tag,
    has_one_text=True,
)


# -- Verimor ---------------------------------------------------------------------------------------------------------

VERIMOR_TAGS: dict[Tag, dict[str, Any]] = {
    INDIVIDUAL: {"is_commercial": True, "iys_recipient_type": "BIREYSEL"},
    BUSINESS: {"is_commercial": True, "iys_recipient_type": "TACIR"},
    INFORMATIONAL: {"is_commercial": False},
    UNTAGGED: {},
}
VERIMOR_LOGIN = {"username": "908500000001", "password": "sifre-1"}


def verimor_request(pairs: Sequence[Pair], tag: Tag) -> HttpRequest:
    messages: list[dict[str, Any]] = []
    for number, text in pairs:
        if messages and messages[-1]["msg"] == text:
            messages[-1]["dest"] += f",{number}"
        else:
            messages.append({"msg": text, "dest": number})
    for message in messages:
        message["id"] = ",".join(f"kayit-{position}" for position in range(message["dest"].count(",") + 1))
    body = {**VERIMOR_LOGIN, "source_addr": "ORNEK", "messages": messages, "custom_id": "kampanya", **VERIMOR_TAGS[tag]}
    return HttpRequest("POST", "/v2/send.json", "", (JSON,), json.dumps(body).encode())


def verimor_pairs(body: dict[str, Any]) -> list[Pair]:
    return [
        (number.strip(" "), message["msg"])
        for message in body["messages"]
        for number in spelled(message["dest"]).split(",")
    ]


def verimor_tag(request: HttpRequest) -> object:
    body = json.loads(request.body)
    return {name: body[name] for name in ("is_commercial", "iys_recipient_type") if name in body}


def verimor_get_request(pairs: Sequence[Pair], tag: Tag) -> HttpRequest:
    tags = {name: str(value).lower() if value in (True, False) else value for name, value in VERIMOR_TAGS[tag].items()}
    fields = {"msg": pairs[0][1], "dest": ",".join(number for number, _ in pairs), "datacoding": "1"}
    return HttpRequest("GET", "/v2/send", urlencode({**VERIMOR_LOGIN, "source_addr": "ORNEK", **fields, **tags}))


def verimor_get_tag(request: HttpRequest) -> object:
    fields = dict(parse_qsl(request.query))
    return {name: fields[name] for name in ("is_commercial", "iys_recipient_type") if name in fields}


def verimor_status(job_ids: Sequence[str], page: int, size: int) -> HttpRequest:
    return HttpRequest("GET", "/v2/status", urlencode({**VERIMOR_LOGIN, "id": job_ids[0]}))


def verimor_next_page(request: HttpRequest, response: HttpResponse) -> HttpRequest:
    last = json.loads(response.body)[-1]["message_id"]
    return request._replace(query=f"{request.query}&greater_than={last}")


def verimor_rows(response: HttpResponse) -> list[tuple[str, object]]:
    return [(row["dest"], row["status"]) for row in json.loads(response.body)]


def verimor_case(
    name: str,
    compose: Callable[[Sequence[Pair], Tag], HttpRequest],
    readers: tuple[Callable[[HttpRequest], list[Pair]], ...],
    tag_in: Callable[[HttpRequest], object],
    *,
    has_one_text: bool = False,
) -> DialectCase:
    return DialectCase(
        name=name,
        dialect=VerimorDialect(),
        compose=compose,
        readers=readers,
        tag_in=tag_in,
        # Its clients read any 200 as a campaign number.
        is_success=lambda response: response.status == 200,
        job_id=lambda response: response.body.decode(),
        id_shape=r"[1-9][0-9]{17}",
        has_one_text=has_one_text,
        make_simulator=VerimorSimulator,
        report=verimor_status,
        rows=verimor_rows,
        next_page=verimor_next_page,
        refused_status="NOT_ALLOWED_BY_IYS",
    )


VERIMOR = verimor_case("verimor", verimor_request, json_readers(verimor_pairs), verimor_tag)
VERIMOR_GET = verimor_case(
    "verimor-get",
    verimor_get_request,
    form_readers(lambda fields: [(number.strip(" "), fields["msg"]) for number in fields["dest"].split(",")]),
    verimor_get_tag,
    has_one_text=True,
)

TURKISH_CASES = (
    NETGSM,
    NETGSM_GET,
    NETGSM_XML,
    ILETIMERKEZI,
    ILETIMERKEZI_XML,
    ILETIMERKEZI_GET,
    VERIMOR,
    VERIMOR_GET,
)

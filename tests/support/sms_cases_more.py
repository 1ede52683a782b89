"""JetSMS, Mutlucell, VatanSMS, Turkcell, Infobip, Twilio and Vonage for the contract of SMS dialects.

These readers share no code with the codecs.
"""

from __future__ import annotations

import base64
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape, quoteattr

from filters.sms.dialects.infobip import InfobipDialect
from filters.sms.dialects.jetsms import JetSmsDialect
from filters.sms.dialects.jetsms_xml import JetSmsXmlDialect
from filters.sms.dialects.mutlucell import MutlucellDialect
from filters.sms.dialects.turkcell import TurkcellDialect
from filters.sms.dialects.twilio import TwilioDialect
from filters.sms.dialects.vatansms import VatanSmsDialect
from filters.sms.dialects.vonage_messages import VonageMessagesDialect
from filters.sms.dialects.vonage_sms import VonageSmsDialect
from filters.sms.http import HttpRequest, HttpResponse
from filters.vocabulary import MessageClass
from loadtest.providers.infobip import InfobipSimulator
from loadtest.providers.jetsms import JetSmsSimulator
from loadtest.providers.mutlucell import MutlucellSimulator
from loadtest.providers.turkcell import TurkcellSimulator
from loadtest.providers.twilio import ACCOUNT, TOKEN, TwilioSimulator
from loadtest.providers.vatansms import VatanSmsSimulator
from loadtest.providers.vonage import VonageSimulator
from tests.support.sms_cases_turkish import json_readers, lax_object, spelled
from tests.support.sms_dialect_case import BUSINESS, INDIVIDUAL, UNTAGGED, DialectCase, Pair, Tag

JSON = ("content-type", "application/json")
FORM = ("content-type", "application/x-www-form-urlencoded")
COMMERCIAL = Tag(MessageClass.COMMERCIAL, None)
INFORMATIONAL = Tag(MessageClass.INFORMATIONAL, None)
TYPES = {INDIVIDUAL: "BIREYSEL", BUSINESS: "TACIR", UNTAGGED: None}


def basic(user: str, password: str) -> tuple[str, str]:
    return ("authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())


def found_in(response: HttpResponse) -> dict[str, Any]:
    try:
        found = json.loads(response.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


# -- JetSMS ------------------------------------------------------------------------------------------------------------


def jetsms_request(pairs: Sequence[Pair], tag: Tag) -> HttpRequest:
    body: dict[str, Any] = {"user": "jet-1", "password": "sifre-1", "originator": "ORNEK"}
    if TYPES[tag] is not None:
        body |= {"iysfilter": "1", "recipienttype": TYPES[tag]}
    body["smsmessages"] = [{"messagetext": text, "recipient": number} for number, text in pairs]
    return HttpRequest("POST", "/api/SendSms", "", (JSON,), json.dumps(body).encode())


def jetsms_pairs(body: dict[str, Any]) -> list[Pair]:
    broadcast = body.get("broadcastmessage") or ""
    return [
        (spelled(each.get("recipient", each.get("receipent"))), each.get("messagetext") or broadcast)
        for each in body["smsmessages"]
    ]


def jetsms_taken(response: HttpResponse) -> list[dict[str, Any]]:
    return [row for row in found_in(response).get("responseGroupIdArray", []) if row["status"] == "0"]


JETSMS = DialectCase(
    name="jetsms",
    dialect=JetSmsDialect(),
    compose=jetsms_request,
    readers=json_readers(jetsms_pairs),
    tag_in=lambda request: (json.loads(request.body).get("iysfilter"), json.loads(request.body).get("recipienttype")),
    is_success=lambda response: response.status == 200 and bool(jetsms_taken(response)),
    job_id=lambda response: str(jetsms_taken(response)[0]["messageid"]),
    id_shape=r"8[0-9]{12}",
    tags=(INDIVIDUAL, BUSINESS, UNTAGGED),
    make_simulator=JetSmsSimulator,
)


def jetsms_xml_request(pairs: Sequence[Pair], tag: Tag) -> HttpRequest:
    """As its clients write it: one text to a comma list, or a text each."""
    head = "<username>jet-1</username><password>sifre-1</password><outbox-name>ORNEK</outbox-name><reference/>"
    if len({text for _, text in pairs}) == 1:
        kind = "smmgsd"
        rest = f"<text>{escape(pairs[0][1])}</text><gsmnos>{','.join(number for number, _ in pairs)}</gsmnos>"
    else:
        kind = "mmmgsd"
        rest = "".join(f"<message><gsmno>{n}</gsmno><text>{escape(text)}</text></message>" for n, text in pairs)
    body = f'<?xml version="1.0" encoding="utf-8"?><message-context type="{kind}">{head}{rest}</message-context>'
    return HttpRequest("POST", "/SMS-Web8/xmlsms", "", (("content-type", "text/xml"),), body.encode())


def jetsms_xml_reader(request: HttpRequest) -> list[Pair]:
    try:
        root = ET.fromstring(request.body)
    except ET.ParseError as error:
        raise ValueError("not readable") from error
    lists = [element for element in root.iter() if element.tag.lower() in ("gsmno", "gsmnos")]
    parents = {child: parent for parent in root.iter() for child in parent}
    return [
        (number.strip(), parents[each].findtext("text") or root.findtext("text") or "")
        for each in lists
        for number in (each.text or "").split(",")
    ]


JETSMS_XML = DialectCase(
    name="jetsms-xml",
    dialect=JetSmsXmlDialect(),
    compose=jetsms_xml_request,
    readers=(jetsms_xml_reader,),
    tag_in=lambda _request: None,
    is_success=lambda response: response.body.startswith(b"00"),
    job_id=lambda response: response.body.decode().split()[1],
    id_shape=r"8[0-9]{12}",
    tags=(UNTAGGED,),
    make_simulator=JetSmsSimulator,
)


# -- Mutlucell ---------------------------------------------------------------------------------------------------------


def mutlucell_request(pairs: Sequence[Pair], tag: Tag) -> HttpRequest:
    messages = "".join(
        f"<mesaj><metin>{escape(text)}</metin><nums>{escape(number)}</nums></mesaj>" for number, text in pairs
    )
    head = " ".join(
        f"{name}={quoteattr(value)}"
        for name, value in (("ka", "mutlu"), ("pwd", "anahtar"), ("org", "ORNEK"), ("charset", "turkish"))
    )
    body = f'<?xml version="1.0" encoding="UTF-8"?><smspack {head}>{messages}</smspack>'
    return HttpRequest("POST", "/smsgw-ws/sndblkex", "", (("content-type", "text/xml"),), body.encode())


def mutlucell_reader(request: HttpRequest) -> list[Pair]:
    try:
        root = ET.fromstring(request.body)
    except ET.ParseError as error:
        raise ValueError("not readable") from error
    return [
        (number.strip(), (message.findtext("metin") or "").strip())
        for message in root.iter("mesaj")
        for number in (message.findtext("nums") or "").split(",")
    ]


def mutlucell_report(job_ids: Sequence[str], page: int, size: int) -> HttpRequest:
    body = f'<smsrapor ka="mutlu" pwd="anahtar" id="{job_ids[0]}"/>'
    return HttpRequest("POST", "/smsgw-ws/gtblkrprtex", "", (("content-type", "text/xml"),), body.encode())


def mutlucell_rows(response: HttpResponse) -> list[tuple[str, object]]:
    return [tuple(line.split(" ")) for line in response.body.decode().splitlines()]


MUTLUCELL = DialectCase(
    name="mutlucell",
    dialect=MutlucellDialect(),
    compose=mutlucell_request,
    readers=(mutlucell_reader,),
    tag_in=lambda request: ET.fromstring(request.body).attrib,
    is_success=lambda response: response.status == 200 and response.body.startswith(b"$"),
    job_id=lambda response: response.body.decode()[1:].partition("#")[0],
    id_shape=r"8[0-9]{15}",
    tags=(UNTAGGED,),
    make_simulator=MutlucellSimulator,
    report=mutlucell_report,
    rows=mutlucell_rows,
    has_pages=False,
    refused_status="7",
)


# -- VatanSMS ----------------------------------------------------------------------------------------------------------

VATAN_CLASSES = {COMMERCIAL: "ticari", INFORMATIONAL: "bilgi", UNTAGGED: None}


def vatansms_request(is_each: bool) -> Callable[[Sequence[Pair], Tag], HttpRequest]:
    def compose(pairs: Sequence[Pair], tag: Tag) -> HttpRequest:
        body: dict[str, Any] = {"api_id": "vatan", "api_key": "anahtar", "sender": "ORNEK", "message_type": "turkce"}
        if VATAN_CLASSES[tag] is not None:
            body["message_content_type"] = VATAN_CLASSES[tag]
        if is_each:
            body["phones"] = [{"phone": number, "message": text} for number, text in pairs]
        else:
            body |= {"message": pairs[0][1], "phones": [number for number, _ in pairs]}
        path = "/api/v1/NtoN" if is_each else "/api/v1/1toN"
        return HttpRequest("POST", path, "", (JSON,), json.dumps(body).encode())

    return compose


def vatansms_pairs(body: dict[str, Any]) -> list[Pair]:
    phones = body["phones"]
    if phones and isinstance(phones[0], dict):
        return [(spelled(each["phone"]), each["message"]) for each in phones]
    return [(spelled(each), body["message"]) for each in phones]


def vatansms_case(is_each: bool) -> DialectCase:
    return DialectCase(
        name="vatansms-NtoN" if is_each else "vatansms-1toN",
        dialect=VatanSmsDialect(),
        compose=vatansms_request(is_each),
        readers=json_readers(vatansms_pairs),
        tag_in=lambda request: json.loads(request.body).get("message_content_type"),
        is_success=lambda response: response.status == 200 and found_in(response).get("status") == "success",
        job_id=lambda response: str(found_in(response)["id"]),
        id_shape=r"8[0-9]{15}",
        tags=(COMMERCIAL, INFORMATIONAL, UNTAGGED),
        has_one_text=not is_each,
        make_simulator=VatanSmsSimulator,
    )


# -- Turkcell ----------------------------------------------------------------------------------------------------------

ETK = {COMMERCIAL: True, INFORMATIONAL: False}


def turkcell_request(pairs: Sequence[Pair], tag: Tag) -> HttpRequest:
    body = {"message": pairs[0][1], "sender": "ORNEK", "etkFlag": ETK[tag], "receivers": [n for n, _ in pairs]}
    headers = (JSON, ("token", "APItoken"))
    return HttpRequest("POST", "/api/api/integration/v2/sms/send/oton", "", headers, json.dumps(body).encode())


def open_turkcell() -> TurkcellSimulator:
    simulator = TurkcellSimulator()
    simulator.allow("APItoken")
    return simulator


TURKCELL = DialectCase(
    name="turkcell",
    dialect=TurkcellDialect(),
    compose=turkcell_request,
    readers=json_readers(lambda body: [(spelled(each), body["message"]) for each in body["receivers"]]),
    tag_in=lambda request: json.loads(request.body)["etkFlag"],
    is_success=lambda response: response.status == 200,
    job_id=lambda response: str(found_in(response)["messageId"]),
    id_shape=r"8[0-9]{15}",
    tags=(INFORMATIONAL, COMMERCIAL),
    has_one_text=True,
    make_simulator=open_turkcell,
)


# -- Infobip -----------------------------------------------------------------------------------------------------------


def infobip_request(is_v3: bool) -> Callable[[Sequence[Pair], Tag], HttpRequest]:
    def compose(pairs: Sequence[Pair], tag: Tag) -> HttpRequest:
        messages: list[dict[str, Any]] = []
        regional = {"regional": {"turkeyIys": {"brandCode": 600123, "recipientType": TYPES[tag]}}}
        for number, text in pairs:
            message: dict[str, Any] = {"destinations": [{"to": number}]}
            message |= {"sender": "ORNEK", "content": {"text": text}} if is_v3 else {"from": "ORNEK", "text": text}
            if TYPES[tag] is not None:
                message |= {"options": regional} if is_v3 else regional
            messages.append(message)
        path = "/sms/3/messages" if is_v3 else "/sms/2/text/advanced"
        headers = (JSON, ("authorization", "App key"))
        return HttpRequest("POST", path, "", headers, json.dumps({"messages": messages}).encode())

    return compose


def infobip_pairs(body: dict[str, Any]) -> list[Pair]:
    return [
        (spelled(destination["to"]), message["content"]["text"] if "content" in message else message["text"])
        for message in body["messages"]
        for destination in message["destinations"]
    ]


def infobip_tags(request: HttpRequest) -> set[str]:
    messages = json.loads(request.body)["messages"]
    return {json.dumps(each.get("options", each).get("regional")) for each in messages}


def infobip_case(is_v3: bool) -> DialectCase:
    return DialectCase(
        name="infobip-v3" if is_v3 else "infobip-v2",
        dialect=InfobipDialect(),
        compose=infobip_request(is_v3),
        readers=json_readers(infobip_pairs),
        tag_in=infobip_tags,
        is_success=lambda response: (
            response.status == 200
            and any(row["status"]["groupId"] == 1 for row in found_in(response).get("messages", []))
        ),
        job_id=lambda response: str(found_in(response)["bulkId"]),
        id_shape=r"0[0-9]{19}",
        tags=(INDIVIDUAL, BUSINESS, UNTAGGED),
        country_code="90",
        make_simulator=InfobipSimulator,
    )


# -- Twilio ------------------------------------------------------------------------------------------------------------


def lax_forms(find: Callable[[dict[str, str]], list[Pair]]) -> tuple[Callable[[HttpRequest], list[Pair]], ...]:
    def reader(pick_first: bool) -> Callable[[HttpRequest], list[Pair]]:
        def read(request: HttpRequest) -> list[Pair]:
            return find(lax_object(pick_first)(parse_qsl(request.body.decode(), keep_blank_values=True)))

        return read

    return reader(False), reader(True)


def twilio_request(pairs: Sequence[Pair], tag: Tag) -> HttpRequest:
    form = urlencode({"To": pairs[0][0], "From": "ORNEK", "Body": pairs[0][1]})
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    return HttpRequest("POST", path, "", (FORM, basic(ACCOUNT, TOKEN)), form.encode())


TWILIO = DialectCase(
    name="twilio",
    dialect=TwilioDialect(),
    compose=twilio_request,
    readers=lax_forms(lambda form: [(form["to"], form["body"])]),
    tag_in=lambda request: None,
    is_success=lambda response: response.status == 201,
    job_id=lambda response: str(found_in(response)["sid"]),
    id_shape=r"SM[0-9a-f]{32}",
    tags=(UNTAGGED,),
    is_single=True,
    country_code="+90",
    make_simulator=TwilioSimulator,
)


# -- Vonage ------------------------------------------------------------------------------------------------------------


def vonage_request(is_json: bool) -> Callable[[Sequence[Pair], Tag], HttpRequest]:
    def compose(pairs: Sequence[Pair], tag: Tag) -> HttpRequest:
        fields = {"to": pairs[0][0], "from": "ORNEK", "text": pairs[0][1], "type": "unicode"}
        body = json.dumps(fields) if is_json else urlencode(fields)
        headers = (JSON if is_json else FORM, basic("key", "secret"))
        return HttpRequest("POST", "/sms/json", "", headers, body.encode())

    return compose


def vonage_case(is_json: bool) -> DialectCase:
    def is_success(response: HttpResponse) -> bool:
        parts = found_in(response).get("messages", [])
        return response.status == 200 and bool(parts) and all(part["status"] == "0" for part in parts)

    def found(fields: dict[str, Any]) -> list[Pair]:
        return [(spelled(fields["to"]), fields["text"])]

    return DialectCase(
        name="vonage-sms-json" if is_json else "vonage-sms-form",
        dialect=VonageSmsDialect(),
        compose=vonage_request(is_json),
        readers=json_readers(found) if is_json else lax_forms(found),
        tag_in=lambda request: None,
        is_success=is_success,
        job_id=lambda response: str(found_in(response)["messages"][0]["message-id"]),
        id_shape=r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}",
        tags=(UNTAGGED,),
        is_single=True,
        country_code="90",
        make_simulator=VonageSimulator,
    )


def vonage_message(pairs: Sequence[Pair], tag: Tag) -> HttpRequest:
    fields = {"to": pairs[0][0], "from": "ORNEK", "channel": "sms", "message_type": "text", "text": pairs[0][1]}
    return HttpRequest("POST", "/v1/messages", "", (JSON, basic("key", "secret")), json.dumps(fields).encode())


VONAGE_MESSAGES = DialectCase(
    name="vonage-messages",
    dialect=VonageMessagesDialect(),
    compose=vonage_message,
    readers=json_readers(lambda fields: [(spelled(fields["to"]), fields["text"])]),
    tag_in=lambda request: None,
    is_success=lambda response: response.status == 202,
    job_id=lambda response: str(found_in(response)["message_uuid"]),
    id_shape=r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}",
    tags=(UNTAGGED,),
    is_single=True,
    country_code="90",
    make_simulator=VonageSimulator,
)

MORE_CASES = (
    JETSMS,
    JETSMS_XML,
    MUTLUCELL,
    vatansms_case(is_each=False),
    vatansms_case(is_each=True),
    TURKCELL,
    infobip_case(is_v3=True),
    infobip_case(is_v3=False),
    TWILIO,
    vonage_case(is_json=False),
    vonage_case(is_json=True),
    VONAGE_MESSAGES,
)

"""Our own interface, described by OpenAPI 3.1: served at ``/v1/openapi.json``, held true by the tests."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from filters.reason import Reason
from filters.sms.dialect import Fault
from filters.sms.dialects.plain import (
    FAULT_STATUS,
    MAX_LABEL_CHARACTERS,
    MAX_RECIPIENTS,
    MAX_SENDER_CHARACTERS,
    MAX_SPELLED_CHARACTERS,
    MAX_TEXT_CHARACTERS,
)
from filters.sms.message import Alphabet
from filters.vocabulary import FreshnessState, MessageClass, Outcome, RecipientType, Verdict

MAX_CHECKED = 100_000

_REASONS = [str(reason) for reason in Reason]
_JSON = "application/json"


def _text(description: str, most: int, **more: Any) -> dict[str, Any]:
    return {"type": "string", "maxLength": most, "description": description, **more}


def _words(description: str, words: type[StrEnum]) -> dict[str, Any]:
    return {"type": "string", "enum": [str(word) for word in words], "description": description}


def _object(required: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def _content(schema: str) -> dict[str, Any]:
    return {_JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


_FAULTS = {
    str(status): {
        "description": "Refused as a whole, nothing was sent: "
        + ", ".join(str(fault) for fault, its in FAULT_STATUS.items() if its == status)
        + ("; comes again" if status == 503 else ""),
        "content": _content("Fault"),
    }
    for status in sorted(set(FAULT_STATUS.values()))
}
_FAULTS["504"]["description"] = (
    "unknown_outcome: the provider was asked and did not answer. The same request again reaches nobody twice"
)

_CLASS = _words("What the message is. Left out, the client's default, else commercial.", MessageClass)
_TYPE = _words("In what capacity the recipients are addressed.", RecipientType)
_BRAND = {
    "type": ["string", "integer"],
    "description": "Code or name of the brand; needed where the client has several.",
}
_RECIPIENT = {
    "oneOf": [
        _text("A phone number in any usual spelling.", MAX_SPELLED_CHARACTERS),
        _object(
            ["to"],
            {
                "to": _text("A phone number in any usual spelling.", MAX_SPELLED_CHARACTERS),
                "text": _text("The text for this recipient, instead of the common one.", MAX_TEXT_CHARACTERS),
                "reference": _text("Your own id, given back in answer and report.", MAX_LABEL_CHARACTERS),
            },
        ),
    ]
}
_FATE = _object(
    ["to", "outcome"],
    {
        "to": _text("As you spelled it.", MAX_SPELLED_CHARACTERS),
        "outcome": _words("What became of it.", Outcome),
        "reason": _text("Our reason (one of Reason), or the provider's own code.", 100),
        "id": _text("The provider's id of this message.", 200),
        "reference": _text("Your own id.", MAX_LABEL_CHARACTERS),
        "at": {"type": "string", "format": "date-time", "description": "When it was dropped; in reports."},
    },
)
_CHECKED = {
    "recipient": {"type": "string"},
    "permitted": {"type": "boolean"},
    "verdict": _words("defer: ask again later.", Verdict),
    "reason": {"$ref": "#/components/schemas/Reason"},
    "row": {"type": "string", "description": "Row of the decision table."},
}
_ABOUT = {
    "freshness": _words("How far the index is behind the registry.", FreshnessState),
    "staleness_s": {"type": ["integer", "null"], "description": "The same in seconds; null if not known."},
    "checked_at": {"type": "integer", "description": "Seconds since 1970 UTC."},
}

OPENAPI: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "İzinKapı",
        "version": "1",
        "description": "Send SMS to those alone who may be sent to, or ask who may be.",
    },
    "security": [{}, {"basic": []}],
    "paths": {
        "/v1/messages": {
            "post": {
                "operationId": "sendMessages",
                "summary": "Send one text, or one each, to the permitted among the recipients",
                "requestBody": {"required": True, "content": _content("Message")},
                "responses": {
                    "200": {"description": "One outcome for each recipient.", "content": _content("Answer")},
                    **_FAULTS,
                },
            }
        },
        "/v1/messages/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {
                "operationId": "reportMessages",
                "summary": "What became of each recipient of an earlier request",
                "responses": {
                    "200": {"description": "With those who were dropped.", "content": _content("Report")},
                    **_FAULTS,
                },
            },
            "delete": {
                "operationId": "cancelMessages",
                "summary": "Cancel what is scheduled and not sent yet",
                "responses": {
                    "200": {"description": "Cancelled.", "content": {_JSON: {"schema": {"type": "object"}}}},
                    **_FAULTS,
                },
            },
        },
        "/v1/check": {
            "post": {
                "operationId": "check",
                "summary": "The decision without sending, for SMS, mail and calls",
                "requestBody": {"required": True, "content": _content("Check")},
                "responses": {
                    "200": {
                        "description": "In the order of the list; one line each where asked for.",
                        "content": {
                            _JSON: {
                                "schema": {
                                    "oneOf": [
                                        {"$ref": "#/components/schemas/Checked"},
                                        {"$ref": "#/components/schemas/CheckedList"},
                                    ]
                                }
                            },
                            "application/x-ndjson": {"schema": {"type": "string"}},
                        },
                    },
                    **_FAULTS,
                },
            }
        },
    },
    "components": {
        "securitySchemes": {
            "basic": {
                "type": "http",
                "scheme": "basic",
                "description": "Needed where the client's network is not known to the gateway.",
            }
        },
        "schemas": {
            "Reason": {"type": "string", "enum": _REASONS},
            "Message": _object(
                ["recipients"],
                {
                    "text": _text("For all recipients without one of their own.", MAX_TEXT_CHARACTERS),
                    "recipients": {"type": "array", "minItems": 1, "maxItems": MAX_RECIPIENTS, "items": _RECIPIENT},
                    "sender": _text("Sender title.", MAX_SENDER_CHARACTERS),
                    "class": _CLASS,
                    "recipient_type": _TYPE,
                    "brand": _BRAND,
                    "campaign": _text("Your own label, kept in the evidence.", MAX_LABEL_CHARACTERS),
                    "kind": {"type": "string", "enum": ["plain", "otp"]},
                    "encoding": _words("Alphabet, where the provider lets it be chosen.", Alphabet),
                    "send_at": {"type": "string", "format": "date-time", "description": "Left out: now."},
                    "dry_run": {"type": "boolean", "description": "Decide, and send nothing."},
                },
            ),
            "Answer": _object(
                ["id", "counts", "recipients", "segments"],
                {
                    "id": {"type": "string", "description": "For reports; begins with izin- where nothing was sent."},
                    "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
                    "recipients": {"type": "array", "items": _FATE},
                    "segments": {
                        "type": "array",
                        "description": "For each text of the request, without and with the opt-out.",
                        "items": _object(
                            ["before", "after"], {"before": {"type": "integer"}, "after": {"type": "integer"}}
                        ),
                    },
                    "dry_run": {"type": "boolean"},
                },
            ),
            "Report": _object(
                ["id", "recipients"], {"id": {"type": "string"}, "recipients": {"type": "array", "items": _FATE}}
            ),
            "Check": _object(
                [],
                {
                    "channel": {"type": "string", "enum": ["MESAJ", "EPOSTA", "ARAMA"], "default": "MESAJ"},
                    "class": _CLASS,
                    "recipient_type": {"type": "string", "enum": ["individual", "business", "BIREYSEL", "TACIR"]},
                    "brand": _BRAND,
                    "recipient": _text("One number or address …", 320),
                    "recipients": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": MAX_CHECKED,
                        "items": _text("… or many.", 320),
                    },
                },
            ),
            "Checked": _object([*_CHECKED], {**_CHECKED, **_ABOUT}),
            "CheckedList": _object(
                ["results", "recipients", "permitted"],
                {
                    "results": {"type": "array", "items": _object([*_CHECKED], _CHECKED)},
                    "recipients": {"type": "integer"},
                    "permitted": {"type": "integer"},
                    **_ABOUT,
                },
            ),
            "Fault": _object(
                ["error"],
                {
                    "error": _object(
                        ["code", "detail"],
                        {"code": _words("What is wrong.", Fault), "detail": {"type": "string"}},
                    )
                },
            ),
        },
    },
}

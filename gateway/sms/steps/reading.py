"""Recognise and classify: what the request asks for, by what it is known again, and what kind of message it is."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from filters.classify import ClassificationRefusal
from filters.reason import Reason
from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.message import TextKind
from filters.vocabulary import MessageClass
from gateway.sms.in_hand import SmsInHand
from gateway.sms.route import SmsBrand
from gateway.sms.tags import SmsTags, fault_of


def read_request(sms: SmsInHand, now: float) -> None:
    """Read it strictly; from here on only what was read exists. Raises ``RequestRefusedError``."""
    request, route = sms.request, sms.route
    submission = route.dialect.read(request, sms.call)
    if not submission.recipients:
        raise RequestRefusedError(Fault.MALFORMED, "recipients: expected at least one")
    if submission.leaves_by(now) - now > route.max_lead_s:
        raise RequestRefusedError(Fault.NOT_ALLOWED, "the time of sending lies further ahead than this gateway allows")
    sms.begin(submission)
    body_digest = sha256(request.body)
    sms.body_digest = body_digest.hexdigest()
    sms.digest = sha256(
        "\0".join((sms.client.name, route.upstream.name, request.method, request.path, request.query)).encode(
            "utf-8", "surrogateescape"
        )
        + b"\0"
        + body_digest.digest()
    ).digest()


def classify_request(sms: SmsInHand, tags: SmsTags, brands: Mapping[int, SmsBrand]) -> None:
    """The tag decides what the message is; a tag tightens, never loosens. Raises ``RequestRefusedError``."""
    submission = sms.asked
    client = sms.route.client_of(sms.client, submission, sms.request.headers)
    found = tags.classify(sms.request, submission, client)
    if isinstance(found, ClassificationRefusal):
        sms.refusal = found.reason
        raise RequestRefusedError(*fault_of(found))
    sms.client = client
    sms.classification = found
    sms.is_commercial = found.message_class is MessageClass.COMMERCIAL
    if found.brand is not None:
        sms.brand = brands[found.brand.code]
    if sms.is_commercial and submission.kind is not TextKind.PLAIN:
        raise opt_out_impossible()


def opt_out_impossible() -> RequestRefusedError:
    """The error to raise for a commercial message into which no opt-out can be put."""
    reason = Reason.OPTOUT_IMPOSSIBLE
    return RequestRefusedError(Fault.NOT_ALLOWED, f"{reason}: {reason.sentence_en}")

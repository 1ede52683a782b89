"""Who hears of recipients that were left out, and what."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from filters.client import Client
from filters.reason import Reason
from gateway.mail.drop_reports import DropReports
from tests.support.pipeline_world import NOW, SHOP, PipelineWorld, mail
from tests.support.scripted_upstream import DEFERRED, RELAYED

SECRET = b"sixteen bytes ok"
YES, NO, STRANGER = b"Ayse@example.com", b"bora@example.com", b"cem@example.com"


class Reports:
    """A pipeline, and what was sent to the client "shop"."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Mapping[str, str]]] = []
        self.world = PipelineWorld()
        reports = DropReports({"shop": (SECRET, lambda body, fields: self.sent.append((body, fields)))})
        observe = self.world.pipeline._observe
        self.world.pipeline._observe = lambda one, answer: (observe(one, answer), reports.message_answered(one, answer))

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [orjson.loads(body) for body, _ in self.sent]


@pytest.fixture
async def reports() -> Reports:
    """With one consent and one refusal."""
    made = Reports()
    await made.world.load()
    await made.world.consent(YES)
    await made.world.refuse(NO)
    return made


async def test_the_sender_hears_who_was_left_out_and_why(reports: Reports) -> None:
    """Each by the address as it was given, with reason and both sentences; who was written to is not in it."""
    sent = reports.world.send(mail(b"X-Izin-Campaign: sonbahar"), [YES, NO, STRANGER])
    assert sent.reply.overall.code == 250
    (body,) = reports.bodies
    assert body["message_id"] in sent.reply.overall.text
    assert (body["brand"], body["client"], body["campaign"]) == (SHOP, "shop", "sonbahar")
    assert body["at"] == "2026-09-21T14:13:20+00:00"
    assert NOW == 1_790_000_000
    assert [(one["recipient"], one["verdict"], one["reason"]) for one in body["recipients"]] == [
        ("bora@example.com", "drop", "LOCAL_RET"),
        ("cem@example.com", "drop", "NO_CONSENT"),
    ]
    assert body["recipients"][1]["sentence_tr"] == Reason.NO_CONSENT.sentence_tr
    assert body["recipients"][1]["sentence_en"] == Reason.NO_CONSENT.sentence_en


async def test_the_receiver_can_tell_that_it_is_ours(reports: Reports) -> None:
    """HMAC-SHA256 of the very body, under the client's secret."""
    reports.world.send(mail(), [YES, NO])
    ((body, fields),) = reports.sent
    assert fields["X-Izin-Signature"] == f"sha256={hmac.new(SECRET, body, 'sha256').hexdigest()}"
    assert fields["Content-Type"] == "application/json"


async def test_nothing_is_sent_where_nobody_was_left_out_or_nobody_asked(reports: Reports) -> None:
    """Neither for a message that all got, nor to a client without a web hook."""
    reports.world.send(mail(number=1), [YES])
    reports.world.send(mail(number=2), [YES, NO], client=Client("panel", (SHOP,)))
    assert reports.sent == []


async def test_it_is_sent_once_though_the_message_came_twice(reports: Reports) -> None:
    """Who was told to come again hears it with the answer that ends the message."""
    reports.world.upstream.fate_of = {YES: DEFERRED}.__getitem__
    assert reports.world.send(mail(), [YES, NO]).reply.overall.is_temporary
    assert reports.sent == []
    reports.world.upstream.fate_of = {YES: RELAYED}.__getitem__
    assert reports.world.send(mail(), [YES, NO]).reply.overall.is_success
    assert len(reports.sent) == 1

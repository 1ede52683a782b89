"""Copies that the gateway signs itself: signed after the change, in threads, and never handed over unsigned."""

from __future__ import annotations

import asyncio
import base64
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.dkim import DkimSigner
from filters.decision.policy import Policy
from filters.token import Grant
from filters.vocabulary import Channel
from gateway.mail.pipeline import DECISION_VALID_S
from tests.support.pipeline_world import SERVICE, PipelineWorld, Sent, mail

AYSE, BORA, CEM = b"ayse@example.com", b"bora@example.com", b"cem@example.com"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # short, as it is made for each run


class GatedSigner:
    """Signs when it may: holds each signature until ``go`` is set; ``fails_for`` is a text in the content."""

    def __init__(self, fails_for: bytes = b"") -> None:
        self.go = threading.Event()
        self.fails_for = fails_for
        self.signed = 0

    def sign(self, content: bytes) -> bytes:
        assert self.go.wait(10)
        if self.fails_for and self.fails_for in content:
            raise RuntimeError("key of ayse@example.com")
        self.signed += 1
        return b"DKIM-Signature: v=1; n=%d\r\n" % self.signed


@pytest.fixture
def make_world() -> Iterator[Callable[..., PipelineWorld]]:
    worlds: list[PipelineWorld] = []

    def make(signer: Any, **options: Any) -> PipelineWorld:
        worlds.append(PipelineWorld(signer=signer, **options))
        return worlds[-1]

    yield make
    for each in worlds:
        each.close()


async def consenting(world: PipelineWorld) -> PipelineWorld:
    await world.load()
    for wire in (AYSE, BORA, CEM):
        await world.consent(wire)
    return world


async def answered(world: PipelineWorld, sent: Sent) -> list[int]:
    async with asyncio.timeout(10):
        while not sent.answers:
            await asyncio.sleep(0.002)
            world.agenda.deliver_all()
    return [reply.code for reply in sent.reply.per_recipient]


async def test_the_signature_stands_on_top_and_is_valid(make_world: Callable[..., PipelineWorld]) -> None:
    """Made after the opt-out went in, and it covers both fields of the one-click opt-out (RFC 8058, section 4)."""
    private = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    world = await consenting(make_world(DkimSigner("magaza.example", "kapi", private)))
    sent = world.send(mail(), [AYSE, BORA])
    assert await answered(world, sent) == [250, 250]
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    for given in world.upstream.given:
        content = given.mail.content
        assert content.startswith(b"DKIM-Signature:")
        assert dkim.verify(content, dnsfunc=lambda *_arguments, **_options: record, minkey=1024)
        signed = re.search(rb"h=([^;]*)", content)
        assert signed is not None
        assert {b"list-unsubscribe", b"list-unsubscribe-post"} <= set(re.split(rb"[\s:]+", signed[1].lower()))


async def test_a_signature_that_fails_defers_its_recipient_alone(make_world: Callable[..., PipelineWorld]) -> None:
    """Nothing goes out unsigned; the others have theirs, and the retry signs the missing one."""
    signer = GatedSigner()
    signer.go.set()
    world = await consenting(make_world(signer))
    failing = world.tokens.opt_out_links(world.brands[600123], _grant(BORA), world.key(BORA)).url
    signer.fails_for = failing.encode()
    sent = world.send(mail(), [AYSE, BORA, CEM])
    assert await answered(world, sent) == [250, 451, 250]
    assert "key of" not in sent.reply.overall.text
    signer.fails_for = b""
    assert await answered(world, world.send(mail(), [AYSE, BORA, CEM])) == [250, 250, 250]
    assert [one.wires for one in world.upstream.given] == [(AYSE,), (CEM,), (BORA,)]
    assert all(one.mail.content.startswith(b"DKIM-Signature:") for one in world.upstream.given)


def _grant(wire: bytes) -> Grant:
    return Grant(600123, Channel.EMAIL, None, wire)


async def test_who_refuses_while_the_copy_is_signed_does_not_get_it(make_world: Callable[..., PipelineWorld]) -> None:
    """Where signatures queue up, the decision grows old: it is made again, and the signature is not."""
    signer = GatedSigner()
    world = await consenting(make_world(signer))
    sent = world.send(mail(), [AYSE, BORA])
    await world.refuse(AYSE)
    world.clock.now += DECISION_VALID_S + 0.1
    signer.go.set()
    assert await answered(world, sent) == [550, 250]
    assert [one.wires for one in world.upstream.given] == [(BORA,)]
    assert signer.signed == 2


async def test_a_next_hop_that_answers_at_once_costs_one_record(make_world: Callable[..., PipelineWorld]) -> None:
    """The last signature's hand-over ends the message; nothing after it ends it again."""
    signer = GatedSigner()
    signer.go.set()
    world = await consenting(make_world(signer))
    sent = world.send(mail(), [AYSE])
    assert await answered(world, sent) == [250]
    assert len(world.records) == 1
    assert len(world.observed) == 1


async def test_threads_that_are_gone_defer_at_once(make_world: Callable[..., PipelineWorld]) -> None:
    """A worker that ends takes no more signatures; its clients come again rather than wait."""
    threads = ThreadPoolExecutor(1)
    world = await consenting(make_world(GatedSigner(), signing_threads=threads))
    threads.shutdown()
    sent = world.send(mail(), [AYSE, BORA])
    assert await answered(world, sent) == [451, 451]
    assert not world.upstream.given


async def test_signatures_given_up_leave_nobody_waiting(make_world: Callable[..., PipelineWorld]) -> None:
    """Those that wait for a thread are cancelled at the end of a worker; their recipients are deferred."""
    signer = GatedSigner()
    threads = ThreadPoolExecutor(1)
    world = await consenting(make_world(signer, signing_threads=threads))
    sent = world.send(mail(), [AYSE, BORA, CEM])
    threads.shutdown(wait=False, cancel_futures=True)
    signer.go.set()
    assert await answered(world, sent) == [250, 451, 451]


async def test_service_mail_is_signed_only_where_it_was_changed(make_world: Callable[..., PipelineWorld]) -> None:
    """Untouched mail keeps the sender's own signature; ours would say nothing more."""
    signer = GatedSigner()
    signer.go.set()
    world = make_world(signer)
    assert await answered(world, world.send(mail(SERVICE), [AYSE])) == [250]
    assert signer.signed == 0
    world = make_world(signer, policy=Policy(service_opt_out=True))
    assert await answered(world, world.send(mail(SERVICE), [AYSE])) == [250]
    assert signer.signed == 1

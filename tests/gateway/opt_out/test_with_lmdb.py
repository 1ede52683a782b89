"""The pages over the embedded store: a refusal is in force for the next decision, and survives the process."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from adapters.store import Store, open_store
from filters.consent import Change, Consent, unpack
from filters.vocabulary import Channel, RecipientType, Status
from gateway.opt_out.listener import HttpListener
from gateway.opt_out.pages import OptOutPages
from gateway.refusals import Refusals

from .conftest import AYSE, RECEIVED_AT, SHOP, OptOut, listen

SLOT = (Channel.EMAIL, RecipientType.INDIVIDUAL)


async def test_the_next_lookup_after_the_answer_finds_the_refusal(opt_out: OptOut, tmp_path: Path) -> None:
    """Over an earlier consent, with the report in the outbox; still there after the store was closed and opened."""

    def open_again() -> Store:
        return open_store(
            f"lmdb:{tmp_path / 'store'}",
            state_directory=tmp_path / "state",
            secret_fingerprint=opt_out.keys.fingerprint,
            clock=lambda: RECEIVED_AT,
        )

    store = open_again()
    await store.initialise()
    await store.start()
    consent = Consent(Status.APPROVED, RECEIVED_AT - 1000, "HS_WEB")
    await store.apply(SHOP.code, [Change(opt_out.key(), *SLOT, consent)], watermark_at=RECEIVED_AT)
    refusals = Refusals(store, opt_out.evidence, opt_out.seal, opt_out.calendar, opt_out.observer)
    site = OptOutPages(refusals, opt_out.tokens, opt_out.keys, [SHOP], {}, opt_out.observer, now=lambda: RECEIVED_AT)
    listener = HttpListener(site.build_app(), opt_out.observer)
    listening, opt_out.http_port = listen()
    await listener.start(listening)

    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            url = opt_out.url(f"/u/{opt_out.token()}")
            async with session.post(url, data={"List-Unsubscribe": "One-Click"}) as response:
                assert response.status == 200
            found = await store.find(SHOP.code, [opt_out.key()])
            assert found.values[0] is not None
            assert unpack(found.values[0])[SLOT].status is Status.REJECTED
    await listener.close()
    await store.close()

    store = open_again()
    await store.start()
    (item,) = await store.outbox_due(2**40, 10)
    assert opt_out.seal.open(item.item_id, item.sealed).address == AYSE.address.decode()
    found = await store.find(SHOP.code, [opt_out.key()])
    assert found.values[0] is not None
    assert unpack(found.values[0])[SLOT].own
    await store.close()

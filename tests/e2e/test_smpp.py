"""SMS over SMPP through real processes: a client binds to us, a simulated SMSC takes what is left."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import smpplib.client
import smpplib.gsm

from loadtest.providers.smsc import Smsc
from tests.support.gateway_process import GatewayProcess, free_ports, people_csv, wait_until

_PEOPLE = 50


def consenting_number(n: int) -> str:
    return f"90532{n:07d}"


def refusing_number(n: int) -> str:
    return f"90533{n:07d}"


class SmscThread:
    """The simulator in a loop of its own, so that its state can be looked at."""

    def __init__(self) -> None:
        self.smsc = Smsc(passwords={"gate": "gizli-1"})
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="smsc", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.smsc.start(), self._loop).result(10)

    def send_receipt(self, to: str) -> None:
        """Of the message to that number, to whoever is bound; again until it is taken."""
        submit = next(each for each in self.smsc.submitted if each.destination == to)

        def send() -> None:
            if self.smsc.links and 0 not in self.smsc.deliver_answers:
                self.smsc.links[-1].receipt(submit)
            if 0 not in self.smsc.deliver_answers:
                self._loop.call_later(0.5, send)

        self.smsc.deliver_answers.clear()
        self._loop.call_soon_threadsafe(send)

    def inject(self, source: str, destination: str, text: str) -> None:
        self._loop.call_soon_threadsafe(self.smsc.inject, source, destination, text)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.smsc.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class SmppGateway:
    """A gateway with its SMSC, and a shop's client there."""

    def __init__(self, gateway: GatewayProcess, port: int, thread: SmscThread) -> None:
        self.gateway = gateway
        self.port = port
        self.thread = thread
        self.smsc = thread.smsc
        self.people = itertools.count(1)

    def send(
        self, *messages: tuple[str, str], receipts: int = 0, heard: int = 0, asks: bool = False
    ) -> tuple[list[int], list[Any]]:
        """Statuses of all parts of ``messages`` (number, text), and so many deliveries. ``asks``: for receipts, without
        waiting for them."""
        client = smpplib.client.Client("127.0.0.1", self.port, timeout=15, allow_unknown_opt_params=True)
        statuses: dict[int, int] = {}
        deliveries: list[Any] = []
        client.set_message_sent_handler(lambda pdu: statuses.__setitem__(pdu.sequence, pdu.status))
        client.set_error_pdu_handler(lambda _pdu: None)
        client.set_message_received_handler(lambda pdu: deliveries.append(pdu))
        client.connect()
        try:
            client.bind_transceiver(system_id="shop", password="")
            asked = []
            for number, text in messages:
                parts, coding, flags = smpplib.gsm.make_parts(text)
                for part in parts:
                    sent = client.send_message(
                        source_addr_ton=5,
                        source_addr="ORNEK",
                        dest_addr_ton=1,
                        dest_addr_npi=1,
                        destination_addr=number,
                        short_message=part,
                        data_coding=coding,
                        esm_class=flags,
                        registered_delivery=bool(receipts) or asks,
                    )
                    asked.append(sent.sequence)
            while len(statuses) < len(asked) or len(deliveries) < receipts + heard:
                client.read_once()
            client.unbind()
        finally:
            client.disconnect()
        return [statuses[sequence] for sequence in asked], deliveries

    def texts_to(self, number: str) -> list[str]:
        return [text for _, destination, text in self.smsc.messages() if destination == number]


@pytest.fixture(scope="module")
def smpp(make_shared_gateway: Callable[..., GatewayProcess]) -> Iterator[SmppGateway]:
    thread = SmscThread()
    (port,) = free_ports(1)

    def change(settings: dict[str, Any]) -> None:
        folder = Path(settings["listeners"]["http"][0]["certificate_file"]).parent
        secret = folder / "smsc.txt"
        secret.write_text("gizli-1\n", encoding="utf-8")
        secret.chmod(0o600)
        settings["brands"][0]["sms_opt_out"] = {"keyword": "RET ORNEK", "number": "3338"}
        settings["upstreams"]["smpp"] = [
            {
                "name": "operator",
                "address": f"127.0.0.1:{thread.smsc.port}",
                "tls": "none",
                "system_id": "gate",
                "password_file": str(secret),
            }
        ]
        settings["listeners"]["smpp"] = [
            {
                "address": f"127.0.0.1:{port}",
                "upstream": "operator",
                "service_types": {"INFO": "informational"},
                "inbound": {"*": "shop"},
            }
        ]
        # Receipts of long messages are known to the worker that sent them; with one worker that is every one.
        settings["gateway"]["workers"] = 1

    rows = [people_csv()]
    for n in range(_PEOPLE):
        rows.append(f"+{consenting_number(n)},MESAJ,BIREYSEL,ONAY,HS_WEB,2025-03-04 10:15:00\r\n")
        rows.append(f"+{refusing_number(n)},MESAJ,BIREYSEL,RET,HS_WEB,2025-03-04 10:15:00\r\n")
    gateway = make_shared_gateway(change=change, consents="".join(rows))
    yield SmppGateway(gateway, port, thread)
    thread.close()


def test_only_the_consenting_get_it_with_its_opt_out(smpp: SmppGateway) -> None:
    """Permitted, refused, unknown and no number at all, in one session."""
    n = next(smpp.people)
    yes, no, stranger = consenting_number(n), refusing_number(n), "905349999999"
    statuses, _ = smpp.send((yes, "Indirim"), (no, "Indirim"), (stranger, "Indirim"), ("12", "Indirim"))
    assert statuses == [0, 0x45, 0x45, 0x0B]
    (text,) = smpp.texts_to(yes)
    assert text.startswith("Indirim ")
    assert "RET ORNEK" in text
    assert "3338" in text
    assert smpp.texts_to(no) == smpp.texts_to(stranger) == []


def test_a_long_message_is_whole_and_its_receipts_come_back(smpp: SmppGateway) -> None:
    """Three parts of a client are joined, get one opt-out and leave as parts again."""
    number = consenting_number(next(smpp.people))
    text = "Sonbahar indirimi basladi, secili urunlerde yuzde kirk. " * 6
    statuses, receipts = smpp.send((number, text), receipts=3)
    assert statuses == [0, 0, 0]
    (sent,) = smpp.texts_to(number)
    assert sent.startswith(text)
    assert sent.count("3338") == 1
    assert len({receipt.short_message.split()[0] for receipt in receipts}) == 3


def test_a_refusal_by_sms_counts_at_once(smpp: SmppGateway) -> None:
    """What the person writes comes over the same link; the client hears it too."""
    number = consenting_number(next(smpp.people))
    assert smpp.send((number, "Indirim"))[0] == [0]
    done = threading.Event()

    def person() -> None:
        done.wait(5)
        smpp.thread.inject(number, "3338", "RET ORNEK")

    writing = threading.Thread(target=person)
    writing.start()
    done.set()
    other = consenting_number(next(smpp.people))
    _, deliveries = smpp.send((other, "Indirim"), heard=1)
    writing.join(5)
    assert deliveries[0].source_addr == number.encode()
    wait_until(lambda: smpp.send((number, "Indirim"))[0] == [0x45], "the refusal to count")
    assert len(smpp.texts_to(number)) >= 1


def test_nothing_of_numbers_and_texts_is_in_the_log(smpp: SmppGateway) -> None:
    number = consenting_number(next(smpp.people))
    smpp.send((number, "Gizli kalmasi gereken metin"))
    log = smpp.gateway.log.read_text("utf-8")
    assert "sms.answered" in log
    assert number[3:] not in log
    assert "Gizli kalmasi" not in log
    assert "gizli-1" not in log


def test_a_receipt_finds_its_client_after_the_worker_was_killed(smpp: SmppGateway) -> None:
    """Whose message it is outlives the process; the client has bound anew, and hears its own number."""
    number = consenting_number(next(smpp.people))
    smpp.smsc.receipt_after_s, before = None, smpp.smsc.receipt_after_s
    try:
        statuses, _ = smpp.send((number, "Bahar"), asks=True)
        assert statuses == [0]
        time.sleep(1)
        smpp.gateway.kill_worker()
        smpp.gateway.wait_until_ready()
        wait_until(lambda: any(link.is_bound for link in smpp.smsc.links), "bound to the SMSC again")
        smpp.thread.send_receipt(number)
        _, (receipt,) = smpp.send(heard=1)
    finally:
        smpp.smsc.receipt_after_s = before
    assert receipt.source_addr.decode() == number
    assert b"stat:DELIVRD" in receipt.short_message

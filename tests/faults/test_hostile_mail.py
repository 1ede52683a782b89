"""Mail made to stop whoever reads it gets its answer, and meanwhile the one worker there is answers everybody else."""

from __future__ import annotations

import smtplib
import threading
import time
from collections.abc import Callable, Iterator
from smtplib import CRLF

import pytest

from loadtest.marketing_mail import MailTemplate
from loadtest.numbered_recipients import address_of, consented_numbers
from tests.support.fault_world import FIRST, PEOPLE, SENDER, FaultWorld
from tests.support.hostile_mail import MAILS, thirty_megabytes

pytestmark = pytest.mark.xdist_group("faults-hostile")

LONGEST_ANSWER_S = 1.0
NEIGHBOUR, SOMEBODY = address_of(1), address_of(2)

# Whether the gateway takes it or says what is wrong with it. Nothing of this is a fault of ours, so nothing is 4xx.
CODES = {
    "thirty_megabytes": 250,
    "thirty_megabytes_of_text": 250,
    "hundred_thousand_parts": 550,
    "many_parameters": 550,
    "numbered_parameters": 554,
    "deep_nesting": 550,
    "deep_nesting_with_prefixes": 550,
    "long_header": 554,
    "long_folded_header": 250,
    "many_header_fields": 554,
    "many_addresses": 250,
    "unclosed_tags": 550,
    "unclosed_comments": 550,
    "soft_breaks": 250,
    "base64_by_the_byte": 250,
    "many_dots": 250,
    "many_empty_lines": 250,
    "many_placeholders": 550,
    "boundary_lines": 550,
    "encoded_words": 250,
}


class Neighbour:
    """A well-behaved client in the same worker: 20 messages a second over one session, each answer timed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="neighbour")
        self._template = MailTemplate(4096, sender=SENDER, headers=["X-Izin-Class: commercial"])
        self.codes: set[int] = set()
        self.answers_s: list[float] = []
        self.failure: Exception | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def longest_since(self, place: int) -> float:
        """The longest wait for one answer among those from ``place`` on; the next ones are waited for."""
        enough = len(self.answers_s) + 8
        give_up_at = time.monotonic() + 20
        while len(self.answers_s) < enough and time.monotonic() < give_up_at and self._thread.is_alive():
            time.sleep(0.01)
        assert self.failure is None, self.failure
        return max(self.answers_s[place:])

    def _run(self) -> None:
        try:
            with smtplib.SMTP("127.0.0.1", self._port, local_hostname="neighbour.example", timeout=30) as client:
                client.ehlo()
                number = 0
                while not self._stopping.is_set():
                    number += 1
                    began_at = time.monotonic()
                    content = b"".join(self._template.render(b"%016x" % number, NEIGHBOUR.encode()))
                    self._ask(client, f"MAIL FROM:<{SENDER}>")
                    self._ask(client, f"RCPT TO:<{NEIGHBOUR}>")
                    self._ask(client, "DATA")
                    self.codes.add(self._ask(client, content.decode("ascii") + "."))
                    time.sleep(max(0.0, 0.05 - (time.monotonic() - began_at)))
        except (OSError, smtplib.SMTPException) as error:
            self.failure = error

    def _ask(self, client: smtplib.SMTP, text: str) -> int:
        began_at = time.monotonic()
        client.send(text + CRLF)
        code, _ = client.getreply()
        self.answers_s.append(time.monotonic() - began_at)
        return code


@pytest.fixture(scope="module")
def world(make_shared_world: Callable[..., FaultWorld]) -> FaultWorld:
    return make_shared_world(workers=1)


@pytest.fixture(scope="module")
def neighbour(world: FaultWorld) -> Iterator[Neighbour]:
    client = Neighbour(world.gateway.port)
    client.start()
    yield client
    client.stop()
    assert client.codes == {250}, "every message of the neighbour was taken"


@pytest.mark.parametrize("name", MAILS)
def test_hostile_mail_delays_nobody(world: FaultWorld, neighbour: Neighbour, name: str) -> None:
    """A clean answer for it, an answer within a second for the neighbour, and the same worker as before."""
    content = MAILS[name]()
    workers = world.gateway.worker_pids()
    place = len(neighbour.answers_s)
    began_at = time.monotonic()
    code = world.send(SOMEBODY, content=content)
    took_s = time.monotonic() - began_at
    longest_s = neighbour.longest_since(place)
    print(f"{name}: {code} after {took_s:.2f} s; the neighbour waited at most {longest_s * 1000:.0f} ms")
    assert code == CODES[name]
    assert longest_s < LONGEST_ANSWER_S
    assert world.gateway.worker_pids() == workers


@pytest.mark.parametrize(("size_bytes", "recipients"), [(4096, 1000), (1_000_000, 100), (30_000_000, 4)])
def test_many_copies_delay_nobody(world: FaultWorld, neighbour: Neighbour, size_bytes: int, recipients: int) -> None:
    """A thousand recipients, or fewer of something large: a copy for each who consented, a few at a time."""
    if size_bytes > 10_000_000:
        content = thirty_megabytes()
    else:
        template = MailTemplate(size_bytes, sender=SENDER, headers=["X-Izin-Class: commercial"])
        content = b"".join(template.render(b"%016x" % size_bytes, SOMEBODY.encode()))
    people = [address_of(FIRST + place) for place in range(min(recipients, PEOPLE - FIRST + 1))]
    people += [f"nobody{place}@musteri.example" for place in range(recipients - len(people))]
    place = len(neighbour.answers_s)
    copies_before = world.taken_from(SENDER)
    began_at = time.monotonic()
    assert world.send(*people, content=content) == 250
    took_s = time.monotonic() - began_at
    longest_s = neighbour.longest_since(place)
    print(f"{recipients} recipients: after {took_s:.2f} s; the neighbour waited at most {longest_s * 1000:.0f} ms")
    consented = {address_of(number) for number in consented_numbers(FIRST, PEOPLE)}
    reached = [recipient for recipient in world.taken_from(SENDER)[len(copies_before) :] if recipient != NEIGHBOUR]
    assert sorted(reached) == sorted(consented & set(people))
    assert longest_s < LONGEST_ANSWER_S

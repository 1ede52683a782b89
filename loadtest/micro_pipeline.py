"""What the pipeline costs by itself: ``python -m loadtest.micro_pipeline [--recipients N] [--size BYTES] [--profile]``.

The real path from ``MailPipeline.handle`` to the answer, with a real LMDB index, real metrics and the real log, in one
process; the next hop takes everything at once and the evidence is kept nowhere, so sockets and disk are not in it.
Best of several rounds in CPU time, so that a busy machine disturbs little: the figure to compare between two states of
the code. ``--profile`` prints where the time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import os
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvloop

from adapters.store import open_store
from filters.address import parse_email
from filters.brand import Brand
from filters.classify import TagHeaders
from filters.client import Client
from filters.consent import Change, Consent
from filters.consent_key import ConsentKeys
from filters.decision.policy import Policy
from filters.envelope import Answer, Envelope, EnvelopeRecipient, RecipientOutcome
from filters.exchange import OutgoingMail, UpstreamCapabilities
from filters.mime.footer import make_footer
from filters.mime.settings import RewriteSettings
from filters.reply import Reply
from filters.token import Grant, OptOutLinks, TokenKeys
from filters.vocabulary import Channel, Outcome, RecipientType, Status
from gateway.logs import CanonicalLog, LogSink
from gateway.mail.observer import MailObserver
from gateway.mail.pipeline import MailPipeline
from gateway.mail.route import BrandRoute, MailRoute
from gateway.metrics import WorkerMetrics
from gateway.metrics_folder import use_memory
from gateway.trace import Tracer
from loadtest.marketing_mail import MailTemplate

_BRAND = Brand(
    code=600123,
    iys_code=600123,
    name="Örnek Mağaza",
    title="Örnek Mağaza A.Ş.",
    mersis="0123456789012345",
    contact="iletisim@magaza.example",
    opt_out_url="https://izin.example",
    opt_out_mail_domain="izin.example",
)
_TAKEN = RecipientOutcome(Outcome.RELAYED, Reply(250, "0.0", "Ok"))


class NullUpstream:
    """Takes everything at once."""

    name = "relay"
    capabilities = UpstreamCapabilities(None, True, True, True)

    def relay(self, mail: OutgoingMail, done: Callable[[Sequence[RecipientOutcome]], None]) -> None:
        done([_TAKEN] * len(mail.recipients))


class NullEvidence:
    """Keeps nothing and says it did; counts what it was given."""

    is_writable = True

    def __init__(self) -> None:
        self.bytes = 0

    def append(self, record: bytes, done: Callable[[bool], None]) -> None:
        self.bytes += len(record)
        done(True)


async def measure(options: argparse.Namespace) -> None:
    keys = ConsentKeys(b"k" * 32)
    tokens = TokenKeys({1: b"t" * 32}, 1)
    addresses = [
        parse_email(b"alici%d@musteri.example" % number, allow_utf8=False) for number in range(options.recipients)
    ]
    use_memory()
    with tempfile.TemporaryDirectory() as directory:
        store = open_store(
            f"lmdb:{directory}/store", state_directory=Path(directory) / "state", secret_fingerprint=keys.fingerprint
        )
        await store.start()
        await store.initialise()
        consent = Consent(Status.APPROVED, 1_700_000_000, "HS_WEB")
        changes = [
            Change(keys.derive(_BRAND.code, address.key), Channel.EMAIL, RecipientType.INDIVIDUAL, consent)
            for address in addresses
        ]
        await store.apply(_BRAND.code, changes, watermark_at=int(time.time()))
        log = LogSink(os.open(os.devnull, os.O_WRONLY))
        evidence = NullEvidence()

        def make_links(brand: Brand, address: bytes, kind: RecipientType | None, key: bytes) -> OptOutLinks:
            return tokens.opt_out_links(brand, Grant(brand.code, Channel.EMAIL, kind, address), key)

        observer = MailObserver(WorkerMetrics([_BRAND.code], ["relay"]), CanonicalLog(log), time.time)
        pipeline = MailPipeline(
            routes={"smtp": MailRoute("smtp", NullUpstream())},
            brands={_BRAND.code: BrandRoute(_BRAND, Policy(), make_footer(_BRAND), RewriteSettings())},
            tag_headers=TagHeaders(),
            keys=keys,
            index=store,
            evidence=evidence,
            make_links=make_links,
            tracer=Tracer("kapi.example", "micro"),
            node="micro-0",
            store="lmdb",
            signing_threads=ThreadPoolExecutor(1),
            observe=observer.message_answered,
        )
        client = Client("shop", (_BRAND.code,))
        template = MailTemplate(
            options.size, sender="haber@magaza.example", headers=[f"X-Izin-Class: {options.message_class}"]
        )
        content = b"".join(template.render(b"0" * 16, addresses[0].wire))
        answers: list[Answer] = []
        recipients = [EnvelopeRecipient(address, b"") for address in addresses]

        def send(messages: int) -> float:
            started = time.process_time()
            for _ in range(messages):
                envelope = Envelope(
                    client, "smtp", "session-1", b"haber@magaza.example", b"", False, False, recipients,
                    "127.0.0.1", "shop.example",
                )  # fmt: skip
                # A copy, as each message brings bytes of its own that no cache has seen.
                pipeline.handle(envelope, bytes(bytearray(content)), answers.append)
                if len(answers) != 1 or answers[0].overall.code != 250:
                    raise SystemExit(f"not taken: {answers}")
                answers.clear()
            return (time.process_time() - started) / messages * 1e6

        send(100)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)  # as in a worker
        if options.profile:
            profile = cProfile.Profile()
            profile.runcall(send, options.messages)
            pstats.Stats(profile, stream=sys.stdout).sort_stats(options.sort).print_stats(options.lines)
        else:
            found = sorted(send(options.messages) for _ in range(options.rounds))
            print(
                f"{len(content)} bytes, {options.recipients} recipients: {found[0]:.1f} µs CPU a message "
                f"(median {found[len(found) // 2]:.1f})"
            )
        log.close()
        await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=500, help="in each round")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--recipients", type=int, default=1)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--message-class", choices=("commercial", "informational"), default="commercial")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--sort", default="tottime")
    parser.add_argument("--lines", type=int, default=40)
    uvloop.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()

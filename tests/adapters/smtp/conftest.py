"""What the tests of the upstream share: both event loops, messages, and a certificate authority of their own."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from adapters.smtp import SmtpUpstream
from filters.address import EmailAddress
from filters.envelope import EnvelopeRecipient, RecipientOutcome
from filters.exchange import OutgoingMail

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a scenario on one of the two loops; whatever the loop would only log fails the test."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def run_scenario(scenario: Coroutine[Any, Any, None]) -> None:
        complaints: list[dict[str, Any]] = []
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.get_loop().set_exception_handler(lambda _, context: complaints.append(context))
            runner.run(asyncio.wait_for(scenario, 30))
        assert not complaints

    return run_scenario


@pytest.fixture
def make_mail() -> Callable[..., OutgoingMail]:
    """``make_mail("a", "b")`` goes to a@musteri.example and b@musteri.example."""

    def make(*local_parts: str, content: bytes = b"Subject: x\r\n\r\nmerhaba\r\n", **fields: Any) -> OutgoingMail:
        addresses = [f"{local or 'ok'}@musteri.example".encode() for local in local_parts or ("ok",)]
        recipients = [EnvelopeRecipient(EmailAddress(each, each.lower(), False), b"") for each in addresses]
        values: dict[str, Any] = {"sender": b"haber@magaza.example", "mail_parameters": b"", **fields}
        return OutgoingMail(recipients=recipients, content=content, **values)

    return make


@pytest.fixture
def relay() -> Callable[[SmtpUpstream, OutgoingMail], asyncio.Future[Sequence[RecipientOutcome]]]:
    """``await relay(upstream, mail)``: the outcomes; a second answer to the same message is an error."""

    def relay_one(upstream: SmtpUpstream, mail: OutgoingMail) -> asyncio.Future[Sequence[RecipientOutcome]]:
        answer: asyncio.Future[Sequence[RecipientOutcome]] = asyncio.get_running_loop().create_future()
        upstream.relay(mail, answer.set_result)
        return answer

    return relay_one


class Certificates(NamedTuple):
    """A certificate authority made for this run, and a server's context for localhost and 127.0.0.1."""

    ca_file: Path
    certificate_file: Path
    key_file: Path

    @property
    def server_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate_file, self.key_file)
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Made once: keys cost time."""
    folder = tmp_path_factory.mktemp("certificates")
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    end = begin + datetime.timedelta(days=2)

    def build(subject: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
        )

    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_id = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca = (
        build("test authority", "test authority", ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(ca_id, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
    certificate = (
        build("localhost", "test authority", key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_id), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    made.ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    made.certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made

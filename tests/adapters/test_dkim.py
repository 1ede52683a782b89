"""DKIM signatures, verified by dkimpy's own verifier with the key from a dictionary in place of DNS."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from adapters.dkim import DkimError, DkimSigner, load_dkim_signer
from filters.brand import Brand
from filters.mime.footer import make_footer
from filters.mime.headers import scan_headers
from filters.mime.plan import plan_rewrite
from filters.mime.rewrite_plan import RewritePlan
from filters.mime.settings import RewriteSettings

CONTENT = (
    "From: bulten@magaza.example\r\nTo: alici@example.com\r\nSubject: İndirim\r\n"
    "Date: Mon, 01 Jan 2024 10:00:00 +0300\r\nMessage-ID: <1@magaza.example>\r\n"
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "Büyük indirim  \r\n\r\n"
).encode()
SINGLE = [
    "from",
    "to",
    "subject",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-id",
    "content-type",
    "feedback-id",
]


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, passphrase: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def is_valid(key: rsa.RSAPrivateKey) -> Callable[[bytes], bool]:
    """Says whether the first signature of a message verifies."""
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    records = {b"s1._domainkey.magaza.example.": b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)}

    def verify(content: bytes) -> bool:
        return bool(dkim.verify(content, dnsfunc=lambda name, timeout=5: records.get(name)))

    return verify


@pytest.fixture(scope="module")
def copy() -> bytes:
    """A rewritten message, as it is signed."""
    footer = make_footer(
        Brand(600123, 600123, "Mağaza", "Mağaza A.Ş.", "0123456789012345", opt_out_url="https://izin.example")
    )
    plan = plan_rewrite(
        CONTENT,
        scan_headers(CONTENT),
        footer,
        RewriteSettings(),
        remove=frozenset(),
        has_8bitmime=True,
        is_smtputf8=False,
    )
    assert isinstance(plan, RewritePlan)
    return plan.render("https://izin.example/o/abc", "mailto:a@izin.example", b"")


@pytest.fixture(scope="module")
def signed(key: rsa.RSAPrivateKey, copy: bytes) -> bytes:
    return DkimSigner("magaza.example", "s1", _pem(key)).sign(copy) + copy


def test_a_signed_copy_verifies(signed: bytes, is_valid: Callable[[bytes], bool]) -> None:
    """With the selector and domain it was given."""
    assert is_valid(signed)
    assert signed.startswith(b"DKIM-Signature: ")
    assert max(len(line) for line in signed.split(b"\r\n")) <= 998


def test_both_one_click_fields_are_covered(signed: bytes) -> None:
    """RFC 8058 section 4: both names in h=."""
    field = re.sub(rb"\s+", b"", signed.partition(b"\r\nList-Unsubscribe")[0])
    names = field.partition(b"h=")[2].partition(b";")[0].lower().split(b":")
    for name in (b"list-unsubscribe", b"list-unsubscribe-post", b"list-id", b"content-type", b"mime-version", b"from"):
        assert names.count(name) == 2


@pytest.mark.parametrize("name", SINGLE)
def test_a_second_field_added_later_breaks_the_signature(
    name: str, signed: bytes, is_valid: Callable[[bytes], bool]
) -> None:
    """So nobody can put another address into the opt-out, or another sender over ours."""
    first, rest = signed.split(b"\r\nList-Unsubscribe:", 1)
    assert not is_valid(first + b"\r\n" + name.encode() + b": <https://evil.example/>\r\nList-Unsubscribe:" + rest)


@pytest.mark.parametrize(("old", "new"), [(b"/o/abc", b"/o/abd"), (b"Subject: ", b"Subject: x"), ("ü".encode(), b"u")])
def test_a_change_breaks_the_signature(
    old: bytes, new: bytes, signed: bytes, is_valid: Callable[[bytes], bool]
) -> None:
    """In the opt-out fields, other fields, or the text."""
    assert not is_valid(signed.replace(old, new))


def test_trace_fields_and_refolding_do_not(signed: bytes, is_valid: Callable[[bytes], bool]) -> None:
    """Relaxed canonicalisation: what relays do on the way."""
    later = b"Received: from a by b; Mon, 1 Jan 2024 10:00:00 +0300\r\n" + signed
    assert is_valid(later.replace(b"Subject: ", b"Subject:\r\n  "))


def test_a_message_without_one_from_field_is_not_signed(key: rsa.RSAPrivateKey) -> None:
    """RFC 6376 5.4 wants it signed; of two, nobody knows which is shown."""
    signer = DkimSigner("magaza.example", "s1", _pem(key))
    for content in (CONTENT.replace(b"From:", b"X-From:"), b"From: a@b.example\r\n" + CONTENT, b"", b"\r\n\r\n"):
        with pytest.raises(DkimError):
            signer.sign(content)


def test_keys_that_cannot_sign_are_told_apart(key: rsa.RSAPrivateKey, tmp_path: Path) -> None:
    """Each error says what was expected and names the file; none shows the key."""
    short = _pem(rsa.generate_private_key(65537, 1024))
    cases = {
        "encrypted": (_pem(key, b"secret"), "encrypted"),
        "elliptic": (_pem(ec.generate_private_key(ec.SECP256R1())), "another kind"),
        "garbage": (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "RSA private key in PEM"),
        "empty": (b"", "RSA private key in PEM"),
    }
    for name, (octets, words) in cases.items():
        file = tmp_path / name
        file.write_bytes(octets)
        with pytest.raises(DkimError, match=words) as raised:
            load_dkim_signer("magaza.example", "s1", file)
        assert str(file) in str(raised.value)
    with pytest.raises(DkimError, match="cannot be read"):
        load_dkim_signer("magaza.example", "s1", tmp_path / "missing")
    assert DkimSigner("magaza.example", "s1", short).domain == "magaza.example"


@pytest.mark.parametrize(
    ("domain", "selector", "algorithm"),
    [
        ("Magaza.example", "s1", "rsa-sha256"),
        ("magaza", "s1", "rsa-sha256"),
        ("magaza.example", "s 1", "rsa-sha256"),
        ("magaza.example", "", "rsa-sha256"),
        ("mağaza.example", "s1", "rsa-sha256"),
        ("magaza.example", "s1", "rsa-sha1"),
    ],
)
def test_names_that_could_not_stand_in_a_signature_are_refused(
    domain: str, selector: str, algorithm: str, key: rsa.RSAPrivateKey
) -> None:
    """Before the first message, not at it."""
    with pytest.raises(DkimError):
        DkimSigner(domain, selector, _pem(key), algorithm)

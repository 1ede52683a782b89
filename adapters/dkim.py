"""DKIM signatures after the change (RFC 6376), for sites whose upstream does not sign.

One-click opt-out counts only if a valid signature covers both of its fields (RFC 8058 section 4), so both are always
among the signed. A signature with 2048 bits takes about seven milliseconds of computation: call it in a thread, and let
the upstream sign where it can.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import dkim
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

MIN_KEY_BITS = 1024
"""Below, verifiers must not count a signature (RFC 8301 section 3.2). 2048 is what providers ask for."""

ALGORITHM: Final = "rsa-sha256"

# Signed once more than they occur: a second one, put in on the way, breaks the signature instead of being shown or
# followed (RFC 6376 section 5.4.2).
_OVERSIGNED = (
    "from",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-id",
    "feedback-id",
)
# Signed as often as they occur: a later hop may well add one.
_SIGNED = ("sender", "in-reply-to", "references", "content-disposition", "content-language", "list-help", "list-owner")
_DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+")
_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_-]{1,63})*")


class DkimError(Exception):
    """A key that cannot sign, or a message that cannot be signed. Holds nothing of either."""


class DkimSigner:
    """Signs for one domain with one key; safe to share between threads.

    ``domain``: the ``d=`` tag, lower-case A-labels, aligned with the From domain. ``selector``: the ``s=`` tag.
    ``private_key``: RSA key in PEM (PKCS #1 or #8), not encrypted. Raises ``DkimError`` for anything else.
    """

    def __init__(self, domain: str, selector: str, private_key: bytes, algorithm: str = ALGORITHM) -> None:
        if algorithm != ALGORITHM:
            raise DkimError(f"DKIM algorithm: expected {ALGORITHM}")
        if not _DOMAIN.fullmatch(domain) or len(domain) > 253:
            raise DkimError("DKIM domain: expected a lower-case domain name in A-labels")
        if not _SELECTOR.fullmatch(selector):
            raise DkimError("DKIM selector: expected lower-case letters, digits, hyphens and dots")
        self.domain = domain
        self.selector = selector
        self._key = _read_key(private_key)

    def sign(self, content: bytes) -> bytes:
        """The complete DKIM-Signature field for ``content`` (CRLF throughout), to be put on top of it.

        Raises ``DkimError`` if there is no single From field, without which no signature counts.
        """
        try:
            signer = dkim.DKIM(content)
            present = [name.lower().decode("ascii") for name, _ in signer.headers]
            if present.count("from") != 1:
                raise DkimError("DKIM: expected exactly one From field")
            names = [name for name in (*_OVERSIGNED, *_SIGNED) for _ in range(present.count(name))]
            field = signer.sign(
                self.selector.encode("ascii"),
                self.domain.encode("ascii"),
                self._key,
                canonicalize=(b"relaxed", b"relaxed"),
                include_headers=[*names, *_OVERSIGNED],
            )
        except (dkim.DKIMException, UnicodeDecodeError) as error:
            raise DkimError(f"DKIM: the message cannot be signed ({type(error).__name__})") from None
        return bytes(field)


def load_dkim_signer(domain: str, selector: str, private_key_file: Path) -> DkimSigner:
    """The signer with the key in ``private_key_file``. Raises ``DkimError`` with the file's name in it."""
    try:
        return DkimSigner(domain, selector, private_key_file.read_bytes())
    except OSError as error:
        raise DkimError(f"DKIM key {private_key_file}: cannot be read ({error.strerror})") from None
    except DkimError as error:
        raise DkimError(f"DKIM key {private_key_file}: {error}") from None


def _read_key(private_key: bytes) -> bytes:
    """The key in the one form that dkimpy reads without doubt: PKCS #1 in PEM."""
    try:
        key = serialization.load_pem_private_key(private_key, password=None)
    except TypeError:
        raise DkimError("expected a key without a passphrase, found an encrypted one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise DkimError("expected an RSA private key in PEM") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise DkimError("expected an RSA private key, found another kind")
    if key.key_size < MIN_KEY_BITS:
        raise DkimError(f"expected an RSA key of at least {MIN_KEY_BITS} bits, found {key.key_size}")
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )

"""The Ed25519 keys behind signed heads: one private key per installation, and every public key it ever had."""

from __future__ import annotations

import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from adapters.evidence.errors import SigningKeyError
from adapters.evidence.files import make_directory, sync_directory


def identify_key(key: Ed25519PublicKey) -> str:
    """The key id in heads: the first 16 hex digits of SHA-256 over the raw public key."""
    return sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


class Signer:
    """Signs heads."""

    __slots__ = ("_private", "key_id")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.key_id = identify_key(private.public_key())

    def sign(self, statement: bytes) -> str:
        """The signature, hex."""
        return self._private.sign(statement).hex()

    @property
    def public_key(self) -> Ed25519PublicKey:
        return self._private.public_key()

    def public_pem(self) -> str:
        return self.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def load_signer(path: Path) -> Signer:
    """Raises ``SigningKeyError`` if ``path`` holds no Ed25519 private key (PEM)."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise SigningKeyError(f"evidence signing key: cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise SigningKeyError(f"evidence signing key: {path} holds no unencrypted private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyError(f"evidence signing key: expected an Ed25519 key in {path}")
    return Signer(key)


def load_or_create_signer(path: Path) -> Signer:
    """The key in ``path``; made on the first start. Safe when several workers start at once: the first one wins."""
    if path.exists():
        return load_signer(path)
    make_directory(path.parent)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, pem)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(temporary, path)  # unlike a rename, never replaces a key that another process made meanwhile
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    sync_directory(path.parent)
    return load_signer(path)


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Raises ``SigningKeyError`` if ``path`` holds no Ed25519 public key (PEM)."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SigningKeyError(f"evidence public key: cannot use {path}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SigningKeyError(f"evidence public key: expected an Ed25519 key in {path}")
    return key


class TrustedKeys:
    """The public keys whose heads count; ``has_signed`` is what the checks ask."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Iterable[Ed25519PublicKey]) -> None:
        self._keys = {identify_key(key): key for key in keys}

    def has_signed(self, key_id: str, statement: bytes, signature: bytes) -> bool:
        key = self._keys.get(key_id)
        if key is None:
            return False
        try:
            key.verify(signature, statement)
        except InvalidSignature:
            return False
        return True

    def pems(self) -> dict[str, str]:
        """Key id → public key in PEM."""
        return {
            key_id: key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
            for key_id, key in self._keys.items()
        }


def load_trusted_keys(private_key: Path) -> TrustedKeys:
    """The installation's own key, and those it had before: ``evidence-trusted/*.pem`` (public keys) beside it.

    Beside the private key and not beside the evidence: whoever can change the evidence must not choose what it is
    checked by.
    """
    former = sorted((private_key.parent / "evidence-trusted").glob("*.pem"))
    return TrustedKeys([load_signer(private_key).public_key, *map(load_public_key, former)])

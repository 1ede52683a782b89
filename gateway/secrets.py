"""The installation's own secrets: read from where the configuration says, made at the first start, never shown.

Formats: ``index.key`` holds 64 hexadecimal digits; ``token.keys`` and ``outbox.keys`` have one key on each line, its id
(0 to 255), a space and 64 hexadecimal digits (empty lines and lines that start with # do not count); ``evidence.pem``
is an Ed25519 private key in PKCS#8. What the environment gives has the same form as the file.

A file is created only at its default place and only where none is: a path somebody wrote down and that leads nowhere
is a mistake, and filling it in would silently start an installation that cannot read its own past.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from gateway.configuration.problems import ConfigurationError, Problem, render_path
from gateway.configuration.secret_sources import describe_os_error, is_open_to_others, open_to_others
from gateway.configuration.settings import Configuration, SecretSource, SecretsSettings
from gateway.configuration.validate import Finding
from gateway.configuration.values import Secret

_T = TypeVar("_T")

KEY_BYTES = 32
MOST_KEY_ID = 255
_MOST_FILE_BYTES = 64 * 1024
_FIRST_KEY_ID = 1


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys by id; ``current`` makes new tokens or seals, all of them read old ones."""

    keys: Mapping[int, Secret]
    current: int

    def reveal(self) -> dict[int, bytes]:
        return {key_id: key.reveal() for key_id, key in self.keys.items()}


@dataclass(frozen=True, slots=True)
class InstallationSecrets:
    """What ``ConsentKeys``, ``TokenKeys``, ``ReportSeal`` and the evidence signer are made from. Picklable."""

    index_secret: Secret
    token_keys: KeyRing
    outbox_keys: KeyRing
    evidence_key_file: Path


class NotBegunError(ValueError):
    """There is nothing to look at yet: the secrets are made by the first command that keeps something."""

    def __init__(self, missing: Sequence[Path]) -> None:
        super().__init__(
            f"nothing was kept here yet: this installation has no secrets (expected at {missing[0]}). "
            "Run `izinkapi serve -c FILE` or `izinkapi consents import -c FILE …` first; where the gateway has run "
            "before, this configuration looks in another place than it did"
        )


@dataclass(frozen=True, slots=True)
class ReadSecrets:
    """``secrets`` is None where something is missing or wrong; ``missing`` are files that the first start will make."""

    secrets: InstallationSecrets | None
    findings: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    missing: tuple[Path, ...]


def load_or_create_secrets(configuration: Configuration) -> InstallationSecrets:
    """The secrets, made where the configuration leaves that to us. Call it once, before workers start.

    Raises ``ConfigurationError`` with all that is wrong with them, and ``OSError`` where a new one cannot be kept.
    """
    settings = configuration.secrets
    for source, make in (
        (settings.index_secret, _make_key),
        (settings.token_keys, _make_key_file),
        (settings.outbox_keys, _make_key_file),
        (settings.evidence_key, _make_evidence_key),
    ):
        if source.value is None and source.may_be_created and not source.path.exists():
            create_private_file(source.path, make())
    return load_secrets(configuration)


def load_secrets(configuration: Configuration) -> InstallationSecrets:
    """The secrets as they are; for commands that only look, which must not begin an installation.

    Raises ``ConfigurationError`` with all that is wrong with them, and ``NotBegunError`` if none was made yet.
    """
    read = read_secrets(configuration.secrets)
    if read.secrets is None:
        if not read.findings:
            raise NotBegunError(read.missing)
        raise ConfigurationError(
            [
                Problem(str(configuration.file), 0, render_path(item.path), item.expected, item.found, hint=item.hint)
                for item in read.findings
            ]
        )
    return read.secrets


def read_secrets(settings: SecretsSettings) -> ReadSecrets:
    """What is there; creates nothing."""
    reader = _Reader()
    index = reader.read("index_secret", settings.index_secret, _parse_key)
    tokens = reader.read("token_keys", settings.token_keys, _parse_key_file)
    outbox = reader.read("outbox_keys", settings.outbox_keys, _parse_key_file)
    evidence = reader.read("evidence_key", settings.evidence_key, _parse_evidence_key)
    token_ring = reader.choose("current_token_key", tokens, settings.current_token_key)
    outbox_ring = reader.choose("current_outbox_key", outbox, settings.current_outbox_key)
    complete = None
    if index is not None and token_ring is not None and outbox_ring is not None and evidence is not None:
        complete = InstallationSecrets(index, token_ring, outbox_ring, settings.evidence_key.path)
    return ReadSecrets(complete, tuple(reader.findings), tuple(reader.warnings), tuple(reader.missing))


def create_private_file(path: Path, content: bytes) -> None:
    """Create ``path`` with ``content``, durable and readable by its owner only; one that is there already stays.

    The content is complete before the name exists: a reader at the same moment sees all of it or no file.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class _UnfitError(ValueError):
    """(expected, found): what a secret should look like and what is wrong with it, without any of its text."""


class _Reader:
    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.warnings: list[Finding] = []
        self.missing: list[Path] = []

    def read(self, name: str, source: SecretSource, parse: Callable[[bytes], _T]) -> _T | None:
        path = ("secrets", name if source.value is not None or source.may_be_created else f"{name}_file")
        content = source.value.reveal() if source.value is not None else self._read_file(path, source)
        if content is None:
            return None
        try:
            return parse(content)
        except _UnfitError as unfit:
            expected, found = unfit.args
            place = "the environment" if source.value is not None else f'"{source.path}"'
            self.findings.append(Finding(path, f"{expected} in {place}", found))
            return None

    def choose(self, name: str, keys: Mapping[int, Secret] | None, current: int | None) -> KeyRing | None:
        if keys is None:
            return None
        if current is not None and current not in keys:
            known = ", ".join(str(key_id) for key_id in sorted(keys))
            self.findings.append(
                Finding(("secrets", name), "the id of one of the keys", str(current), hint=f"known: {known}")
            )
            return None
        return KeyRing(keys, max(keys) if current is None else current)

    def _read_file(self, path: tuple[str, str], source: SecretSource) -> bytes | None:
        try:
            with source.path.open("rb") as stream:
                content = stream.read(_MOST_FILE_BYTES)
        except FileNotFoundError as error:
            if source.may_be_created:
                self.missing.append(source.path)
            else:
                self._report(path, source, error)
            return None
        except OSError as error:
            self._report(path, source, error)
            return None
        if is_open_to_others(source.path):
            self.warnings.append(open_to_others(path, source.path))
        return content

    def _report(self, path: tuple[str, str], source: SecretSource, error: OSError) -> None:
        self.findings.append(
            Finding(path, "a file that can be read", f'"{source.path}"', hint=describe_os_error(error))
        )


def _parse_key(content: bytes) -> Secret:
    try:
        key = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        raise _UnfitError(f"{2 * KEY_BYTES} hexadecimal digits", "something else") from None
    if len(key) != KEY_BYTES:
        raise _UnfitError(f"{2 * KEY_BYTES} hexadecimal digits", f"{2 * len(key)}")
    return Secret(key)


def _parse_key_file(content: bytes) -> dict[int, Secret]:
    keys: dict[int, Secret] = {}
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(b"#"):
            continue
        key_id, _, key = line.strip().partition(b" ")
        if not key_id.isdigit() or len(key_id) > 3 or int(key_id) > MOST_KEY_ID:
            raise _UnfitError(f"an id from 0 to {MOST_KEY_ID} and a key on each line", f"another line {number}")
        if int(key_id) in keys:
            raise _UnfitError("each key id once", f"{int(key_id)} again in line {number}")
        try:
            keys[int(key_id)] = _parse_key(key)
        except _UnfitError as unfit:
            raise _UnfitError(f"{unfit.args[0]} after each id", f"{unfit.args[1]} in line {number}") from None
    if not keys:
        raise _UnfitError("at least one line with id and key", "none")
    return keys


def _parse_evidence_key(content: bytes) -> Ed25519PrivateKey:
    expected = "an Ed25519 private key (PEM, without a passphrase)"
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _UnfitError(expected, "something else") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _UnfitError(expected, "a key of another kind")
    return key


def _make_key() -> bytes:
    return secrets.token_hex(KEY_BYTES).encode() + b"\n"


def _make_key_file() -> bytes:
    return b"%d %s" % (_FIRST_KEY_ID, _make_key())


def _make_evidence_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

"""Reads the secrets that a configuration names: from environment variables, and from first lines of files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath, PurePosixPath
from typing import NamedTuple

from filters.drop_report import MIN_SECRET_BYTES
from gateway.configuration import problems
from gateway.configuration.document import Document
from gateway.configuration.kinds import parse_password_hash
from gateway.configuration.validate import Finding
from gateway.configuration.values import Secret

MOST_SECRET_BYTES = 64 * 1024
"""A file larger than this is not a secret but a mistake."""


_MAX_SMPP_PASSWORD = 8
_PATH_END = re.compile(rb"[A-Za-z0-9_-]{16,128}")


class SecretReference(NamedTuple):
    """A secret named in the file, at ``path`` by ``env:NAME`` and at ``path`` + ``_file`` by a file; neither: not
    set."""

    path: problems.Path
    variable: str | None
    file: PurePosixPath | None

    @property
    def place(self) -> problems.Path:
        """The setting that names it."""
        return self.path if self.variable is not None else (*self.path[:-1], f"{self.path[-1]}_file")


class SecretSources:
    """One reading. ``values`` are keyed by the path of the setting without ``_file``."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.values: dict[problems.Path, Secret] = {}
        self.findings: list[Finding] = []
        self.warnings: list[Finding] = []
        self._folder = folder
        self._environment = environment

    def read(self, document: Document) -> None:
        """Every secret of ``document``. Those of the registry may be missing: mail is decided from the store alone."""
        for reference in _find_references(document):
            self._read(reference, self.findings)
        if (registry := document.registry) is not None:
            path: problems.Path = ("registry", "password")
            place: problems.Path
            self._read(SecretReference(path, registry.password, registry.password_file), self.warnings)
            for n, account in enumerate(registry.accounts):
                place = ("registry", "accounts", n, "password")
                self._read(SecretReference(place, account.password, account.password_file), self.warnings)
            if registry.push is not None:
                # Not to be done without: a receiver without a password would take refusals back for anybody.
                place = ("registry", "push", "password")
                self._read(SecretReference(place, registry.push.password, registry.push.password_file), self.findings)
        for n, client in enumerate(document.clients):
            self._read_password_hash(n, client.password_hash, client.password_hash_file)
        for n, provider in enumerate(document.upstreams.sms):
            self._check_path_end(n, provider.inbound_secret, provider.inbound_secret_file)
        for n, client in enumerate(document.clients):
            self._check_report_secret(n, client.report_secret, client.report_secret_file)
        for n, smsc in enumerate(document.upstreams.smpp):
            self._check_smpp_password(n, smsc.password, smsc.password_file)
        secrets = document.secrets
        for name, variable, file in (
            ("index_secret", secrets.index_secret, secrets.index_secret_file),
            ("token_keys", secrets.token_keys, secrets.token_keys_file),
            ("outbox_keys", secrets.outbox_keys, secrets.outbox_keys_file),
            ("evidence_key", None, secrets.evidence_key_file),
        ):
            if variable is not None:
                self._read(SecretReference(("secrets", name), variable, None), self.findings)
            elif file is not None and not (self._folder / file).is_file():
                # Creating it there would hide a wrong path, and links already sent would stop working.
                self.findings.append(_unreadable(("secrets", f"{name}_file"), file, "there is no such file"))

    def _check_smpp_password(self, number: int, variable: str | None, file: PurePosixPath | None) -> None:
        """The field in the bind has eight octets and ends with NUL (SMPP 3.4, 4.1.1)."""
        reference = SecretReference(("upstreams", "smpp", number, "password"), variable, file)
        secret = self.values.get(reference.path)
        if secret is not None and (len(secret.reveal()) > _MAX_SMPP_PASSWORD or 0 in secret.reveal()):
            self.findings.append(
                Finding(reference.place, f"a password of at most {_MAX_SMPP_PASSWORD} characters", "a longer one")
            )

    def _read_password_hash(self, number: int, value: str | None, file: PurePosixPath | None) -> None:
        path = ("clients", number, "password_hash")
        if value is not None and not value.startswith("env:"):
            self.values[path] = Secret(value.encode())
            return
        reference = SecretReference(path, value, file)
        self._read(reference, self.findings)
        if (secret := self.values.get(path)) is not None:
            try:
                parse_password_hash(secret.reveal_text())
            except ValueError as error:
                self.findings.append(
                    Finding(reference.place, "an Argon2 hash there", "something else", hint=str(error))
                )

    def _check_report_secret(self, number: int, value: str | None, file: PurePosixPath | None) -> None:
        path = ("clients", number, "report_secret")
        secret = self.values.get(path)
        if secret is not None and len(secret.reveal()) < MIN_SECRET_BYTES:
            place = SecretReference(path, value, file).place
            self.findings.append(Finding(place, f"at least {MIN_SECRET_BYTES} bytes there", "fewer"))

    def _check_path_end(self, number: int, value: str | None, file: PurePosixPath | None) -> None:
        path = ("upstreams", "sms", number, "inbound_secret")
        secret = self.values.get(path)
        if secret is not None and _PATH_END.fullmatch(secret.reveal()) is None:
            place = SecretReference(path, value, file).place
            self.findings.append(
                Finding(place, "16 to 128 letters, digits, - and _ there", "something else", hint="it ends a path")
            )

    def _read(self, reference: SecretReference, findings: list[Finding]) -> None:
        if reference.variable is not None:
            self._read_environment(reference, reference.variable.removeprefix("env:"), findings)
        elif reference.file is not None:
            self._read_file(reference, reference.file, findings)

    def _read_environment(self, reference: SecretReference, name: str, findings: list[Finding]) -> None:
        value = self._environment.get(name)
        if not value:
            found = "no such variable" if value is None else "an empty one"
            findings.append(Finding(reference.place, f"a value in the environment variable {name}", found))
            return
        try:
            self.values[reference.path] = Secret(value.encode())
        except UnicodeEncodeError:
            findings.append(Finding(reference.place, f"UTF-8 in the environment variable {name}", "other bytes"))

    def _read_file(self, reference: SecretReference, file: PurePosixPath, findings: list[Finding]) -> None:
        """The first line of the file, without its end."""
        expected = "a secret in the first line of the file"
        try:
            with (self._folder / file).open("rb") as stream:
                first_line = stream.readline(MOST_SECRET_BYTES + 1).rstrip(b"\r\n")
            first_line.decode()
        except OSError as error:
            findings.append(_unreadable(reference.place, file, describe_os_error(error)))
        except UnicodeDecodeError:
            findings.append(Finding(reference.place, expected, "bytes that are not UTF-8"))
        else:
            if not first_line:
                findings.append(Finding(reference.place, expected, "an empty line"))
            elif len(first_line) > MOST_SECRET_BYTES:
                findings.append(Finding(reference.place, expected, f"more than {MOST_SECRET_BYTES} bytes"))
            else:
                self.values[reference.path] = Secret(first_line)
                if is_open_to_others(self._folder / file):
                    self.warnings.append(open_to_others(reference.place, file))


def is_open_to_others(path: Path) -> bool:
    """Whether the group or everybody may read or write the file."""
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def open_to_others(path: problems.Path, file: PurePath) -> Finding:
    return Finding(path, "a file that only its owner can read", f'"{file}" open to others', hint="chmod 600")


def describe_os_error(error: OSError) -> str:
    """Why a file could not be used, without its name."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return "it may not be read"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    return (error.strerror or type(error).__name__).lower()


def _find_references(document: Document) -> Iterator[SecretReference]:
    yield SecretReference(("store", "password"), document.store.password, document.store.password_file)
    for n, upstream in enumerate(document.upstreams.smtp):
        yield SecretReference(("upstreams", "smtp", n, "password"), upstream.password, upstream.password_file)
    for n, smsc in enumerate(document.upstreams.smpp):
        yield SecretReference(("upstreams", "smpp", n, "password"), smsc.password, smsc.password_file)
    for n, client in enumerate(document.clients):
        yield SecretReference(("clients", n, "report_secret"), client.report_secret, client.report_secret_file)
    for n, provider in enumerate(document.upstreams.sms):
        path: problems.Path = ("upstreams", "sms", n)
        for name in ("password", "inbound_secret", "inbound_signing_secret"):
            yield SecretReference((*path, name), getattr(provider, name), getattr(provider, f"{name}_file"))


def _unreadable(path: problems.Path, file: PurePosixPath, reason: str) -> Finding:
    return Finding(path, "a file that can be read", f'"{file}"', hint=reason)

"""What only the machine can tell: whether files that are named can be used, and folders written to.

Opens files, never the network. What is found here would otherwise be found by the first message.
"""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from filters.business_days import HolidayDataError
from gateway.configuration import problems
from gateway.configuration.secret_sources import describe_os_error, is_open_to_others, open_to_others
from gateway.configuration.settings import Certificate, Configuration
from gateway.configuration.validate import Finding
from gateway.holidays import load_holidays
from gateway.opt_out.logo import LogoError, load_logo
from gateway.secrets import read_secrets

_EXPIRY_NOTICE = datetime.timedelta(days=14)
_LEAST_RSA_BITS = 1024
_GOOD_RSA_BITS = 2048


class FileChecks:
    """One look at everything that ``configuration`` names on this machine."""

    def __init__(self, configuration: Configuration, now: datetime.datetime) -> None:
        self.findings: list[Finding] = []
        self.warnings: list[Finding] = []
        self._configuration = configuration
        self._now = now

    def run(self) -> None:
        configuration = self._configuration
        for group, certificates in (
            ("smtp", [listener.certificate for listener in configuration.smtp_listeners]),
            ("http", [listener.certificate for listener in configuration.http_listeners]),
            ("opt_out_mail", [listener.certificate for listener in configuration.opt_out_mail_listeners]),
        ):
            for n, certificate in enumerate(certificates):
                if certificate is not None:
                    self._check_certificate(("listeners", group, n), certificate)
        for n, listener in enumerate(configuration.smpp_listeners):
            if listener.certificate_file is not None and listener.private_key_file is not None:
                files = Certificate(listener.certificate_file, listener.private_key_file)
                self._check_certificate(("listeners", "smpp", n), files)
        for n, smsc in enumerate(configuration.smpp_upstreams):
            if smsc.ca_file is not None:
                self._read_certificates(("upstreams", "smpp", n, "ca_file"), smsc.ca_file)
        for n, upstream in enumerate(configuration.smtp_upstreams):
            if upstream.ca_file is not None:
                self._read_certificates(("upstreams", "smtp", n, "ca_file"), upstream.ca_file)
        if (registry := configuration.registry) is not None:
            if registry.ca_file is not None:
                self._read_certificates(("registry", "ca_file"), registry.ca_file)
            if registry.push is not None and registry.push.certificate is not None:
                self._check_certificate(("registry", "push"), registry.push.certificate)
        if configuration.store.ca_file is not None:
            self._read_certificates(("store", "ca_file"), configuration.store.ca_file)
        for n, brand in enumerate(configuration.brands):
            if brand.dkim is not None:
                self._check_dkim_key(("brands", n, "dkim", "private_key_file"), brand.dkim.private_key_file)
            if brand.brand.logo_path:
                self._check_logo(("brands", n, "logo_file"), Path(brand.brand.logo_path))
        self._check_holidays()
        self._check_folders()
        secrets = read_secrets(configuration.secrets)
        self.findings += secrets.findings
        self.warnings += secrets.warnings

    # -- TLS and DKIM ---------------------------------------------------------------------------------------------

    def _check_certificate(self, path: problems.Path, files: Certificate) -> None:
        chain = self._read_certificates((*path, "certificate_file"), files.certificate_file)
        key = self._read_private_key((*path, "private_key_file"), files.private_key_file)
        if not chain:
            return
        if key is not None and _public_bytes(chain[0]) != _public_bytes(key):
            self._find(
                (*path, "private_key_file"),
                "the private key of the first certificate in certificate_file",
                "another key",
            )
        until = chain[0].not_valid_after_utc
        if until < self._now + _EXPIRY_NOTICE:
            ended = "ended" if until < self._now else "ends"
            self._warn(
                (*path, "certificate_file"), "a certificate that stays valid", f"one that {ended} {until:%Y-%m-%d}"
            )

    def _check_dkim_key(self, path: problems.Path, file: Path) -> None:
        key = self._read_private_key(path, file)
        if key is None:
            return
        if not isinstance(key, RSAPrivateKey):
            # Ed25519 signatures (RFC 8463) are not checked by the large mailbox providers.
            self._find(path, "an RSA private key", "a key of another kind")
        elif key.key_size < _LEAST_RSA_BITS:
            # RFC 8301, 3.2: verifiers must not accept less.
            self._find(path, f"an RSA key of at least {_LEAST_RSA_BITS} bits", f"{key.key_size} bits")
        elif key.key_size < _GOOD_RSA_BITS:
            self._warn(path, f"an RSA key of {_GOOD_RSA_BITS} bits or more (RFC 8301, 3.2)", f"{key.key_size} bits")

    def _read_certificates(self, path: problems.Path, file: Path) -> list[x509.Certificate]:
        content = self._read(path, file)
        if content is None:
            return []
        try:
            return x509.load_pem_x509_certificates(content)
        except ValueError:
            self._find(path, "certificates in PEM", f'"{file}" without any that can be read')
            return []

    def _read_private_key(self, path: problems.Path, file: Path) -> PrivateKeyTypes | None:
        content = self._read(path, file)
        if content is None:
            return None
        if is_open_to_others(file):
            self.warnings.append(open_to_others(path, file))
        try:
            return load_pem_private_key(content, password=None)
        except TypeError:
            self._find(path, "a private key without a passphrase", f'"{file}" with one')
        except (ValueError, UnsupportedAlgorithm):
            self._find(path, "a private key in PEM", f'"{file}" without one that can be read')
        return None

    # -- other files ----------------------------------------------------------------------------------------------

    def _check_logo(self, path: problems.Path, file: Path) -> None:
        try:
            load_logo(file)
        except LogoError as error:
            reason = str(error).removeprefix(f"logo {file}: ")
            self._find(path, "a picture that can be served", f'"{file}"', reason)

    def _check_holidays(self) -> None:
        calendar = self._configuration.calendar
        path = ("calendar", "holidays_file")
        try:
            load_holidays(calendar.holidays_file, half_days_count=calendar.half_days_count)
        except OSError as error:
            self._find(path, "a file that can be read", f'"{calendar.holidays_file}"', describe_os_error(error))
        except HolidayDataError as error:
            reason = str(error).removeprefix(f"{calendar.holidays_file}: ")
            self._find(
                path, "holidays as in the file that comes with the program", f'"{calendar.holidays_file}"', reason
            )

    def _check_folders(self) -> None:
        configuration = self._configuration
        store = configuration.store
        if store.path is not None:
            self._check_folder(("store", "url"), store.path)
        self._check_folder(("store", "state_directory"), store.state_directory)
        self._check_folder(("evidence", "directory"), configuration.evidence.directory)
        self._check_folder(("secrets", "directory"), configuration.secrets.directory)

    def _check_folder(self, path: problems.Path, folder: Path) -> None:
        """It is there and can be written to, or can be made: the nearest folder above it can be written to."""
        expected = "a folder that can be written to, or made"
        nearest = folder
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        if not nearest.is_dir():
            self._find(path, expected, f'"{folder}"', f'"{nearest}" is a file')
        elif not os.access(nearest, os.W_OK | os.X_OK):
            self._find(path, expected, f'"{folder}"', f'"{nearest}" may not be written to')

    def _read(self, path: problems.Path, file: Path) -> bytes | None:
        try:
            return file.read_bytes()
        except OSError as error:
            self._find(path, "a file that can be read", f'"{file}"', describe_os_error(error))
            return None

    def _find(self, path: problems.Path, expected: str, found: str, hint: str = "") -> None:
        self.findings.append(Finding(path, expected, found, hint=hint))

    def _warn(self, path: problems.Path, expected: str, found: str, hint: str = "") -> None:
        self.warnings.append(Finding(path, expected, found, hint=hint))


def _public_bytes(holder: x509.Certificate | PrivateKeyTypes) -> bytes:
    return holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

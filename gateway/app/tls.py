"""TLS as the configuration says it, towards servers and towards clients."""

from __future__ import annotations

import ssl
from pathlib import Path

from gateway.configuration.settings import Certificate


def client_tls(ca_file: Path | None, *, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def server_tls(certificate: Certificate | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate.certificate_file, certificate.private_key_file)
    return context

"""Configurations to start from, and certificates to name in them."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

SMALLEST = """\
[store]
url = "lmdb:var/store"            # or redis://…, rediss://…, redis+sentinel://…, redis+cluster://…

[[brands]]
code = 600123                     # İYS brandCode
iys_code = 600123
name = "Örnek Mağaza"
title = "Örnek Mağaza A.Ş."
mersis = "0123456789012345"
opt_out_url = "https://izin.example"        # public base of the opt-out pages
sms_opt_out = { keyword = "RET ORNEK", number = "3338" }

[[clients]]
name = "shop"
brands = [600123]
networks = ["127.0.0.1/32"]       # and/or username + password_hash
default_class = "commercial"

[[upstreams.smtp]]
name = "relay"
address = "127.0.0.1:2526"
tls = "none"                      # none | starttls | tls; anything but none verifies

[[listeners.smtp]]
address = "127.0.0.1:2525"
upstream = "relay"

[[upstreams.sms]]
name = "netgsm"
dialect = "netgsm"
base_url = "http://127.0.0.1:8081"

[[listeners.http]]
address = "127.0.0.1:8025"        # SMS dialects, opt-out pages
sms = ["netgsm"]

[admin]
address = "127.0.0.1:9025"        # /metrics /health /ready /status and the console

[registry]
base_url = "http://127.0.0.1:8090"
username = "…"
password_file = "…"
"""


def make_certificate(key: CertificateIssuerPrivateKeyTypes, until: datetime.datetime) -> str:
    """A certificate of gate.example.net for ``key`` that ends at ``until``, PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gate.example.net")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(until - datetime.timedelta(days=365))
        .not_valid_after(until)
        .sign(key, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


def make_private_key() -> tuple[ec.EllipticCurvePrivateKey, str]:
    """A fresh key, and the same in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

"""Whether two dialects have a path in common, so that a request could belong to either."""

from __future__ import annotations

from filters.sms.dialect import CallKind
from filters.sms.dialects.registry import make_family
from filters.sms.http import HttpRequest

_PROBES: tuple[tuple[str, str], ...] = (
    ("POST", "/sms/rest/v2/send"),
    ("POST", "/sms/rest/v2/report"),
    ("POST", "/sms/rest/v2/otp"),
    ("GET", "/sms/send/get/"),
    ("POST", "/sms/send/xml"),
    ("GET", "/sms/report/"),
    ("POST", "/v1/send-sms/json"),
    ("POST", "/v1/send-sms"),
    ("GET", "/v1/send-sms/get/"),
    ("POST", "/v2/send.json"),
    ("GET", "/v2/status"),
    ("POST", "/smsgw-ws/sndblkex"),
    ("POST", "/api/SendSms"),
    ("POST", "/SMS-Web8/xmlsms"),
    ("POST", "/api/v1/1toN"),
    ("POST", "/integration/v2/sms/send/oton"),
    ("POST", "/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json"),
    ("POST", "/sms/json"),
    ("POST", "/v1/messages"),
    ("GET", "/v1/messages/izin-1"),
    ("POST", "/sms/3/messages"),
    ("GET", "/sms/3/reports"),
    ("POST", "/balance"),
    ("GET", "/account/get-balance"),
)
"""A call of each dialect at least; a test holds that every dialect of the registry knows one of them."""


def known_probes(name: str) -> list[tuple[str, str]]:
    """The probes that dialect ``name`` takes. What it refuses it may leave to another dialect."""
    calls = [(probe, dialect.recognise(HttpRequest(*probe))) for probe in _PROBES for dialect in make_family(name)]
    return [probe for probe, call in calls if call is not None and call.kind is not CallKind.REFUSED]


def find_collision(one: str, other: str) -> str | None:
    """A path that both dialects know, or None."""
    if one == other:
        return known_probes(one)[0][1]
    shared = set(known_probes(one)) & set(known_probes(other))
    return min(path for _, path in shared) if shared else None

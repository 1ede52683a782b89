"""Netgsm's older calls in the simulated provider: GET and XML, answered in text."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from aiohttp import web

from loadtest.providers.simulator import RefusedError

if TYPE_CHECKING:
    from loadtest.providers.netgsm import NetgsmSimulator


def legacy_routes(simulator: NetgsmSimulator) -> list[web.RouteDef]:
    """The older calls, with and without their final slash."""
    calls = _LegacyCalls(simulator)
    return [
        *(web.get(f"/sms/send/get{end}", calls.send_get) for end in ("", "/")),
        *(web.post(f"/sms/send/xml{end}", calls.send_xml) for end in ("", "/")),
        *(web.post(f"/sms/send/otp{end}", calls.send_otp) for end in ("", "/")),
        *(web.get(f"/sms/report{end}", calls.report) for end in ("", "/")),
    ]


def legacy_refusal(request: web.Request, code: str) -> web.Response:
    """The bare code; in XML where a one-time password was asked for."""
    if request.path.startswith("/sms/send/otp"):
        return web.Response(text=f"<xml><main><code>{code}</code></main></xml>", content_type="text/xml")
    return web.Response(text=code)


class _LegacyCalls:
    def __init__(self, simulator: NetgsmSimulator) -> None:
        self._netgsm = simulator

    async def send_get(self, request: web.Request) -> web.Response:
        asked = request.query
        numbers = [number for number in asked.get("gsmno", "").split(",") if number.strip()]
        return self._take(
            asked.get("usercode", ""),
            asked.get("password", ""),
            title=asked.get("msgheader", ""),
            pairs=[(asked.get("message", ""), number.strip()) for number in numbers],
            tag=asked.get("filter", asked.get("izin", "")),
            start=asked.get("startdate", ""),
            stop=asked.get("stopdate", ""),
        )

    async def send_xml(self, request: web.Request) -> web.Response:
        head, pairs = _read_xml(await request.read())
        return self._take(
            head.get("usercode", ""),
            head.get("password", ""),
            title=head.get("msgheader", ""),
            pairs=pairs,
            tag=head.get("filter", ""),
            start=head.get("startdate", ""),
            stop=head.get("stopdate", ""),
        )

    async def send_otp(self, request: web.Request) -> web.Response:
        head, pairs = _read_xml(await request.read())
        if len(pairs) != 1:
            raise RefusedError("70")
        _, job = self._netgsm.take(
            head.get("usercode", ""),
            head.get("password", ""),
            title=head.get("msgheader", ""),
            pairs=pairs,
            tag="",
            reference="otp",
        )
        return web.Response(
            text=f"<xml><main><code>0</code><jobID>{job}</jobID></main></xml>", content_type="text/xml", charset="utf-8"
        )

    async def report(self, request: web.Request) -> web.Response:
        asked = request.query
        self._netgsm.account(asked.get("usercode", ""), asked.get("password", ""))
        jobs = asked.get("bulkid", "").split(",")
        lines = [
            f"{message.number} {status}<br>"
            for message in self._netgsm.sent
            if message.job in jobs
            and message.account == asked.get("usercode")
            and asked.get("status", "100") in ("100", status := str(self._netgsm.status_of(message)))
        ]
        return web.Response(text="".join(lines) or "60", content_type="text/html")

    def _take(
        self,
        user: str,
        password: str,
        *,
        title: str,
        pairs: list[tuple[str, str]],
        tag: str,
        start: str,
        stop: str,
    ) -> web.Response:
        code, job = self._netgsm.take(user, password, title=title, pairs=pairs, tag=tag, start=start, stop=stop)
        return web.Response(text=f"{code} {job}")


def _read_xml(body: bytes) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The header's fields, and (text, number) pairs."""
    if b"<!DOCTYPE" in body:
        raise RefusedError("70")
    try:
        root = ET.fromstring(body)
    except ET.ParseError:
        raise RefusedError("70") from None
    head = {child.tag: (child.text or "").strip() for child in root.find("header") or ()}
    inner = root.find("body")
    if inner is None:
        raise RefusedError("70")
    if head.get("type", "1:n") == "n:n":
        return head, [(pair.findtext("msg", ""), pair.findtext("no", "").strip()) for pair in inner.findall("mp")]
    return head, [(inner.findtext("msg", ""), (number.text or "").strip()) for number in inner.findall("no")]

"""The SMS half of ``izinkapi demo``: a provider's own requests through the gateway, and what became of each number."""

from __future__ import annotations

import base64
import json
import urllib.request
from typing import Any, NamedTuple

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from loadtest.sample_sms import KEYWORD, NUMBER, PASSWORD, USERNAME, SampleSms, sms_samples

_TIMEOUT_S = 10
_RIPE_S = 60
"""So much time passes at the simulated provider until its reports are asked: nothing is under way any more."""

_STATUS = {0: "under way", 1: "delivered", 15: "blocked", 16: "refused by İYS"}
"""Netgsm's words for the status of a number in a report."""


class SmsFate(NamedTuple):
    """What became of one request: the answer, the texts that reached the provider, and its report by number."""

    sample: SampleSms
    code: str
    job_id: str
    arrived: list[dict[str, Any]]
    report: list[tuple[str, int]]


def send_sms(gateway: str, provider: str, inbound_secret: str) -> list[SmsFate]:
    """Send the samples to ``gateway`` (base URL), as software for Netgsm would with that base URL instead of Netgsm's,
    then ask it for each report. ``provider``: base URL of the simulator, which tells what it took."""
    sent = []
    taken = 0
    for number, sample in enumerate(sms_samples(), 1):
        answer = _post(f"{gateway}/sms/rest/v2/send", sample.body())
        arrived = _get(f"{provider}/_sim/sent")[taken:]
        taken += len(arrived)
        sent.append(SmsFate(sample, answer["code"], answer["jobid"], arrived, []))
        if sample.refuses:
            told = {"id": f"mo-{number}", "from": f"90{sample.recipients[0]}", "to": NUMBER, "text": KEYWORD}
            _post(f"{gateway}/sms/inbound/{inbound_secret}", told)
    _post(f"{provider}/_sim/clock", {"seconds": _RIPE_S})
    return [fate._replace(report=_ask_report(gateway, fate.job_id)) for fate in sent]


def _ask_report(gateway: str, job_id: str) -> list[tuple[str, int]]:
    answer = _post(f"{gateway}/sms/rest/v2/report", {"jobids": [job_id], "pagenumber": 0, "pagesize": 100})
    return [(row["number"], row["status"]) for row in answer["jobs"]]


def show_sms(console: Console, fates: list[SmsFate], base_url: str) -> None:
    """A row for each request, and the first text as it reached the provider."""
    title = f"What became of each SMS (Netgsm's own API at {base_url} instead of https://api.netgsm.com.tr)"
    table = Table(title=title, title_justify="left", title_style="bold", expand=False)
    table.add_column("#", justify="right")
    table.add_column("request")
    table.add_column("to", justify="right")
    table.add_column("the client heard")
    table.add_column("at the provider", justify="right")
    table.add_column("what the report says")
    for number, fate in enumerate(fates, 1):
        table.add_row(
            str(number),
            Text(fate.sample.title),
            str(len(fate.sample.recipients)),
            Text(f"code {fate.code}, a job id", style="green"),
            Text(str(len(fate.arrived)), style="green" if fate.arrived else "red"),
            Text(_in_words(fate.report)),
        )
    console.print(table)
    console.print(
        Panel(
            Text(fates[0].arrived[0]["text"]),
            title="The first text as it reached the provider, with its opt-out",
            title_align="left",
            border_style="green",
        )
    )


def _in_words(report: list[tuple[str, int]]) -> str:
    words = [_STATUS.get(status, f"status {status}") for _, status in report]
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def _post(url: str, body: dict[str, Any]) -> Any:
    login = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
    fields = {"Content-Type": "application/json", "Authorization": f"Basic {login}"}
    request = urllib.request.Request(url, json.dumps(body).encode(), fields, method="POST")  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - loopback
        content = answer.read()
    return json.loads(content) if content.startswith(b"{") else None


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - our own simulator, on loopback
        return json.loads(answer.read())

"""Each folder beside this file is one case: a message, what becomes of it, and why (``readme.txt``).

The first line of the readme is the outcome, "rewritten: <views>" with ``expected.eml``, or "refused: <detail>".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from filters.brand import Brand
from filters.mime.footer import make_footer
from filters.mime.headers import scan_headers
from filters.mime.plan import plan_rewrite
from filters.mime.refusal import RewriteDetail, RewriteRefusal
from filters.mime.rewrite_plan import RewritePlan
from filters.mime.settings import RewriteSettings

CASES = sorted(path.parent for path in (Path(__file__).parent / "golden").glob("*/readme.txt"))
FOOTER = make_footer(
    Brand(
        code=600123,
        iys_code=600123,
        name="Örnek Mağaza",
        title="Örnek Mağaza A.Ş.",
        mersis="0123456789012345",
        contact="iletisim@magaza.example",
        opt_out_url="https://izin.example",
    )
)
URL = "https://izin.example/o/AQz0-_9xk3?l=tr&k=1"
MAILTO = "mailto:ret-0a1b2c@izin.example"
TRACE = b"Received: from shop.example by gate.example; Mon, 1 Jan 2024 10:00:00 +0300\r\n"
TAGS = frozenset({b"x-izin-class", b"x-izin-brand", b"x-izin-recipient-type", b"x-izin-campaign"})


def rewrite(content: bytes, settings: dict[str, Any]) -> tuple[bytes, RewritePlan] | RewriteDetail:
    if "signed_domains" in settings:
        settings = {**settings, "signed_domains": frozenset(name.encode() for name in settings["signed_domains"])}
    plan = plan_rewrite(
        content,
        scan_headers(content),
        FOOTER,
        RewriteSettings(**settings),
        remove=TAGS,
        has_8bitmime=True,
        is_smtputf8=False,
    )
    return plan.detail if isinstance(plan, RewriteRefusal) else (plan.render(URL, MAILTO, TRACE), plan)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_message_becomes_what_the_case_says(case: Path) -> None:
    """Octet for octet, or refused with the stated detail."""
    outcome, *rest = (case / "readme.txt").read_text("utf-8").split("\n")
    settings = json.loads(rest[0].removeprefix("settings: ")) if rest[0] else {}
    result = rewrite((case / "message.eml").read_bytes(), settings)
    if outcome.startswith("refused: "):
        assert result == RewriteDetail(outcome.removeprefix("refused: "))
        return
    assert not isinstance(result, RewriteDetail)
    copy, plan = result
    assert copy == (case / "expected.eml").read_bytes()
    assert f"rewritten: {plan.views}" == outcome


def test_there_is_a_case_for_every_detail_but_the_limits() -> None:
    """A new reason to refuse comes with a message that shows it; limits are shown by generated messages."""
    limits = {
        RewriteDetail.HEADER_TOO_LARGE,
        RewriteDetail.TOO_MANY_PARTS,
        RewriteDetail.TOO_MANY_PARAMETERS,
        RewriteDetail.TOO_MANY_VIEWS,
        RewriteDetail.TOO_MANY_PLACEHOLDERS,
        RewriteDetail.TOO_DEEP,
    }
    shown = {(case / "readme.txt").read_text("utf-8").partition("\n")[0] for case in CASES}
    assert {f"refused: {detail}" for detail in set(RewriteDetail) - limits} <= shown

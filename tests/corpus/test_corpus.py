"""Mail that others wrote, where that collection lies beside the project; its absence is said, and no failure."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from filters.brand import Brand
from filters.mime.footer import make_footer
from filters.mime.headers import scan_headers
from filters.mime.plan import plan_rewrite
from filters.mime.refusal import MalformedContent, RewriteRefusal
from filters.mime.settings import RewriteSettings
from filters.mime.stamp import stamp
from tests.support.mail_judge import judge

CORPUS = Path(__file__).parents[2] / ".." / "shared" / "corpus" / "mime"
MAILS = sorted(path for path in CORPUS.glob("*/*") if path.suffix not in {".txt", ".md", ".tsv"} or ".eml" in path.name)

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
URL = "https://izin.example/o/kT3_x-9Q?k=1&b=600123"
TRACE = b"Received: from a.example by b.example; Mon, 1 Jan 2024 10:00:00 +0300\r\n"
LEAST_REWRITTEN = 235
"""Of 339. Fewer would mean that we refuse mail that could go out."""


def _read(path: Path) -> bytes:
    """As it would come over the wire: every line, the last one too, ends in CRLF."""
    content = re.sub(rb"\r?\n", b"\r\n", path.read_bytes())
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def test_foreign_mail_is_rewritten_without_damage_or_refused_with_a_detail() -> None:
    """Each message comes out as itself plus the opt-out, by the judgement of another parser, or not at all."""
    if not MAILS:
        print(f"no mail under {CORPUS}: nothing to rewrite")
        return
    outcomes: Counter[str] = Counter()
    damaged: dict[str, list[str]] = {}
    for path in MAILS:
        content = _read(path)
        try:
            headers = scan_headers(content)
        except MalformedContent as malformed:
            outcomes[malformed.detail] += 1
            continue
        plan = plan_rewrite(
            content, headers, FOOTER, RewriteSettings(), remove=frozenset(), has_8bitmime=True, is_smtputf8=False
        )
        if isinstance(plan, RewriteRefusal):
            outcomes[plan.detail] += 1
            continue
        outcomes["rewritten"] += 1
        copy = plan.render(URL, "mailto:ret-1@izin.example", TRACE)
        verdict = judge(content, copy, URL, added=TRACE)
        problems = verdict.problems
        if len(verdict.changed) != plan.views:
            problems.append(f"{len(verdict.changed)} leaves changed, {plan.views} views")
        if len(copy) - len(content) > FOOTER.allowance_bytes + len(TRACE):
            problems.append("grew beyond the allowance")
        if problems:
            damaged[f"{path.parent.name}/{path.name}"] = problems
    print(dict(outcomes))
    assert not damaged, damaged
    assert outcomes["rewritten"] >= LEAST_REWRITTEN or len(MAILS) < 339


def test_foreign_mail_that_is_informational_keeps_every_octet_behind_the_added_fields() -> None:
    """Stamping nothing but a trace leaves the rest of each message as it was."""
    if not MAILS:
        print(f"no mail under {CORPUS}: nothing to stamp")
        return
    for path in MAILS:
        content = _read(path)
        headers = scan_headers(content)
        assert stamp(content, headers, frozenset({b"x-izin-class"}), TRACE) == TRACE + content[headers.start :], path

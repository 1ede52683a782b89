"""``izinkapi registry``: the national registry asked and told by hand.

Exit codes: 0 done; 1 done, but the answer is no, or not all was in order; 2 not done. Commands that write take
``--dry-run``; all take ``--json``.
"""

from __future__ import annotations

import typer

from gateway.cli.registry import asking, dealers, loading, outbox, proving, pushing, verifying

app = typer.Typer(
    help="Ask and tell the national registry: brands, consents, dealers, push, reconciliation, reports.",
    no_args_is_help=True,
)
for part in (asking, verifying, pushing, proving, outbox, loading):
    part.add_to(app)
app.add_typer(dealers.app, name="retailers")

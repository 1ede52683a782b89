"""What is decided and how content is changed: freshness, policy, rewriting."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from filters.decision.policy import Abroad, Mixed
from gateway.configuration import kinds
from gateway.configuration.section import Section, YesNo, setting
from gateway.configuration.values import Duration, Size


class UnrecordedMerchant(StrEnum):
    DROP = "drop"
    ALLOW = "allow"


class PartlyRefused(StrEnum):
    DROP = "drop"
    REFUSE = "refuse"


class AmpAlternative(StrEnum):
    REMOVE = "remove"
    INSERT = "insert"


class FreshnessSection(Section):
    """How far our copy may be behind the registry, counted from the registry time up to which we know everything.

    fresh, then *aging* (enforce and alarm), *stale* (ask the registry, else hold with 451), *blind* (never allow).
    Staleness never turns a no into a yes. No text of law sets a limit; 24 hours at most is practice.
    """

    aging_after: Annotated[Duration, kinds.duration("1m", "7d", "2h")] = setting(
        "2h", "Behind by more than this: an alarm. The registry's own feed lags one hour."
    )
    stale_after: Annotated[Duration, kinds.duration("1m", "7d", "24h")] = setting(
        "24h", "Behind by more than this: a consent of the copy is not acted on; it is asked again, or held with 451."
    )
    blind_after: Annotated[Duration, kinds.duration("1m", "7d", "72h")] = setting(
        "72h",
        "Behind by more than this: nothing but refusals is acted on. The registry's feed reaches back seven days.",
    )
    clock_tolerance: Annotated[Duration, kinds.duration("0s", "1h", "5m")] = setting(
        "5m", "How far the registry's clock may run ahead of ours before the age cannot be trusted."
    )


class PolicySection(Section):
    """Where the law leaves a choice. The defaults are the strict reading."""

    merchant_unrecorded: Annotated[UnrecordedMerchant, kinds.one_of(UnrecordedMerchant)] = setting(
        "drop", "A merchant without a record: drop, or allow because the law asks for no consent (row R8)."
    )
    any_refusal_drops: YesNo = setting(
        True,
        "One record says yes and the other no (individual, merchant): drop. False: the declared type decides (E10).",
    )
    mixed: Annotated[Mixed, kinds.one_of(Mixed)] = setting(
        "strict",
        "Informational mail that also promotes: strict treats it as commercial, lenient allows and warns (row R17).",
    )
    abroad: Annotated[Abroad, kinds.one_of(Abroad)] = setting(
        "same", "Phone numbers outside Turkey: the same rules, or exempt (E20)."
    )
    service_opt_out: YesNo = setting(
        False,
        "Put the opt-out into service mail too, where it fits (row R16). It is never put into informational mail.",
    )
    partly_refused: Annotated[PartlyRefused, kinds.one_of(PartlyRefused)] = setting(
        "drop",
        """Some recipients of one message may not have it and the protocol has one reply for all: drop leaves them out
        and answers 250 with the counts, refuse sends to nobody and answers 550.""",
    )


def _parse_placeholder(raw: object) -> str:
    if not isinstance(raw, str) or not 4 <= len(raw) <= 64 or not all("!" <= letter <= "~" for letter in raw):
        raise ValueError("")
    if "=" in raw:
        raise ValueError("= would be split by quoted-printable")
    return raw


class RewritingSection(Section):
    """How the opt-out gets into mail. Where it cannot be placed lawfully, the message is refused."""

    placeholder: Annotated[
        str, kinds.Kind("4 to 64 printable ASCII characters without spaces", '"{{opt_out_url}}"', _parse_placeholder)
    ] = setting(
        "{{opt_out_url}}",
        "Where this stands in the sender's text it becomes the link, and nothing is appended to that part.",
    )
    keep_sender_optout: YesNo = setting(
        False,
        """Keep the sender's own List-Unsubscribe beside ours, for senders whose endpoint reports to the registry.
        Refusals through it are not seen here.""",
    )
    amp_alternative: Annotated[AmpAlternative, kinds.one_of(AmpAlternative)] = setting(
        "insert", "text/x-amp-html, which some readers show instead of HTML: remove it, or insert a static link."
    )
    signed_domains: tuple[Annotated[str, kinds.domain("shop.example")], ...] = setting(
        [],
        """Domains whose DKIM signature is made again behind us, by the upstream: theirs are removed, for the change
        breaks them. Domains that we sign for ([brands.dkim]) are among them anyway.""",
        example='["shop.example"]',
    )
    remove_foreign_signatures: YesNo = setting(
        False, "Remove the DKIM signatures of all other domains too. A broken one counts as none, so they may stay."
    )
    max_parts: Annotated[int, kinds.whole(1, 100_000, 1000)] = setting(1000, "Most parts of a mail; more are refused.")
    max_depth: Annotated[int, kinds.whole(1, 100, 20)] = setting(20, "Deepest nesting of parts; deeper is refused.")
    max_header_size: Annotated[Size, kinds.size("8 KiB", "16 MiB", "256 KiB")] = setting(
        "256 KiB", "Largest header block of a mail or part; larger is refused."
    )

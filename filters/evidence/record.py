"""The evidence record: what is kept of each decision (regulation.md section 9; Law 6563, 11/3).

One record per message, JSON in UTF-8, without an address: recipients appear by their consent key only. Every record
has ``v`` (format, 1), ``kind`` and ``at`` (UTC, ISO 8601; Istanbul time is that plus three hours, all year round).

``decision`` records have further:

=================  ====================================================================================
``id``             our message id; the same in the canonical log line and the trace header
``node``           machine and worker slot that decided
``session``        id of the client's session
``client``         its configured name; ``listener`` and ``upstream`` likewise
``brand``          registry brandCode, or null where none could be told; ``iys_code`` its IYS number
``channel``        ``filters.vocabulary.Channel``
``class``          ``MessageClass``, and ``class_from`` who set it (header, field, client, missing ...)
``campaign``       the sender's own label, or "" (see ``label``)
``policy``         enforce or observe
``size_bytes``     of the content as it came; ``content_sha256`` of those bytes, hex
``index``          how the registry state was read, null if no lookup was due:
                   ``store`` (lmdb, redis), ``revision``, ``watermark_at`` (seconds since 1970 UTC: registry time up to
                   which everything was known), ``staleness_s`` (decision less watermark), ``limit_s`` (hard limit then
                   in force: together the freshness bound), ``freshness``, ``failure`` (why it could not be read)
``recipients``     one object each, in the order of the envelope
=================  ====================================================================================

and each recipient:

=================  ====================================================================================
``key``            consent key, hex
``declared``       recipient type the sender declared, or null
``registry``       the records of this channel as read, each with ``type``, ``status``, ``consent_at`` (seconds since
                   1970 UTC), ``source``, ``own`` (a refusal of ours the registry has not confirmed). [] is "no
                   record"; null is "not read"
``row``            row or gate of the decision table that decided; ``reason`` its code
``verdict``        before relaying; ``outcome`` afterwards
``sent_sha256``    of the content as handed over, opt-out inside, hex; "" if nothing was
``token``          ``filters.token.identify_token`` of the opt-out token; "" if none
``reply``          the next hop's reply: code and enhanced code; its text may hold an address and is not kept
``redecided_at``   only where the hand-over was late and the above rests on a newer reading of the index than
                   ``index`` tells of (edge case E19): when, in seconds since 1970 UTC
=================  ====================================================================================

Other kinds: ``refusal`` (a person's refusal as it reached us, with ``key``), ``start``, ``stop``, ``configuration``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b

import orjson

from filters.consent import State
from filters.reply import Reply
from filters.vocabulary import Channel, FreshnessState, LookupFailure, MessageClass, Outcome, RecipientType, Verdict

FORMAT = 1

DEFAULT_RETENTION_YEARS = 10
"""Law 6563, 11/3: ten years from the act."""

MIN_RETENTION_YEARS = 3
"""Reg. 13; a shorter time is refused."""

ISTANBUL = timezone(timedelta(hours=3), "Europe/Istanbul")
"""Fixed since 2016; a table of time zones on the machine is not needed and cannot be out of date."""

_OPTIONS = orjson.OPT_UTC_Z


class RecordKind(StrEnum):
    DECISION = "decision"
    REFUSAL = "refusal"
    CANCELLATION = "cancellation"
    """What was scheduled was called off at the provider after a refusal, or could not be."""
    START = "start"
    STOP = "stop"
    CONFIGURATION = "configuration"


def check_retention(years: int) -> int:
    """``years`` as given. Raises ``ValueError`` below the legal minimum."""
    if years < MIN_RETENTION_YEARS:
        raise ValueError(
            f"evidence retention: expected at least {MIN_RETENTION_YEARS} years (Reg. 13; the Law asks for "
            f"{DEFAULT_RETENTION_YEARS}), found {years}"
        )
    return years


_PLAIN_LABEL = re.compile(r"[A-Za-z0-9_.:/ -]{0,64}", re.ASCII)
_DIGITS = re.compile(r"[0-9]")
_LABEL_DIGITS_MAX = 9


@lru_cache(maxsize=1024)
def label(text: str) -> str:
    """``text`` if it is plain and cannot be an address or a phone number, else a short hash of it.

    The sender chooses a campaign's name; some put the recipient into it, and the evidence must not hold that.
    """
    if _PLAIN_LABEL.fullmatch(text) and len(_DIGITS.findall(text)) <= _LABEL_DIGITS_MAX:
        return text
    return "hash:" + blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


_CONSENT_FIELDS: dict[Channel, tuple[tuple[Channel, RecipientType], ...]] = {
    channel: tuple((channel, kind) for kind in RecipientType) for channel in Channel
}


def _registry(state: State, channel: Channel) -> list[dict[str, object]]:
    found = []
    for slot in _CONSENT_FIELDS[channel]:
        consent = state.get(slot)
        if consent is not None:
            status, consent_at, source, own, is_open = consent
            about = {"type": slot[1], "status": status, "consent_at": consent_at, "source": source, "own": own}
            found.append({**about, "open_to_dealer": True} if is_open else about)
    return found


def index_reading(
    store: str,
    revision: int,
    watermark_at: int | None,
    decided_at: float,
    limit_s: int,
    freshness: FreshnessState,
    failure: LookupFailure | None = None,
) -> dict[str, object]:
    """How the registry state was read; the same object may serve many records."""
    return {
        "store": store,
        "revision": revision,
        "watermark_at": watermark_at,
        "staleness_s": None if watermark_at is None else max(0, int(decided_at) - watermark_at),
        "limit_s": limit_s,
        "freshness": freshness,
        "failure": failure,
    }


def recipient_entry(
    key: bytes,
    channel: Channel,
    declared: RecipientType | None,
    state: State | None,
    row: str,
    reason: str,
    verdict: Verdict,
    outcome: Outcome,
    sent_sha256: str = "",
    token: str = "",
    reply: Reply | None = None,
) -> dict[str, object]:
    """One element of ``recipients``. ``state`` None means that the index was not read for this recipient."""
    return {
        "key": key.hex(),
        "declared": declared,
        "registry": None if state is None else _registry(state, channel),
        "row": row,
        "reason": reason,
        "verdict": verdict,
        "outcome": outcome,
        "sent_sha256": sent_sha256,
        "token": token,
        "reply": "" if reply is None else _render_codes(reply.code, reply.subject_detail),
    }


@lru_cache(maxsize=1024)
def _render_codes(code: int, subject_detail: str) -> str:
    return f"{code} {code // 100}.{subject_detail}" if subject_detail else str(code)


def encode_decision(
    *,
    decided_at: float,
    message_id: str,
    node: str,
    session: str,
    client: str,
    listener: str,
    upstream: str,
    brand: int | None,
    iys_code: int | None,
    channel: Channel,
    message_class: MessageClass,
    class_from: str,
    campaign: str,
    policy: str,
    size_bytes: int,
    content_sha256: str,
    index: Mapping[str, object] | None,
    recipients: Sequence[Mapping[str, object]] | orjson.Fragment,
) -> bytes:
    """The record of one message. ``decided_at`` in seconds since 1970 UTC; ``recipients`` may be printed already."""
    return orjson.dumps(
        {
            "v": FORMAT,
            "kind": "decision",
            "at": datetime.fromtimestamp(decided_at, UTC),
            "id": message_id,
            "node": node,
            "session": session,
            "client": client,
            "listener": listener,
            "upstream": upstream,
            "brand": brand,
            "iys_code": iys_code,
            "channel": channel,
            "class": message_class,
            "class_from": class_from,
            "campaign": label(campaign) if campaign else "",
            "policy": policy,
            "size_bytes": size_bytes,
            "content_sha256": content_sha256,
            "index": index,
            "recipients": recipients,
        },
        option=_OPTIONS,
    )


def encode_event(kind: RecordKind, at: float, fields: Mapping[str, object]) -> bytes:
    """A record of another kind. ``fields`` must be free of addresses; a recipient goes by ``key`` (hex)."""
    return orjson.dumps(
        {**fields, "v": FORMAT, "kind": kind, "at": datetime.fromtimestamp(at, UTC)},
        option=_OPTIONS,
    )


def decode(record: bytes) -> dict[str, object]:
    """The record behind its bytes. Raises ``ValueError`` if they are not a JSON object."""
    value = orjson.loads(record)
    if not isinstance(value, dict):
        raise ValueError("evidence record: expected a JSON object")  # noqa: TRY004 - a value from a file, not an argument
    return value

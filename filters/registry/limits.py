"""The registry's request limits (İYS API reference, 1.2), counted before anything is sent; the time is an argument.

All that share one source address share one ``LimiterState``; packed, it can lie wherever all of them see it.

* Ten a second, over all requests, as the registry sees them: when it counted a request we know only once it has
  answered, so until then the request counts as of now (for ``ON_THE_WAY_S`` at most), and from then on as of its
  answer. An eleventh waits until the first of the last ten is ``window_s`` old. Then no delay on the way to the
  registry can bring more than ten into one of its seconds.
* So many an hour, for some calls: counted by minute, and a minute leaves the count only a whole minute after its last
  instant is an hour old. So no hour, wherever it begins, holds more.
* A 429 of the registry's shuts its gate for the pause advised, for all.

A clock that jumps back never frees anything: what lies ahead of now counts as of now, for one window at most, if the
settled state is kept (``settle``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import orjson

from filters.registry.call import Priority, Quota

HOUR_S = 3600
_MINUTE_S = 60
_KEPT_MINUTES = HOUR_S // _MINUTE_S + 1
LONGEST_BLOCK_S = HOUR_S + _MINUTE_S
MOST_PER_SECOND = 10
ON_THE_WAY_S = 5.0
"""An unanswered request is taken to have been counted by the registry within this time: a registry that does not
answer, or a process that died with its answers outstanding, must not hold up everybody for ever."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many requests are allowed. The documents name 100 logins an hour and, elsewhere, 10: we plan for 10.

    Raises ``ValueError`` where nothing could ever be sent, or where a window is shorter than a second.
    """

    per_second: int = 10
    window_s: float = 1.05
    token_per_hour: int = 10
    status_per_hour: int = 1000
    history_per_hour: int = 100

    def __post_init__(self) -> None:
        if min(self.per_second, self.token_per_hour, self.status_per_hour, self.history_per_hour) < 1:
            raise ValueError("registry limits: expected at least 1 of each")
        if self.window_s < 1:
            raise ValueError("registry limits: expected a window of at least a second")

    @property
    def kept(self) -> int:
        """How many instants must be kept: another user of the same address may have set itself a higher limit."""
        return max(self.per_second, MOST_PER_SECOND)

    def per_hour(self, quota: Quota) -> int | None:
        """How many an hour; None where only the second counts."""
        return {
            Quota.TOKEN: self.token_per_hour,
            Quota.STATUS: self.status_per_hour,
            Quota.HISTORY: self.history_per_hour,
        }.get(quota)


Minutes = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class LimiterState:
    """What was sent lately.

    ``recent``: instants of the last answers, oldest first. ``under_way``: when those were sent that are not answered,
    oldest first. ``minutes``: per hourly quota (minute, count), oldest first. ``blocked``: instant up to which a quota
    is shut; that of ``Quota.NONE`` shuts everything.
    """

    recent: tuple[float, ...] = ()
    under_way: tuple[float, ...] = ()
    minutes: Mapping[Quota, Minutes] = field(default_factory=dict)
    blocked: Mapping[Quota, float] = field(default_factory=dict)


def wait_s(state: LimiterState, quota: Quota, now: float, limits: Limits) -> float:
    """Seconds until a request of ``quota`` may be sent; 0 for at once. Others may come first in the meantime."""
    state = settle(state, now, limits)
    waits = [state.blocked.get(Quota.NONE, now) - now, state.blocked.get(quota, now) - now]
    counted = sorted((*state.recent, *(min(now, sent_at + ON_THE_WAY_S) for sent_at in state.under_way)))
    if len(counted) >= limits.per_second:
        waits.append(counted[-limits.per_second] + limits.window_s - now)
    per_hour = limits.per_hour(quota)
    if per_hour is not None:
        waits.append(_hour_wait_s(state.minutes.get(quota, ()), now, per_hour))
    return max(0.0, *waits)


def take(state: LimiterState, quota: Quota, now: float, limits: Limits) -> tuple[LimiterState, float]:
    """The state with one more request under way and 0, or the seconds to wait and the state, nothing counted.

    ``now`` is the request's name for ``answered``.
    """
    wait = wait_s(state, quota, now, limits)
    state = settle(state, now, limits)
    if wait > 0:
        return state, wait
    minutes = dict(state.minutes)
    if limits.per_hour(quota) is not None:
        counted = dict(minutes.get(quota, ()))
        minute = int(now // _MINUTE_S)
        counted[minute] = counted.get(minute, 0) + 1
        minutes[quota] = tuple(sorted(counted.items()))
    return replace(state, under_way=(*state.under_way, now), minutes=minutes), 0.0


def answered(state: LimiterState, sent_at: float, now: float, limits: Limits) -> LimiterState:
    """The request let through at ``sent_at`` is over: the registry has counted it by now, if it did at all."""
    under_way = list(state.under_way)
    if sent_at not in under_way:  # counted as arrived long ago, or the clock was set meanwhile
        return state
    under_way.remove(sent_at)
    recent = tuple(sorted((*state.recent, now)))[-limits.kept :]
    return replace(state, recent=recent, under_way=tuple(under_way))


def give_back(state: LimiterState, quota: Quota) -> LimiterState:
    """One request of ``quota`` less in this hour: it never reached the registry. Its second stays counted."""
    counted = state.minutes.get(quota, ())
    if not counted:
        return state
    minute, count = counted[-1]
    kept = counted[:-1] + (((minute, count - 1),) if count > 1 else ())
    return replace(state, minutes={**state.minutes, quota: kept})


def block(state: LimiterState, quota: Quota, seconds: float, now: float) -> LimiterState:
    """Shut ``quota`` (``Quota.NONE``: everything) for so long. A longer block in force stays."""
    until = max(state.blocked.get(quota, 0.0), now + min(seconds, LONGEST_BLOCK_S))
    return replace(state, blocked={**state.blocked, quota: until})


class Waiter(NamedTuple):
    """A request that waits for its turn: sorted, they are in the order in which they should go."""

    priority: Priority
    order: int
    quota: Quota


def choose(waiting: Iterable[Waiter], state: LimiterState, now: float, limits: Limits) -> tuple[Waiter | None, float]:
    """Who may go now, or None and the seconds until somebody may.

    The first in order whose quota allows it: who waits for an hourly limit holds up nobody else.
    """
    shortest = float("inf")
    waits: dict[Quota, float] = {}
    for waiter in sorted(waiting):
        if waiter.quota not in waits:
            waits[waiter.quota] = wait_s(state, waiter.quota, now, limits)
        if waits[waiter.quota] <= 0:
            return waiter, 0.0
        shortest = min(shortest, waits[waiter.quota])
    return None, shortest


def pack(state: LimiterState) -> bytes:
    """The state as bytes, to lie where all users of the address see it."""
    return orjson.dumps(
        {
            "v": 1,
            "recent": state.recent,
            "under_way": state.under_way,
            "minutes": {quota.value: counted for quota, counted in state.minutes.items()},
            "blocked": {quota.value: until for quota, until in state.blocked.items()},
        }
    )


def unpack(packed: bytes | None) -> LimiterState:
    """The state behind ``packed``; None is an empty one. Raises ``ValueError`` on what ``pack`` did not make."""
    if packed is None:
        return LimiterState()
    try:
        fields = orjson.loads(packed)
        return LimiterState(
            tuple(float(at) for at in fields["recent"]),
            tuple(float(at) for at in fields.get("under_way", ())),  # earlier versions kept none
            {
                Quota(word): tuple((int(minute), int(count)) for minute, count in counted)
                for word, counted in fields["minutes"].items()
            },
            {Quota(word): float(until) for word, until in fields["blocked"].items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError("limiter state: not one of ours") from None


def lies_ahead(state: LimiterState, now: float) -> bool:
    """Whether the clock went back behind what is counted: then the settled state is to be kept, or it stays ahead."""
    return max((*state.recent, *state.under_way), default=now) > now


def settle(state: LimiterState, now: float, limits: Limits) -> LimiterState:
    """Without what no longer counts; what lies ahead of now (the clock went back) counts as of now."""
    this_minute = int(now // _MINUTE_S)
    minutes: dict[Quota, Minutes] = {}
    for quota, counted in state.minutes.items():
        kept: dict[int, int] = {}
        for minute, count in counted:
            if minute >= this_minute - _KEPT_MINUTES:
                at = min(minute, this_minute)
                kept[at] = kept.get(at, 0) + count
        minutes[quota] = tuple(sorted(kept.items()))
    over_at = now - ON_THE_WAY_S - limits.window_s
    return LimiterState(
        tuple(min(at, now) for at in state.recent[-limits.kept :]),
        tuple(min(at, now) for at in state.under_way if at > over_at),
        minutes,
        {quota: min(until, now + LONGEST_BLOCK_S) for quota, until in state.blocked.items() if until > now},
    )


def _hour_wait_s(counted: Minutes, now: float, per_hour: int) -> float:
    total = sum(count for _, count in counted)
    for minute, count in counted:
        if total < per_hour:
            return 0.0
        total -= count
        freed_at = (minute + _KEPT_MINUTES + 1) * _MINUTE_S
        if total < per_hour:
            return freed_at - now
    return 0.0

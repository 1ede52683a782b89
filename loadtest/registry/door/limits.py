"""The documented rate limits, for each source address, on the registry's clock (reference 1.2)."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable

from loadtest.registry.book.kept_calls import KeptCalls
from loadtest.registry.settings import Settings

_HOUR_S = 3600.0
_DAY_S = 86_400
_GRACE_S = 96 * 3600
_GOOD_SHARE = 0.7
_FAILURES = frozenset({400, 401, 403, 404, 422})


class Limits:
    """Says under which code a call is one too many. ``on_breach(rule, detail)`` hears of each, enforced or not.

    ``kept`` lets hours and blocks survive a restart; seconds and the share of failures begin anew.
    """

    def __init__(
        self, settings: Settings, on_breach: Callable[[str, str], None], kept: KeptCalls | None = None
    ) -> None:
        self._settings = settings
        self._on_breach = on_breach
        self._calls: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)
        self._blocked_until: dict[str, float] = {}
        self._hours: defaultdict[str, dict[int, list[int]]] = defaultdict(dict)
        self._noticed_at: dict[str, float] = {}
        self.barred: set[str] = set()
        self._kept = kept
        if kept is not None:
            for rule, address, at in kept.calls():
                self._calls[rule, address].append(at)
            self._blocked_until.update(kept.blocks())

    def check_any(self, address: str, now: float) -> str | None:
        """Ten calls in any second."""
        return self._check("second", address, now, 1.0, self._settings.requests_per_second, "H124")

    def check_token(self, address: str, now: float) -> str | None:
        """A hundred in an hour; whoever asks again while blocked is blocked for an hour from then."""
        blocked = self._blocked_until.get(address, 0.0) > now
        code = "H084" if blocked else None
        if blocked:
            self._on_breach("token-hour-restarted", address)
        else:
            code = self._check("token", address, now, _HOUR_S, self._settings.token_requests_per_hour, "H084")
        if code is not None and self._settings.is_limiting:
            self._blocked_until[address] = now + _HOUR_S
            if self._kept is not None:
                self._kept.block(address, now + _HOUR_S)
            return code
        return None

    def check_status(self, address: str, now: float) -> str | None:
        return self._check("status", address, now, _HOUR_S, self._settings.status_requests_per_hour, "H086")

    def check_history(self, address: str, now: float) -> str | None:
        return self._check("history", address, now, _HOUR_S, self._settings.history_requests_per_hour, "H089")

    def _check(self, rule: str, address: str, now: float, span_s: float, at_most: int, code: str) -> str | None:
        calls = self._calls[rule, address]
        while calls and (calls[0] <= now - span_s or calls[0] > now):
            calls.popleft()
        if len(calls) >= at_most:
            self._on_breach(rule, address)
            if self._settings.is_limiting:
                return code
        calls.append(now)
        if self._kept is not None and span_s == _HOUR_S:
            self._kept.add(rule, address, now)
        return None

    def count(self, address: str, status: int, now: float) -> None:
        """Keep the share of failures; below 70 % success for 96 hours after the notice the address is barred."""
        hours = self._hours[address]
        hour = int(now // _HOUR_S)
        entry = hours.setdefault(hour, [0, 0])
        entry[0] += 1
        entry[1] += status in _FAILURES
        for old in [each for each in hours if each <= hour - _DAY_S // 3600 or each > hour]:
            del hours[old]
        total, failed = self.ratio(address)
        is_bad = total >= self._settings.failure_ratio_from_requests and (total - failed) / total < _GOOD_SHARE
        if not is_bad:
            # Few calls alone do not end the notice; only a good share does.
            if total and (total - failed) / total >= _GOOD_SHARE:
                self._noticed_at.pop(address, None)
            return
        noticed_at = self._noticed_at.get(address)
        if noticed_at is None:
            self._noticed_at[address] = now
            self._on_breach("failure-ratio", address)
        elif now - noticed_at > _GRACE_S and self._settings.is_limiting:
            self.barred.add(address)

    def ratio(self, address: str) -> tuple[int, int]:
        """Calls and failures of the last 24 hours."""
        entries = self._hours[address].values()
        return sum(each[0] for each in entries), sum(each[1] for each in entries)

    def reset(self) -> None:
        """Forget all calls, blocks and bars."""
        self._calls.clear()
        self._blocked_until.clear()
        self._hours.clear()
        self._noticed_at.clear()
        self.barred.clear()
        if self._kept is not None:
            self._kept.clear()

    def render(self) -> dict[str, object]:
        return {
            "blocked_until": dict(self._blocked_until),
            "failures_24h": {address: self.ratio(address) for address in self._hours},
            "noticed_at": dict(self._noticed_at),
            "barred": sorted(self.barred),
        }

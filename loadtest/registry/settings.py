"""What can be set on the simulator, with the documented figures as defaults."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass
class Settings:
    """Changed at ``/_sim/settings``; reference: İYS API sections 1.2, 1.3 and the points it calls open.

    ``bulk_delay_s``: until the last item of a bulk request is written. ``report_ready_s``: from midnight until a daily
    file is complete. ``push_*``: first wait before a delivery is repeated (doubled each time), how often, answer time.
    """

    is_limiting: bool = True
    requests_per_second: int = 10
    token_requests_per_hour: int = 100
    status_requests_per_hour: int = 1000
    history_requests_per_hour: int = 100
    failure_ratio_from_requests: int = 20_000
    is_token_limit_flat: bool = True  # the shape one production client reads; False gives the usual envelope
    access_token_s: int = 7200
    refresh_token_s: int = 14_400
    is_refresh_token_used_once: bool = True  # unknown for the real one; strict finds clients that keep the old one
    bulk_delay_s: float = 5.0
    report_ready_s: float = 1200.0
    business_days: int = 3
    is_equal_date_refused: bool = False  # unsettled in the sources: a change of status with the stored consent's date
    is_unknown_status_404: bool = False  # unknown address in a single status query: 404, or 200 with an empty object
    push_retry_s: float = 2.0
    push_attempts: int = 12
    push_answer_s: float = 5.0
    push_batch: int = 100

    def update(self, values: dict[str, object]) -> None:
        """Take over ``values``. Raises ``ValueError`` naming a setting that does not exist or has another type."""
        kinds = {each.name: type(getattr(self, each.name)) for each in fields(self)}
        for name, value in values.items():
            if name not in kinds:
                raise ValueError(f"unknown setting {name!r}; known are {', '.join(sorted(kinds))}")
            if kinds[name] is float and isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
            if type(value) is not kinds[name]:
                raise ValueError(f"{name}: expected {kinds[name].__name__}, found {value!r}")
        for name, value in values.items():
            setattr(self, name, float(value) if kinds[name] is float else value)  # type: ignore[arg-type] # checked above

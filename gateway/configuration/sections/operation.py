"""How the gateway runs and what it leaves behind: workers, operator's address, log, evidence."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated

from gateway.configuration import kinds
from gateway.configuration.section import Section, YesNo, setting
from gateway.configuration.values import Duration, Endpoint, Size


class LogFormat(StrEnum):
    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class GatewaySection(Section):
    """The processes."""

    hostname: Annotated[str, kinds.domain("gate.example.net")] | None = setting(
        None, "Name in greetings and trace headers; left out, the machine's."
    )
    workers: Annotated[int, kinds.whole(1, 256, 2)] | None = setting(None, "Worker processes; left out, one per core.")
    drain_timeout: Annotated[Duration, kinds.duration("1s", "30m", "30s")] = setting(
        "30s",
        "On SIGTERM, how long messages in hand may take to finish. Keep the service manager's own limit above it.",
    )


class AdminSection(Section):
    """The operator's address: /metrics, /health, /ready, /status. It asks for no login: keep it off public networks."""

    address: Annotated[Endpoint, kinds.listener_endpoint("127.0.0.1:9025")] = setting(
        "127.0.0.1:9025", "IP address and port.", given='"127.0.0.1:9025"'
    )


class LogSection(Section):
    """One structured line per message on standard output; no address in it, at any level."""

    format: Annotated[LogFormat, kinds.one_of(LogFormat)] = setting(
        "auto", "json, console (coloured), or auto: console on a terminal, else json."
    )
    level: Annotated[LogLevel, kinds.one_of(LogLevel)] = setting("info", "Least level that is written.")


class EvidenceSection(Section):
    """One record of each decision, in files that show tampering."""

    directory: Annotated[PurePosixPath, kinds.path("the path of a folder", "var/evidence")] = setting(
        "var/evidence", "Where the records are kept; a relative path starts at the folder of this file."
    )
    segment_size: Annotated[Size, kinds.size("64 KiB", "4 GiB", "256 MiB")] = setting(
        "256 MiB", "A file is closed when it has this size …"
    )
    segment_age: Annotated[Duration, kinds.duration("1m", "7d", "1h")] = setting("1h", "… or this age.")
    sign_interval: Annotated[Duration, kinds.duration("1s", "1d", "1m")] = setting(
        "1m", "How often the chain's head is signed; what was not signed yet could be cut off unnoticed."
    )
    retention_years: Annotated[int, kinds.whole(3, 100, 10)] = setting(
        10, "How long records are kept: ten years by Law 6563, 11/3; never below the three of the Regulation, 13."
    )


class CalendarSection(Section):
    """Business days, by which the deadline of a refusal's report to the registry is reckoned (three of them)."""

    holidays_file: Annotated[PurePosixPath, kinds.path("the path of a TOML file", "holidays-tr.toml")] | None = setting(
        None, "Public holidays; left out, the file that comes with the program. Renew it when new feasts are announced."
    )
    half_days_count: YesNo = setting(
        True, "Whether a half holiday is a business day. If so, the deadline is the earlier and safer one."
    )

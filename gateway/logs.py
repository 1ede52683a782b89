"""Structured logs without a person in them.

One JSON object a line (console form on a terminal): ``at``, ``level``, ``event``, then the event's own fields. Our own
events, the standard library's loggers (aiosmtpd, aiohttp, asyncio, redis and whoever else), warnings and uncaught
exceptions all take the same way out, and on it every text passes ``filters.redaction``: an address, a phone number or
a secret is masked whatever put it there, at every level, in messages, arguments and tracebacks.

Lines are collected and written every 50 ms by a thread, so that a log on a slow disk never stops the loop; what is not
written by then is bounded, and lines beyond are dropped and counted. A process that is killed loses the last 50 ms.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import select
import stat
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import orjson
import structlog

from filters.redaction import SECRET, is_secret_name, is_suspect, redact

FLUSH_S = 0.05
MAX_LINES = 50_000
"""Lines that may wait; at some 400 bytes each about 20 MB."""

MAX_TEXT = 16_000
"""Characters of one value; a longer one (a traceback through a deep recursion) loses its middle."""

_PIPE_ATOMIC_BYTES = 4096
"""Linux writes to a pipe without mixing them with other processes' up to this size (PIPE_BUF)."""

OUR_TEXTS = frozenset(
    {
        "event", "level", "at", "message_id", "session", "node", "head", "link", "key_id", "writer", "logger", "name",
        "client", "listener", "upstream", "operation", "reason", "row", "mersis",
    }
)  # fmt: skip
"""Fields whose texts we made or configured; ids and hashes look like secrets. Masked only if an "@" is in them."""

OUR_COUNTS = frozenset({"reasons"})
"""Fields that count by words of a closed list of ours."""

_LARGEST_PLAIN_NUMBER = 999_999_999
_NUMBER_FIELDS = ("_at", "_bytes", "_ns", "_us", "revision", "records", "_total")

_TEMPLATE_ONLY = frozenset({"mail.log", "mail.debug", "aiohttp.access", "aiohttp.server", "aiosmtplib"})
"""Loggers whose arguments are commands, replies and recipients: below WARNING only the template is written."""

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class LogSink:
    """Collects lines and writes them to ``descriptor`` from a thread of its own."""

    def __init__(self, descriptor: int, flush_s: float = FLUSH_S, max_lines: int = MAX_LINES) -> None:
        self._descriptor = descriptor
        self._flush_s = flush_s
        self._max_lines = max_lines
        self._lines: deque[bytes] = deque()
        self._is_awake = False
        self._is_closed = False
        self._wake = threading.Event()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._untold = 0
        self.dropped = 0
        try:
            self._is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        except OSError:
            self._is_pipe = False

    def put(self, line: bytes) -> None:
        """Take one line, its LF included. Never blocks, never raises."""
        if len(self._lines) >= self._max_lines:
            self.dropped += 1
            self._untold += 1
            return
        self._lines.append(line)
        if not self._is_awake:
            self._is_awake = True
            self._wake.set()
            if self._thread is None:
                self._start()

    def _start(self) -> None:
        if self._is_closed:
            self.flush()
            self._is_awake = False
            return
        self._thread = threading.Thread(target=self._work, name="log-writer", daemon=True)
        self._thread.start()

    def after_fork(self) -> None:
        """In the child: the parent writes its own lines, and a thread does not survive a fork."""
        self._lines.clear()
        self._wake = threading.Event()
        self._writing = threading.Lock()
        self._thread = None
        self._is_awake = False

    def _work(self) -> None:
        while not self._is_closed:
            self._wake.wait()
            if not self._is_closed:
                threading.Event().wait(self._flush_s)
            self._wake.clear()
            self._is_awake = False
            self.flush()

    def flush(self) -> None:
        """Write what waits; blocks until it is written or the descriptor is broken."""
        with self._writing:
            if self._untold:
                count, self._untold = self._untold, 0
                self._write(_encode({"at": _now(), "level": "error", "event": "log.dropped", "lines": count}))
            pieces: list[bytes] = []
            size = 0
            limit = _PIPE_ATOMIC_BYTES if self._is_pipe else 1 << 16
            while self._lines:
                line = self._lines.popleft()
                if pieces and size + len(line) > limit:
                    self._write(b"".join(pieces))
                    pieces, size = [], 0
                pieces.append(line)
                size += len(line)
            if pieces:
                self._write(b"".join(pieces))

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [], 1.0)
            except OSError:
                self.dropped += data.count(b"\n")
                return  # nobody reads any more; the gateway goes on

    def close(self) -> None:
        """Write what waits and end the thread. Lines that come later are written at once."""
        self._is_closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)
            self._thread = None
        self.flush()
        self._is_awake = False


class CanonicalLog:
    """The one line per message: ``write("message.decided", fields)`` on the hot path."""

    __slots__ = ("_put", "_render")

    def __init__(self, sink: LogSink, is_console: bool = False) -> None:
        self._put = sink.put
        self._render = _ConsoleRenderer() if is_console else None

    def write(self, event: str, fields: Mapping[str, object], level: str = "info") -> None:
        """``fields`` are flat: texts, numbers, enum members, None, and lists or dictionaries of counts."""
        line: dict[str, object] = {"at": datetime.now(UTC), "level": level, "event": event, **fields}
        for name, value in fields.items():
            if type(value) is str:
                if "@" in value if name in OUR_TEXTS else is_suspect(value):
                    line[name] = redact(value)
            elif type(value) in _CONTAINERS and name not in OUR_COUNTS:
                line[name] = _clean(name, value)
        self._put(_encode(line) if self._render is None else self._render(line))


_DEEPEST = 8
"""Levels of a value that are kept as they are; the effective configuration has six."""

_CONTAINERS = frozenset({dict, list, tuple, bytes, set, frozenset})
_PLAIN = frozenset({bool, float, type(None)})


def _clean(name: str, value: object, depth: int = 0) -> object:
    """``value`` fit for a log: redacted, of JSON's types, bounded."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if is_secret_name(name) and not isinstance(value, (bool, int)):
        return SECRET
    if isinstance(value, str):
        text = str(value)
        if name in OUR_TEXTS and not any(sign in text for sign in ("@", "%40")):
            return text[:MAX_TEXT]
        return redact(_shorten(text))
    if isinstance(value, int):
        is_plain = -_LARGEST_PLAIN_NUMBER <= value <= _LARGEST_PLAIN_NUMBER
        return int(value) if is_plain or name.endswith(_NUMBER_FIELDS) else redact(str(value))
    if isinstance(value, datetime):
        return value
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {redact(str(key)): _clean(str(key), inner, depth + 1) for key, inner in value.items()}
    if depth < _DEEPEST and isinstance(value, (list, tuple, set, frozenset)):
        return [_clean(name, inner, depth + 1) for inner in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return redact(_shorten(bytes(value).decode("utf-8", "backslashreplace")))
    try:
        return redact(_shorten(repr(value)))
    except Exception:  # an object whose repr fails must not take the log line with it
        return f"<{kind.__name__}>"


def _shorten(text: str) -> str:
    if len(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2
    # A cut through the middle of an address would leave half of it unrecognised: cut at blanks only.
    return f"{text[:half].rpartition(' ')[0]} … {text[-half:].partition(' ')[2]}"


def _now() -> datetime:
    return datetime.now(UTC)


def _encode(line: Mapping[str, object]) -> bytes:
    try:
        return orjson.dumps(line, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # lone surrogates, numbers beyond 64 bits
        safe = {name: str(value).encode("utf-8", "backslashreplace").decode() for name, value in line.items()}
        return orjson.dumps(safe, option=orjson.OPT_APPEND_NEWLINE)


class _ConsoleRenderer:
    """For a person at a terminal."""

    def __init__(self) -> None:
        self._renderer = structlog.dev.ConsoleRenderer(
            colors=True, pad_event_to=28, timestamp_key="at", exception_formatter=structlog.dev.plain_traceback
        )

    def __call__(self, line: Mapping[str, object]) -> bytes:
        shown = dict(line)
        at = shown.pop("at")
        shown["at"] = at.strftime("%H:%M:%S.%f")[:-3] if isinstance(at, datetime) else str(at)
        return (str(self._renderer(None, "", shown)) + "\n").encode("utf-8", "backslashreplace")


def _format_exception(error: BaseException) -> str:
    """The traceback without local variables, which would hold whole messages."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__, limit=-20))


def _exception_of(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if len(exc_info) > 1 and isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None


class _Emitter:
    """Cleans and renders one event, and hands it to the sink. The end of every way."""

    def __init__(self, sink: LogSink, is_console: bool, fixed: Mapping[str, object]) -> None:
        self._sink = sink
        self._render = _ConsoleRenderer() if is_console else _encode
        self._fixed = dict(fixed)

    def emit(self, level: str, event: str, fields: Mapping[str, object], exc_info: object = None) -> None:
        line: dict[str, object] = {"at": _now(), "level": level, "event": redact(_shorten(event)), **self._fixed}
        for name, value in fields.items():
            if name not in ("at", "level", "event"):
                line[redact(name)] = _clean(name, value)
        error = _exception_of(exc_info)
        if error is not None:
            line["exception"] = redact(_shorten(_format_exception(error)))
        self._sink.put(self._render(line))


class _EmitterLogger:
    """What structlog's bound logger calls at the end."""

    def __init__(self, emitter: _Emitter) -> None:
        self._emitter = emitter

    def msg(self, *, level: str, event: str, fields: Mapping[str, object], exc_info: object) -> None:
        self._emitter.emit(level, event, fields, exc_info)

    debug = info = warning = error = critical = fatal = exception = log = msg


def _to_emitter(_logger: object, method: str, line: MutableMapping[str, Any]) -> tuple[tuple[()], dict[str, Any]]:
    event = str(line.pop("event", ""))
    exc_info = line.pop("exc_info", None)
    return (), {"level": method, "event": event, "fields": line, "exc_info": exc_info}


class _StandardHandler(logging.Handler):
    """Takes over the standard library's loggers."""

    def __init__(self, emitter: _Emitter) -> None:
        super().__init__()
        self._emitter = emitter

    def emit(self, record: logging.LogRecord) -> None:
        if record.name in _TEMPLATE_ONLY and record.levelno < logging.WARNING:
            text = str(record.msg)
        else:
            try:
                text = record.getMessage()
            except Exception:  # arguments that do not fit their template
                text = str(record.msg)
        fields: dict[str, object] = {"logger": record.name}
        if record.stack_info:
            fields["stack"] = record.stack_info
        self._emitter.emit(record.levelname.lower(), text, fields, record.exc_info)


class Logs:
    """The configured logs of this process."""

    def __init__(self, sink: LogSink, is_console: bool, emitter: _Emitter) -> None:
        self.sink = sink
        self.canonical = CanonicalLog(sink, is_console)
        self._emitter = emitter

    def watch_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Log what falls out of callbacks and forgotten tasks of ``loop``, through the same redaction."""
        loop.set_exception_handler(self._loop_failed)

    def _loop_failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        task = context.get("task") or context.get("future")
        name = task.get_name() if isinstance(task, asyncio.Task) else ""
        # Nothing else of the context: transports and handles print peers and arguments.
        self._emitter.emit(
            "error", "loop.failed", {"what": context.get("message", ""), "task": name}, context.get("exception")
        )

    def close(self) -> None:
        """Write everything that waits."""
        self.sink.close()


def configure_logs(
    level: str = "info",
    style: str = "auto",
    descriptor: int = 1,
    fixed: Mapping[str, object] | None = None,
) -> Logs:
    """Take over every log of this process. Call once, early; ``fixed`` goes into each line (``{"node": "mx1-0"}``).

    ``level`` debug, info, warning or error; ``style`` json, console, or auto (console on a terminal).
    """
    is_console = style == "console" or (style == "auto" and os.isatty(descriptor))
    number = _LEVELS[level]
    sink = LogSink(descriptor)
    emitter = _Emitter(sink, is_console, fixed or {})
    logger = _EmitterLogger(emitter)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, _to_emitter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: logger,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_StandardHandler(emitter)]
    root.setLevel(number)
    for name in _existing_loggers():
        # A library that brought its own handler would write past the redaction.
        known = logging.getLogger(name)
        known.handlers.clear()
        known.propagate = True
    for name in _TEMPLATE_ONLY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.lastResort = None
    logging.raiseExceptions = False
    logging.captureWarnings(True)
    _take_hooks(emitter, sink)
    os.register_at_fork(after_in_child=sink.after_fork)
    atexit.register(sink.close)
    return Logs(sink, is_console, emitter)


def _existing_loggers() -> Iterable[str]:
    return [name for name, known in logging.root.manager.loggerDict.items() if isinstance(known, logging.Logger)]


def _take_hooks(emitter: _Emitter, sink: LogSink) -> None:
    """Uncaught exceptions would print their text, and with it whatever they were about, to standard error."""

    def uncaught(kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        emitter.emit("critical", "process.failed", {}, error)
        with contextlib.suppress(Exception):
            sink.flush()

    def uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_type is not SystemExit:
            name = arguments.thread.name if arguments.thread else ""
            emitter.emit("critical", "thread.failed", {"thread": name}, arguments.exc_value)

    def unraisable(problem: sys.UnraisableHookArgs) -> None:
        # The object is named by its type: its repr may hold anything.
        emitter.emit("error", "object.failed", {"kind": type(problem.object).__name__}, problem.exc_value)

    sys.excepthook = uncaught
    threading.excepthook = uncaught_in_thread
    sys.unraisablehook = unraisable

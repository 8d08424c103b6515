"""Log lines: text for people, JSON lines for machines."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, TextIO

import orjson
from typing_extensions import Doc

from worker.terminal.printable import printable, printable_json


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What is logged, and how."""

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Doc("The least severe level that is logged.")
    ] = "info"
    log_format: Annotated[Literal["text", "json"], Doc("Text for people, or one JSON object a line.")] = "text"


# What every LogRecord has of its own; anything else in it came through `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_LINES = "\n\t"  # what a text of several lines keeps

# Of the warnings and errors of one event, how many come through at once, and one in so many seconds after those.
_FIRST, _PAUSE_S = 10, 1.0


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}


class Sparse:
    """Says which lines of a flood are written: the first ones, then one in `pause_s` seconds. For one thread."""

    def __init__(self, first: int, pause_s: float) -> None:
        self._first = first
        self._pause_s = pause_s
        self._room = float(first)  # lines that may be written at once; it grows back while fewer come
        self._last_s: float | None = None
        self._left_out = 0

    def take(self, now_s: float) -> int | None:
        """Return how many lines were left out before this one, or None where this one is to be left out too."""
        since_s = 0.0 if self._last_s is None else now_s - self._last_s
        self._room = min(self._first, self._room + since_s / self._pause_s)
        self._last_s = now_s
        if self._room < 1:
            self._left_out += 1
            return None
        self._room -= 1
        left_out, self._left_out = self._left_out, 0
        return left_out


class SparseHandler(logging.StreamHandler[TextIO]):
    """Writes what is rare, and of a flood of warnings or errors of one event so many that it can still be read."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._floods: dict[str, Sparse] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, with the count of those before it that were left out. One thread at a time is in here."""
        event = getattr(record, "event", None)
        if event is not None and record.levelno >= logging.WARNING:
            left_out = self._floods.setdefault(event, Sparse(_FIRST, _PAUSE_S)).take(time.monotonic())
            if left_out is None:
                return
            if left_out:
                record.left_out = left_out
        super().emit(record)


class TextFormatter(logging.Formatter):
    """`12:00:00.123 INFO  worker.main_loop.loop: partitions assigned partitions=[0, 1]`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with what came through `extra` behind the message."""
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        extra = "".join(f" {name}={value}" for name, value in _extra(record).items() if name != "event")
        line = printable(f"{time} {record.levelname:<7} {record.name}: {record.getMessage()}{extra}")
        return f"{line}\n{printable(self.formatException(record.exc_info), _LINES)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, thread, message, and its fields.

    Those are what came through `extra`, the event's name first of all, and what the message names: `%(error)s`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "message": record.getMessage(),
            **(record.args if isinstance(record.args, Mapping) else {}),
            **_extra(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return printable_json(orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode())


class _PlainFormatter(logging.Formatter):
    """What Python writes of a line where no log was set up, printable."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), _LINES)


def be_printable() -> None:
    """Let lines steer no terminal in a command that sets no log up, either."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_PlainFormatter())


def json_line(logger: str, level: int, message: str, **fields: object) -> str:
    """Return a log line in the format that was set up, for what cannot go through a logger."""
    formatter = JsonFormatter() if _is_json() else TextFormatter()
    record = logging.LogRecord(logger, level, "", 0, message, None, None)
    vars(record).update(fields)
    return formatter.format(record)


def last_line(message: str, status: int) -> str:
    """Return the line that says why the process ends: where the log is JSON, whoever reads it can read this too."""
    if _is_json():
        return json_line("worker", logging.ERROR, message, event="ended", status=status)
    return f"rerank-worker: {printable(message, keep=_LINES)}"


def say(message: str, status: int) -> None:
    """Write the one line that says why the process ends, and with which exit status."""
    sys.stderr.write(f"{last_line(message, status)}\n")
    sys.stderr.flush()


def _is_json() -> bool:
    return any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers)


def set_up(options: LogOptions) -> None:
    """Send every log line of the process to standard error in the chosen format; standard output is for results."""
    handler = SparseHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if options.log_format == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=options.log_level.upper(), force=True)
    logging.captureWarnings(capture=True)

"""Log lines: text for people, JSON lines for machines."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

import orjson
from typing_extensions import Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What is logged, and how."""

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Doc("The least severe level that is logged.")
    ] = "info"
    log_format: Annotated[Literal["text", "json"], Doc("Text for people, or one JSON object a line.")] = "text"


# What every LogRecord has of its own; anything else in it came through `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}


class TextFormatter(logging.Formatter):
    """`12:00:00.123 INFO  worker.loop: partitions assigned partitions=[0, 1]`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with what came through `extra` behind the message."""
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        extra = "".join(f" {name}={value}" for name, value in _extra(record).items())
        line = f"{time} {record.levelname:<7} {record.name}: {record.getMessage()}{extra}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, thread, message, and what came through `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def line_of(logger: str, level: int, message: str) -> str:
    """Return a log line in the format that was set up, for what cannot go through a logger."""
    formatter = JsonFormatter() if _is_json() else TextFormatter()
    return formatter.format(logging.LogRecord(logger, level, "", 0, message, None, None))


def last_line(message: str) -> str:
    """Return the line that says why the process ends: where the log is JSON, whoever reads it can read this too."""
    return line_of("worker", logging.ERROR, message) if _is_json() else f"rerank-worker: {message}"


def _is_json() -> bool:
    return any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers)


def set_up(options: LogOptions) -> None:
    """Send every log line of the process to standard error in the chosen format; standard output is for results."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if options.log_format == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=options.log_level.upper(), force=True)
    logging.captureWarnings(capture=True)

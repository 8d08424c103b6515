"""`rerank-worker watch`: prints results and dead letters as they come."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Literal

import orjson

from worker import dead_letters
from worker.events.schema import Contract, can_be_written, load_schema
from worker.kafka_io import check_topics
from worker.terminal.printable import shortened
from worker.tools.ranked_table import heading, ranked
from worker.tools.screen import Screen, complain, plain, write_json
from worker.tools.topic_reader import TopicReader
from worker.tools.unreadable import unreadable

if TYPE_CHECKING:
    from worker.config.settings import Settings
    from worker.records import Record

Format = Literal["table", "json"]

_POLL_S = 0.2
_KEY_CHARS = 100  # a key may have a megabyte


class NotAResultError(ValueError):
    """A record of the result topic that is not what the result schema says."""


class ResultReader:
    """Reads what a worker has published, by the result schema."""

    def __init__(self) -> None:
        self._contract = Contract(load_schema("rerank-result.v1.json"))

    def read(self, record: Record) -> Any:
        """Return the result as parsed JSON, or raise NotAResultError that says where it is and what is wrong."""
        where = f"{record.partition.topic}[{record.partition.number}] offset {record.offset} is not a result"
        try:
            result = orjson.loads(record.value or b"")
        except orjson.JSONDecodeError as error:
            raise NotAResultError(f"{where}: expected JSON: {error}") from error
        if not can_be_written(result):
            raise NotAResultError(f"{where}: it is nested too deep")
        if not self._contract.is_valid(result):
            fault = self._contract.find(result)
            raise NotAResultError(f"{where}: {fault.path or 'result'}: {fault.message}")
        return result


def watch(
    settings: Settings,
    *,
    style: Format | None = None,
    top: int = 5,
    count: int | None = None,
    from_beginning: bool = False,
) -> None:
    """Print results until Ctrl-C, or until `count` results and dead letters were seen.

    `style` None is a table on a terminal and JSON lines elsewhere. Results go to standard output; dead letters, and
    records that are no results, to standard error, a line each. Raises StopError where Kafka cannot be read.
    """
    as_json = style == "json" or (style is None and not sys.stdout.isatty())
    options = settings.kafka
    if options.create_topics:
        check_topics(options)
    screen = _Screen(top=top, as_json=as_json)
    left = count
    try:
        with TopicReader(
            options, (options.result_topic, options.dead_letter_topic), from_beginning=from_beginning
        ) as tail:
            screen.note(f"watching {options.result_topic} and {options.dead_letter_topic}; Ctrl-C ends it")
            while left is None or left > 0:
                for record in tail.poll(_POLL_S)[:left]:
                    screen.show(record, is_result=record.partition.topic == options.result_topic)
                    left = None if left is None else left - 1
    except KeyboardInterrupt:
        return
    except BrokenPipeError:  # the reader, `head` for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it flushes at exit


class _Screen:
    def __init__(self, *, top: int, as_json: bool) -> None:
        self._top = top
        self._as_json = as_json
        self._reader = ResultReader()
        self._out = Screen()
        self._err = Screen(stderr=True)

    def note(self, text: str) -> None:
        if self._err.is_terminal:
            self._err.print(plain(text, "dim"), soft_wrap=True)

    def show(self, record: Record, *, is_result: bool) -> None:
        if (lost := unreadable(record)) is not None:
            complain(f"skipped: {lost}")
            return
        try:
            if is_result:
                self._show_result(record)
            else:
                complain(f"dead letter: {_described(dead_letters.read(record))}")
        except (NotAResultError, dead_letters.NotADeadLetterError) as error:
            complain(f"skipped: {error}")

    def _show_result(self, record: Record) -> None:
        result = self._reader.read(record)
        if self._as_json:
            write_json(record.value or b"")
        else:
            self._out.print(heading(result))
            self._out.print(ranked(result, self._top))
            self._out.print()


def _described(letter: dead_letters.DeadLetter) -> str:
    key = "no key" if letter.key is None else repr(shortened(letter.key.decode("utf-8", "replace"), _KEY_CHARS))
    source = f"{letter.partition.topic}[{letter.partition.number}] offset {letter.offset}"
    return f"{source}, {key}: {letter.reason}: {letter.message}"

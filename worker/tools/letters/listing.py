"""`rerank-worker dead-letters`: lists the dead letters, counts them, or shows one."""

from __future__ import annotations

import os
import re
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson

from worker.exits import Exit, StopError
from worker.tools.letters.choice import Choice, choose
from worker.tools.letters.rows import Rows, as_json, counted, read_or_say
from worker.tools.letters.shown import whole, whole_json
from worker.tools.letters.topic import LetterTopic
from worker.tools.screen import Screen, plain, write_json
from worker.tools.unreadable import unreadable

if TYPE_CHECKING:
    from worker.dead_letters import DeadLetter
    from worker.jobs import Record
    from worker.settings import Settings
    from worker.tools.letters.options import ListOptions

_PLACE = re.compile(r"([0-9]{1,9}):([0-9]{1,18})")


def list_letters(settings: Settings, options: ListOptions) -> None:
    """Print the chosen dead letters that the topic holds now. Raises StopError."""
    choice = choose(options, time.time())
    screen = _Screen(as_json=options.format == "json" or (options.format is None and not sys.stdout.isatty()))
    try:
        if options.show is not None:
            screen.show(_find(settings, options.show))
            return
        counts: Counter[tuple[str, ...]] = Counter()
        rows = Rows(options.rows)
        with LetterTopic(settings.kafka, choice) as topic:
            while not topic.ended:
                for record in topic.poll():
                    letter = read_or_say(record)
                    if letter is not None and choice.takes(record, letter):
                        counts[letter.reason,] += 1
                        if not options.count:
                            screen.list(record, letter, rows)
        screen.conclude(settings.kafka.dead_letter_topic, None if options.count else rows, counts)
    except KeyboardInterrupt:
        return
    except BrokenPipeError:  # the reader, `head` for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it flushes at exit


def _find(settings: Settings, place: str) -> Record:
    found = _PLACE.fullmatch(place)
    if found is None:
        raise StopError(Exit.USAGE, f"--show: expected PARTITION:OFFSET, got {place!r}")
    partition, offset = map(int, found.groups())
    with LetterTopic(settings.kafka, Choice(partition=partition, first=offset, last=offset)) as topic:
        while not topic.ended:
            for record in topic.poll():
                if record.offset <= offset < record.next_offset:
                    if (lost := unreadable(record)) is not None:
                        raise StopError(Exit.CORRUPT, lost)
                    return record
    raise StopError(
        Exit.USAGE, f"--show: topic {settings.kafka.dead_letter_topic} partition {partition} has no offset {offset}"
    )


class _Screen:
    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._out = Screen()
        self._err = Screen(stderr=True)

    def list(self, record: Record, letter: DeadLetter, rows: Rows) -> None:
        if self._as_json:
            self._write(as_json(record, letter))
        else:
            rows.add(record, letter)

    def show(self, record: Record) -> None:
        if self._as_json:
            self._write(whole_json(record))
        else:
            self._out.print(plain(whole(record), keep="\n\t"), soft_wrap=True)

    def conclude(self, topic: str, rows: Rows | None, counts: Counter[tuple[str, ...]]) -> None:
        """Print the table or the counts, or that there is nothing; without `rows` only counts were asked for."""
        if not counts:
            self._err.print(plain(f"{topic}: no dead letters, or none that was chosen"), soft_wrap=True)
        if self._as_json and rows is None:
            self._write({reason: count for (reason,), count in counts.most_common()})
        elif not self._as_json and counts:
            self._out.print(counted(counts, "reason") if rows is None else rows.table())
            if rows is not None and (line := rows.left_out()):
                self._err.print(plain(line, "dim"))

    def _write(self, document: dict[str, Any]) -> None:
        write_json(orjson.dumps(document))

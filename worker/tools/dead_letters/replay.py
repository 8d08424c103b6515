"""`rerank-worker replay`: sends dead letters back to where they came from, and remembers how far it came."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from worker.app.signals import StopSignals
from worker.exits import Exit, StopError
from worker.tools.dead_letters.choice import choose, why_not
from worker.tools.dead_letters.outlets import Outlets
from worker.tools.dead_letters.rows import Rows, counted, read_or_say
from worker.tools.dead_letters.sending import Sending
from worker.tools.dead_letters.topic import DeadLetterTopic
from worker.tools.screen import Screen, plain

if TYPE_CHECKING:
    from worker.config.settings import Settings
    from worker.tools.dead_letters.choice import Choice
    from worker.tools.dead_letters.options import ReplayOptions


def replay(settings: Settings, options: ReplayOptions) -> None:
    """Send the chosen dead letters back, from where the last replay came to until where the topic ends now.

    Raises StopError; what was acknowledged until then is remembered.
    """
    kafka = settings.kafka
    choice = choose(options, time.time())
    if options.to == kafka.dead_letter_topic:
        raise StopError(Exit.USAGE, f"--to: expected another topic than the dead-letter topic, got {options.to!r}")
    group = f"{kafka.group_id}-replay"
    with DeadLetterTopic(kafka, choice, progress_group=group, from_beginning=options.from_beginning) as topic:
        if topic.ended:
            print(
                f"nothing to replay: {kafka.dead_letter_topic} has nothing there that group {group} has not read; "
                "--from-beginning reads everything again"
            )
        elif options.dry_run:
            _dry_run(topic, choice, options)
        else:
            with Outlets(kafka, options.to) as outlets:
                signals = StopSignals()
                signals.finish_first()
                signals.install()
                Sending(topic, outlets, choice, options).run(signals.asked)


def _dry_run(topic: DeadLetterTopic, choice: Choice, options: ReplayOptions) -> None:
    rows, counts = Rows(options.rows), Counter[tuple[str, ...]]()
    while not topic.ended:
        for record in topic.poll():
            letter = read_or_say(record)
            if letter is None or not choice.takes(record, letter):
                continue
            skipped = why_not(record, letter, options)
            fate = f"skipped: {skipped}" if skipped else f"to {options.to or letter.partition.topic}"
            rows.add(record, letter, fate)
            counts[letter.reason, fate] += 1
    out = Screen()
    if counts:
        out.print(rows.table(), "", counted(counts, "reason", "replay"), sep="\n")
    if line := rows.left_out():
        out.print(plain(line, "dim"))
    print(f"dry run: {counts.total()} dead letters were chosen, nothing was sent")

"""Texts of which none comes twice: whatever is measured with them has no cache to answer from."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from worker.tools.bench.workload import described, synthetic_pairs
from worker.tools.bench.workload_file import read_texts_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worker.events.codec import EventOptions
    from worker.tools.bench.workload_file import Least, Pair


class FreshTexts:
    """The pairs of a file, the first of each text, or synthetic ones without end.

    `description` says where they come from, for the report. Raises StopError(Exit.USAGE) for a file that cannot be
    used.
    """

    def __init__(self, file: Path | None, options: EventOptions, *, mean_tokens: float, least: Least) -> None:
        self._left: int | None = None
        self._pairs: Iterator[Pair]
        if file is None:
            self._pairs, self.description = synthetic_pairs(mean_tokens=mean_tokens), described(mean_tokens)
        else:
            found = read_texts_once(file, options, least)
            self._pairs, self._left = iter(found), len(found)
            self.description = f"{len(found):,} pairs of {file}"

    def lasting(self, wanted: int, rounds: int) -> int:
        """Return how many texts each of so many rounds can have: `wanted`, or fewer where the file has no more."""
        return wanted if self._left is None else min(wanted, self._left // rounds)

    def take(self, count: int) -> list[Pair]:
        """Return the next `count` pairs; `lasting` says how many there are."""
        taken = list(itertools.islice(self._pairs, count))
        if self._left is not None:
            self._left -= len(taken)
        return taken

"""The table of the suite: faults x invariants x runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.faults.checker import INVARIANTS, applies
from tests.support.marked_text import replace_between

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.checker import Findings
    from tests.faults.history import Delivery

_MARKS = ("<!-- the table of the suite -->", "<!-- its end -->")
_COLUMNS = ("fault", "delivery", "runs", *INVARIANTS, "back at work", "bound")


@dataclass
class Row:
    """What the runs of one fault have shown under one delivery."""

    bound_s: float
    runs: int = 0
    broken: Counter[str] = field(default_factory=Counter)  # runs that broke an invariant
    excused: Counter[str] = field(default_factory=Counter)  # runs in which the brokers did
    slowest_s: float = 0.0


class Table:
    """Collects the findings of every run."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, Delivery], Row] = {}
        self.requests = 0
        self.ends: Counter[int] = Counter()  # statuses of the workers that ended

    def expect(self, fault: str, delivery: Delivery, *, bound_s: float) -> None:
        """Have a row for what will be run."""
        self.rows.setdefault((fault, delivery), Row(bound_s))

    def add(self, fault: str, delivery: Delivery, findings: Findings, *, requests: int, ends: Counter[int]) -> None:
        """Note what a run has shown. `ends` are the statuses of workers that ended."""
        row = self.rows[fault, delivery]
        row.runs += 1
        row.broken.update(name for name, lines in findings.violations.items() if lines)
        row.excused.update(findings.excused)
        row.slowest_s = max(row.slowest_s, findings.recovery_s)
        self.requests += requests
        self.ends += ends

    def lines(self) -> list[str]:
        """Return the table as Markdown, which can be read as it is."""
        rows = [_COLUMNS, *self._cells()]
        widths = [max(len(row[at]) for row in rows) for at in range(len(_COLUMNS))]
        rows.insert(1, tuple("-" * width for width in widths))
        table = [
            f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in rows
        ]
        return [*table, "", self._summary()]

    def write(self, path: Path) -> None:
        """Put the table between its marks in a Markdown file. Raises ValueError where they are missing."""
        replace_between(path, _MARKS, "\n".join(self.lines()))

    def _cells(self) -> Iterator[tuple[str, ...]]:
        for (fault, delivery), row in self.rows.items():
            marks = (_mark(row, name, delivery) for name in INVARIANTS)
            yield fault, delivery, str(row.runs), *marks, f"{row.slowest_s:.1f} s", f"{row.bound_s:g} s"

    def _summary(self) -> str:
        runs = sum(row.runs for row in self.rows.values())
        broken = sum(row.broken.total() for row in self.rows.values())
        return (
            f"{runs} runs, {self.requests:,} requests, {self.ends[-9]} workers killed with -9, "
            f"{self.ends.total() - self.ends[-9]} ended otherwise; {broken or 'no'} invariants broken."
        )


def _mark(row: Row, invariant: str, delivery: Delivery) -> str:
    if not applies(invariant, delivery):
        return "n/a"
    if not row.runs:
        return "not tried"
    broken, excused = row.broken[invariant], row.excused[invariant]
    if broken:
        return f"{broken} broken"
    return f"{excused} by Kafka" if excused else "✓"

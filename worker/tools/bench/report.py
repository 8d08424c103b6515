"""The figures of a bench: medians over runs with stable names, as a table, a JSON file and ratios."""

from __future__ import annotations

import json
import re
import statistics
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from worker.terminal.printable import printable
from worker.tools.screen import Screen, plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from worker.tools.bench.environment import Environment

_PIPED_WIDTH = 140
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")


@dataclass(frozen=True, slots=True)
class Result:
    """A measurement: the median of its runs, in `unit`."""

    name: str
    value: float
    unit: str
    runs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Ratio:
    """One measurement divided by another of the same bench."""

    name: str
    value: float


class Report:
    """Collects what one bench has measured. A name is used once, and is lower-case words between dots."""

    def __init__(self, title: str, environment: Environment) -> None:
        self.title = title
        self.environment = environment
        self.results: list[Result] = []
        self.ratios: list[Ratio] = []
        self._notes: list[str] = []
        self._hidden: set[str] = set()
        self._tables: list[Table] = []

    def add(self, name: str, unit: str, runs: Sequence[float] | float, *, in_table: bool = True) -> Result:
        """Note a measurement by its runs; its value is their median. Without `in_table` only the JSON file has it."""
        values = tuple(map(float, runs)) if not isinstance(runs, (int, float)) else (float(runs),)
        result = Result(self._new(name), statistics.median(values), unit, values)
        self.results.append(result)
        if not in_table:
            self._hidden.add(name)
        return result

    def add_ratio(self, name: str, ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
        """Note the median of the ratios of runs that were made side by side, so that a slow minute hits both."""
        ratio = Ratio(self._new(name), statistics.median(a / b for a, b in zip(ours, theirs, strict=True)))
        self.ratios.append(ratio)
        return ratio

    def add_table(self, table: Table) -> None:
        """Show a table of the bench's own above the measurements."""
        self._tables.append(table)

    def note(self, line: str) -> None:
        """Say something below the table that a figure cannot."""
        self._notes.append(line)

    def value(self, name: str) -> float:
        """Return a result's or a ratio's value. Raises KeyError for a name that was not measured."""
        return self._names()[name]

    def as_dict(self) -> dict[str, Any]:
        """Return what the JSON file holds."""
        return {
            "environment": {"bench": self.title, **self.environment.as_dict()},
            "results": [
                {"name": each.name, "value": each.value, "unit": each.unit, "runs": list(each.runs)}
                for each in self.results
            ],
            "ratios": [{"name": each.name, "value": each.value} for each in self.ratios],
        }

    def finish(self, json_file: Path | None) -> None:
        """Print the table, and write the JSON file where one is wanted."""
        console = Screen(width=None if sys.stdout.isatty() else _PIPED_WIDTH)
        console.print(
            f"[bold]{escape(printable(self.title))}[/bold]: {escape(printable(self.environment.line()))}",
            soft_wrap=True,
        )
        for table in [*self._tables, self._table()]:
            console.print(table)
        for line in self._notes:
            console.print(plain(line, keep="\n"), soft_wrap=True)
        if json_file is not None:
            json_file.write_text(json.dumps(self.as_dict(), indent=2) + "\n", encoding="utf-8")
            console.print(f"written to {escape(str(json_file))}", soft_wrap=True)

    def _names(self) -> dict[str, float]:
        results = {each.name: each.value for each in self.results}
        return results | {each.name: each.value for each in self.ratios}

    def _table(self) -> Table:
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("measurement", no_wrap=True)
        for name in ("median", "lowest", "highest"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("unit", no_wrap=True)
        for each in self.results:
            if each.name in self._hidden:
                continue
            many = len(each.runs) > 1
            ends = (_shown(min(each.runs)), _shown(max(each.runs))) if many else ("", "")
            table.add_row(each.name, _shown(each.value), *ends, each.unit)
        for ratio in self.ratios:
            table.add_row(ratio.name, _shown(ratio.value), "", "", "ratio")
        return table

    def _new(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"expected a name of lower-case words between dots, got {name!r}")
        if name in self._names():
            raise ValueError(f"{name} was measured already")
        return name


def _shown(value: float) -> str:
    """Return a number with three or four digits that mean something."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 1000 else f"{value:,.1f}" if size >= 100 else f"{value:,.3g}"  # noqa: PLR2004

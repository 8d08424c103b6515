"""The table of what was run: written into a page by the run itself."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.marked_text import replace_between

if TYPE_CHECKING:
    from tests.cluster.load import Outcome

MARKS = ("<!-- the table of the cluster test -->", "<!-- its end -->")
_COUNTS = ("requests", "lost", "more than once", "late", "unranked", "outage", "late outside of it")
_COLUMNS = ("what was done", "how long it took", *_COUNTS)


class Table:
    """Collects a row for each thing that was done, and how pods ended."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, ...]] = []
        self.ended = 0
        self.slowest_end_s = 0.0

    def add(self, what: str, took: str, outcome: Outcome | None = None) -> None:
        """Have a row, with what became of the requests if there were any."""
        cells: list[str] = []
        if outcome is not None:
            shares = (f"{count / outcome.sent:.1%}" for count in (outcome.late, outcome.unranked))
            cells += [f"{outcome.sent:,}", str(outcome.lost), str(outcome.repeated), *shares]
            if outcome.outage is not None:
                cells += [f"{outcome.outage.took_s:.1f} s", str(outcome.outage.late_outside)]
        self.rows.append((what, took, *cells, *[""] * (len(_COUNTS) - len(cells))))

    def lines(self) -> list[str]:
        """Return the table as Markdown."""
        table = [f"| {' | '.join(row)} |" for row in (_COLUMNS, ("---",) * len(_COLUMNS), *self.rows)]
        ends = (
            f"{self.ended} pods were asked to end; all did with status 0, the slowest after {self.slowest_end_s:.0f} s."
        )
        return [*table, "", f"{ends} {_machine()}."]

    def write(self, path: Path) -> None:
        """Put the table between its marks in a Markdown file. Raises ValueError where they are missing."""
        replace_between(path, MARKS, "\n".join(self.lines()))


def _machine() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    cores = f"{os.cpu_count()} cores ({found[1] if found else 'unknown'})"
    return f"On {cores}, everything on one machine, whose load of the last 15 minutes was {os.getloadavg()[2]:.0f}"

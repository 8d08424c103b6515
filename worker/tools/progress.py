"""Shows what a command is doing, and how long each step took: a spinner on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.status import Status

from worker.terminal.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console


class Step:
    """One step under way. What `done` says is printed when it has succeeded."""

    def __init__(self, doing: str, spinner: Status | None) -> None:
        self.done = doing
        self._spinner = spinner

    def show(self, doing: str) -> None:
        """Show on a terminal how far it is."""
        if self._spinner is not None:
            self._spinner.update(escape(printable(doing)))


class Steps:
    """The steps of one command, one after the other."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, doing: str) -> Iterator[Step]:
        """Show `doing` until the block ends, then print a line with what was done and the seconds that it took."""
        began_s = time.monotonic()
        spinner = Status(escape(printable(doing)), console=self._console) if self._console.is_terminal else None
        step = Step(doing, spinner)
        if spinner is not None:
            spinner.start()
        mark = "[red]✗[/red]"
        try:
            yield step
            mark = "[green]✓[/green]"
        finally:
            if spinner is not None:
                spinner.stop()
            self._console.print(f"{mark} {escape(printable(step.done))}  [dim]{time.monotonic() - began_s:.1f} s[/dim]")

"""Shows how far a bench is: on standard error, and only where that is a terminal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from worker.tools.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator


class Advance(Protocol):
    """Says what is under way now, and by how many steps the work has advanced."""

    def __call__(self, doing: str, steps: float = 0) -> None:
        """Show `doing`, and move on by `steps`."""


@contextmanager
def progress(total: float) -> Iterator[Advance]:
    """Show a bar of `total` steps until the block ends; call what it gives to move it."""
    console = Screen(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)

        def advance(doing: str, steps: float = 0) -> None:
            bar.update(task, description=doing, advance=steps)

        yield advance

"""The command: asks the workers again and again, and shows the answers on one screen, or once as plain text."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import time
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.text import Text

from worker.exits import Exit, StopError
from worker.tools.screen import Screen
from worker.tools.top.addresses import addresses
from worker.tools.top.scrapes import Scraper
from worker.tools.top.tables import screen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console, RenderableType

    from worker.tools.top.scrapes import Scrape

_TIMEOUT_S = 3.0
_SHORTEST_S, _LONGEST_S = 0.1, 3600.0
_PIPED_WIDTH = 160
_BESIDE_PARTITIONS = 20  # lines of the screen that everything else takes with one worker
_FEWEST = 3


class _Output(Screen):
    """Ends the command well, which the library would call failed, where the reader, `head` for one, has seen enough."""

    def on_broken_pipe(self) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it flushes at exit
        raise SystemExit(Exit.OK)


def top(urls: Sequence[str], *, once: bool, interval_s: float) -> None:
    """Show the workers at these addresses until Ctrl-C, or once: what they did in one interval.

    Raises StopError: Exit.USAGE for an address that is none, or such an interval; Exit.UNREACHABLE where no worker
    answers the one look.
    """
    if not _SHORTEST_S <= interval_s <= _LONGEST_S:
        raise StopError(
            Exit.USAGE, f"--interval: expected {_SHORTEST_S:g} to {_LONGEST_S:g} seconds, got {interval_s:g}"
        )
    scraper = Scraper(addresses(urls), _TIMEOUT_S)
    console = _Output(width=None if sys.stdout.isatty() else _PIPED_WIDTH)
    try:
        if once:
            scraper.scrape()
            time.sleep(interval_s)
            scrapes = scraper.scrape()
            console.print(screen(scrapes, partitions=sys.maxsize))
            if not any(scrape.reading for scrape in scrapes):
                raise StopError(
                    Exit.UNREACHABLE, "no worker answers; check the addresses, and --http-port of the workers"
                )
        else:
            _watch(scraper, console, interval_s)
    except KeyboardInterrupt:
        return


def _watch(scraper: Scraper, console: Console, interval_s: float) -> None:
    """Show each look in the place of the last one; below it where the output is no terminal."""
    with contextlib.ExitStack() as stack:
        show: Callable[[RenderableType], None] = console.print
        if console.is_terminal:
            live = stack.enter_context(Live(console=console, screen=True, auto_refresh=False))
            show = functools.partial(live.update, refresh=True)
        while True:
            due_s = time.monotonic() + interval_s
            show(_framed(scraper.scrape(), console, interval_s))
            time.sleep(max(0.0, due_s - time.monotonic()))


def _framed(scrapes: Sequence[Scrape], console: Console, interval_s: float) -> RenderableType:
    """Return the screen under a line that says when this was."""
    now = time.strftime("%H:%M:%S")
    head = Text(f"rerank-worker top   {now}   every {interval_s:g} s, Ctrl-C ends it", style="dim")
    partitions = max(_FEWEST, console.height - _BESIDE_PARTITIONS - len(scrapes))
    return Group(head, screen(scrapes, partitions))

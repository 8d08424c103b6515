"""Where the commands print: tables and lines on a terminal or into a pipe, and JSON lines."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

from worker.terminal.encoding import let_stand_in
from worker.terminal.printable import printable, printable_json


class Screen(Console):
    """Standard output or standard error, in whichever encoding; text is not coloured by what it looks like."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        let_stand_in(sys.stderr if stderr else sys.stdout)
        super().__init__(stderr=stderr, width=width, highlight=False, emoji=False)


def plain(text: str, style: str = "", *, keep: str = "") -> Text:
    """Return text of others for a screen: printable, and not taken for markup. `keep` is as in `printable`."""
    return Text(printable(text, keep), style=style)


def complain(text: str) -> None:
    """Print a line on standard error."""
    Screen(stderr=True).print(plain(text, "red"), soft_wrap=True)


def write_json(document: bytes) -> None:
    """Write a JSON document in UTF-8 as a line on standard output, so that it does not steer a terminal either."""
    # A terminal of another encoding would take parts of letters for controls.
    ascii_only = sys.stdout.isatty() and not sys.stdout.encoding.lower().startswith("utf")
    sys.stdout.buffer.write(printable_json(document.decode(), ascii_only=ascii_only).encode() + b"\n")
    sys.stdout.buffer.flush()

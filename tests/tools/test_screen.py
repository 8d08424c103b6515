"""What the commands print with."""

from __future__ import annotations

import ast
import io
import sys
from pathlib import Path

import pytest

from worker.tools.screen import Screen, complain, plain, write_json

PACKAGE = Path(__file__).parent.parent.parent / "worker"


class Terminal(io.TextIOWrapper):
    """Standard output on a terminal of some encoding."""

    def __init__(self, encoding: str) -> None:
        self.seen = io.BytesIO()
        super().__init__(self.seen, encoding=encoding, write_through=True)

    def isatty(self) -> bool:
        return True


def test_every_command_prints_through_it() -> None:
    makers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Console"
    }
    assert makers == set()


def test_text_of_others_is_neither_markup_nor_a_smiley_nor_steers(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().print(plain("[red]:smile:\x1b[2J\n"), soft_wrap=True)
    complain("[red]\x9b2J")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("[red]:smile:\\x1b[2J\\n\n", "[red]\\x9b2J\n")


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("utf-8", '{"q": "✓ 電é\\u009b2J"}\n'), ("latin-1", '{"q": "\\u2713 \\u96fb\\u00e9\\u009b2J"}\n')],
)
def test_json_on_a_terminal_is_what_its_encoding_can_show(
    monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str
) -> None:
    terminal = Terminal(encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    write_json('{"q":\n"✓ 電é\x9b2J"}'.encode())
    assert terminal.seen.getvalue().decode() == shown
    monkeypatch.undo()
    terminal.detach()


def test_a_terminal_of_another_encoding_shows_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal("latin-1")
    monkeypatch.setattr(sys, "stdout", terminal)
    Screen(width=80).print(plain("Bohrmaschine ✓ 電動 ↑3"))
    assert terminal.seen.getvalue().decode("latin-1").strip() == "Bohrmaschine + ???? ^3"
    monkeypatch.undo()
    terminal.detach()

"""The pictures, and what is said where they cannot be drawn."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from worker.exits import Exit, StopError
from worker.tools.bench.options import BenchOptions
from worker.tools.bench.plot import draw_lines

if TYPE_CHECKING:
    from pathlib import Path


def test_lines_are_drawn_into_a_png(tmp_path: Path) -> None:
    file = tmp_path / "lines.png"
    draw_lines(file, title="t", x="load", y="share", series={"edf": [(0.5, 1.0), (1.0, 0.9)], "fifo": [(0.5, 0.8)]})
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_plot_without_matplotlib_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(StopError, match=r"pip install 'rerank-worker\[bench\]'") as caught:
        BenchOptions(plot=tmp_path / "out.png").check()
    assert caught.value.code == Exit.USAGE

"""A tiny model for the benches, and the benches as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import transformers

from tests.model import tiny
from tests.tools.bench.names import undocumented
from tests.tools.conftest import command, environment
from worker.cli import execute
from worker.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


# Those that start a broker, and those of them that start workers.
WITH_WORKERS = ("stream", "budget", "capacity", "delivery")
WITH_A_BROKER = ("host", *WITH_WORKERS)
ALL = ("scorer", *WITH_A_BROKER)
# Longer than a bench itself waits for a worker or a result, so that it says what did not come.
_PATIENCE_S = 240


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that takes no time."""
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    return tiny.save_family("bert", tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture
def measure(broker: str, tiny_model: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Run a bench on the session's broker and return what it wrote as JSON, after checking its shape and its names."""

    def run(*words: str) -> dict[str, Any]:
        file, folder = tmp_path / "figures.json", tmp_path / "where-the-user-is"
        folder.mkdir()
        flags = [
            "--bootstrap-servers",
            broker,
            "--model",
            str(tiny_model),
            "--dtype",
            "float32",
            "--cpu-threads",
            "1",
        ]
        ended = bench(*words, *flags, "--json", str(file), folder=folder)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert list(folder.iterdir()) == []
        figures: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        assert undocumented({*named(figures), *named(figures, "ratios")}) == set()
        assert figures.keys() == {"environment", "results", "ratios"}
        assert all(each.keys() == {"name", "value", "unit", "runs"} for each in figures["results"])
        return figures

    return run


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a bench that cannot do what it is asked, and return the one line that it prints, on standard error.

    `status` is the exit status that it must have.
    """
    for name in [name for name in os.environ if name.startswith("RERANK_")]:
        monkeypatch.delenv(name)

    def run(*words: str, status: Exit = Exit.USAGE) -> str:
        monkeypatch.setattr("sys.argv", ["rerank-worker", "bench", *words])
        ended = execute()
        shown = capsys.readouterr()
        assert (ended, shown.out, shown.err.count("\n")) == (status, "", 1), shown.err
        return shown.err

    return run


def bench(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `rerank-worker bench …` in a folder to its end."""
    return subprocess.run(
        command("bench", *words),
        check=False,
        text=True,
        capture_output=True,
        timeout=_PATIENCE_S,
        env=environment(),
        cwd=folder,
    )


def named(figures: dict[str, Any], kind: str = "results") -> dict[str, float]:
    """Return the values by name."""
    return {each["name"]: each["value"] for each in figures[kind]}

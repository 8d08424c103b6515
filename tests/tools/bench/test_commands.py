"""What the commands make of a user's environment before they measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tools.bench.conftest import WITH_WORKERS
from worker.cli import execute
from worker.exits import Exit

if TYPE_CHECKING:
    from worker.config.settings import Settings


def settings_of(monkeypatch: pytest.MonkeyPatch, command: str, *words: str) -> Settings:
    """Return the settings with which a bench would measure."""
    given: list[Settings] = []
    monkeypatch.setattr(f"worker.tools.bench.{command}.bench_{command}", lambda settings, _: given.append(settings))
    monkeypatch.setattr("sys.argv", ["rerank-worker", "bench", command, *words])
    assert execute() == Exit.OK
    return given[0]


@pytest.mark.parametrize("command", WITH_WORKERS)
def test_a_score_cache_of_the_environment_does_not_answer_for_the_model(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RERANK_SCORE_CACHE_MB", "64")
    assert settings_of(monkeypatch, command).model.score_cache_mb == 0


@pytest.mark.parametrize("command", WITH_WORKERS)
def test_a_score_cache_is_measured_where_the_bench_is_told_so(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_of(monkeypatch, command, "--score-cache-mb", "32").model.score_cache_mb == 32

"""`bench budget`, as a user runs it, with a model that takes no time: what it reports, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.tools.bench.conftest import named

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.broker
def test_every_process_is_measured_with_and_without_a_scheduler(
    measure: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    words = ["--seconds", "0.3", "--loads", "0.2", "--lists", "2:0.5,4:0.5", "--budgets", "5000:0.7,9000:0.3"]
    plot = tmp_path / "shares.png"
    figures = measure("budget", *words, "--lone-events", "5", "--plot", str(plot))
    results = named(figures)
    for process in ("poisson", "bursty"):
        for schedule in ("worker", "fifo"):
            at = f"budget.{process}.load_20.{schedule}"
            assert results[f"{at}.events"] > 0
            assert results[f"{at}.lost"] == results[f"{at}.repeated"] == results[f"{at}.refused"] == 0
            outcomes = [results[f"{at}.{outcome}"] for outcome in ("reranked", "partial", "passthrough")]
            assert sum(outcomes) == pytest.approx(1)
            assert results[f"{at}.latency_ms_p50"] <= results[f"{at}.latency_ms_p99_9"]
    assert results["lone.events"] == 5
    assert results["lone.latency_ms_p50"] > results["lone.model_ms_p50"] > 0
    assert results["lone.broker_round_trip_ms_p50"] > 0
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--loads", "0.5,x"), "--loads: expected"),
        (("--loads", "0"), "--loads: expected"),
        (("--processes", "poisson,steady"), "--processes: expected"),
        (("--budgets", "0:1"), "--budgets: expected a number from 1 to 600000, got 0"),
        (("--lists", "5:0.5,2000:0.5"), "--lists: expected a whole number from 1 to 1000, got 2000"),
        (("--lists", "many"), "--lists: expected value:share, several with commas, got 'many'"),
        (("--schedule", "newest"), "--schedule: expected"),
        (("--lone-events", "0"), "--lone-events: expected"),
    ],
)
def test_a_wrong_option_is_one_clear_line(words: tuple[str, ...], complaint: str, refused: Callable[..., str]) -> None:
    assert complaint in refused("budget", *words)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--loads", "9"), "--loads: expected less than or equal to 5, got ['9']"),
        (("--loads", ""), "--loads: expected at least one, several with commas, got nothing"),
        (("--processes", "steady"), "--processes: expected 'poisson' or 'bursty', got ['steady']"),
        (("--processes", ","), "--processes: expected at least one, several with commas, got nothing"),
    ],
)
def test_a_wrong_list_says_nothing_but_what_is_wrong(
    words: tuple[str, ...], line: str, refused: Callable[..., str]
) -> None:
    assert refused("budget", *words) == f"rerank-worker: {line}\n"

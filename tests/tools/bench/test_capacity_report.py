"""What `bench capacity` says of what it found, and when."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from worker.exits import Exit, StopError
from worker.tools.bench.capacity_options import CapacityOptions
from worker.tools.bench.capacity_report import conclude
from worker.tools.bench.environment import Environment
from worker.tools.bench.lone import Lone
from worker.tools.bench.rate_search import Found, Trial
from worker.tools.bench.report import Report

if TYPE_CHECKING:
    from pathlib import Path

TRIALS = (Trial(8.0, 40, 160), Trial(4.0, 79, 80))
HELD = Found(4.0, 8.0, 79 / 80, 0.93, 0.998, 80, TRIALS)
NONE_HELD = Found(0.0, 8.0, math.nan, 0.0, 1.0, 0, TRIALS[:1])


def lone(took_s: float = 0.1) -> Lone:
    """Lists that took so long alone, nine tenths of it the model."""
    took = np.full(50, took_s)
    return Lone(took, 0.9 * took, 0.01 * took, {})


def told(found: Found, file: Path, *, alone: Lone | None = None, **options: Any) -> dict[str, float]:
    """Conclude and return the figures in the file."""
    conclude(
        Report("bench capacity", Environment()), found, 10.0, alone or lone(), CapacityOptions(json=file, **options)
    )
    written = json.loads(file.read_text())
    return {each["name"]: each["value"] for each in written["results"] + written["ratios"]}


def test_the_replicas_for_a_traffic_follow_from_the_rate_that_held(tmp_path: Path) -> None:
    figures = told(HELD, tmp_path / "out.json", traffic=100.0, headroom=0.3)
    assert (figures["capacity.events_per_second"], figures["capacity.replicas"]) == (4.0, 33)
    assert figures["capacity.fails_at_events_per_second"] == 8.0
    assert figures["capacity.vs_saturation"] == pytest.approx(0.4)


def test_what_was_measured_is_shown_and_written_before_a_traffic_that_nothing_serves_ends_the_bench(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, plot = tmp_path / "out.json", tmp_path / "out.png"
    with pytest.raises(StopError, match="--traffic: no number of replicas holds a budget of 500 ms") as caught:
        told(NONE_HELD, file, traffic=100.0, plot=plot)
    assert caught.value.code == Exit.USAGE
    names = {each["name"] for each in json.loads(file.read_text())["results"]}
    assert {"capacity.saturation.events_per_second", "capacity.events_per_second"} <= names
    assert "8.0: 25.0% of 160" in capsys.readouterr().out
    assert plot.exists()


def test_no_rate_at_all_is_no_error_where_no_traffic_is_asked_for(tmp_path: Path) -> None:
    assert told(NONE_HELD, tmp_path / "out.json")["capacity.events_per_second"] == 0


@pytest.mark.parametrize(("fails_at", "doubted"), [(8.0, False), (math.inf, False), (3.5, True)])
def test_a_rate_above_one_that_did_not_hold_is_doubted_aloud(
    fails_at: float, doubted: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(replace(HELD, fails_at=fails_at), tmp_path / "out.json")
    assert ("the machine was not steady" in " ".join(capsys.readouterr().out.split())) is doubted


def test_a_list_that_is_too_large_even_alone_is_told_from_a_queue_that_is_too_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(NONE_HELD, tmp_path / "alone.json", alone=lone(0.6))
    assert "Too large even alone: 100% of the lists took longer than 500 ms" in capsys.readouterr().out
    told(NONE_HELD, tmp_path / "queue.json", alone=lone(0.1))
    shown = capsys.readouterr().out
    assert "though a list alone has" in shown
    assert "Too large" not in shown


def test_too_few_events_are_told_with_how_many_it_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(HELD, tmp_path / "out.json")
    assert "80 show a share of 93.00% to 99.80%" in " ".join(capsys.readouterr().out.split())


def test_the_rate_stands_beside_the_queueing_bound_and_what_would_help(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = told(HELD, tmp_path / "out.json")
    bound = figures["capacity.queueing_bound.events_per_second"]
    assert 4.0 < bound < 1 / 0.09
    assert figures["capacity.vs_queueing_bound"] == pytest.approx(4.0 / bound)
    shown = capsys.readouterr().out
    assert "what would help" in shown
    assert "1000" in shown

"""The figures: medians, names, and the JSON file that others read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from worker.tools.bench.environment import Environment
from worker.tools.bench.report import Report

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def report() -> Report:
    return Report("bench test", Environment())


def test_a_result_is_the_median_of_its_runs(report: Report) -> None:
    assert report.add("scorer.pairs_per_second", "pairs/s", [3.0, 1.0, 50.0]).value == 3.0
    assert report.add("scorer.once", "s", 4).runs == (4.0,)


def test_a_ratio_is_the_median_over_runs_made_side_by_side(report: Report) -> None:
    assert report.add_ratio("scorer.vs_peer", [10.0, 1.0, 30.0], [5.0, 1.0, 10.0]).value == 2.0
    assert report.value("scorer.vs_peer") == 2.0


def test_ratios_need_as_many_runs_on_both_sides(report: Report) -> None:
    with pytest.raises(ValueError, match="shorter"):
        report.add_ratio("scorer.vs_peer", [1.0, 2.0], [1.0])


@pytest.mark.parametrize("name", ["scorer", "Scorer.rate", "scorer.pairs per second", "scorer..rate", ""])
def test_a_name_that_is_not_words_between_dots_is_refused(report: Report, name: str) -> None:
    with pytest.raises(ValueError, match="lower-case words between dots"):
        report.add(name, "s", [1.0])


def test_a_name_is_used_once(report: Report) -> None:
    report.add("scorer.rate", "s", [1.0])
    with pytest.raises(ValueError, match="measured already"):
        report.add_ratio("scorer.rate", [1.0], [1.0])


def test_the_file_has_environment_results_and_ratios(report: Report, tmp_path: Path) -> None:
    report.environment.add(workload="ten pairs")
    report.add("scorer.rate", "pairs/s", [2.0, 1.0])
    report.add_ratio("scorer.vs_peer", [2.0], [1.0])
    report.finish(tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["results"] == [{"name": "scorer.rate", "value": 1.5, "unit": "pairs/s", "runs": [2.0, 1.0]}]
    assert written["ratios"] == [{"name": "scorer.vs_peer", "value": 2.0}]
    assert written["environment"] | {"bench": "bench test", "workload": "ten pairs"} == written["environment"]
    known = {"processor", "cores", "python", "libraries", "load_average_at_start", "load_average_at_end"}
    assert known <= written["environment"].keys()


def test_the_table_shows_every_figure_and_the_machine(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    report.add("scorer.rate", "pairs/s", [1234.5, 1000.0, 2000.0])
    report.note("what a figure cannot say")
    report.finish(None)
    shown = capsys.readouterr().out
    assert all(
        word in shown for word in ("bench test", "scorer.rate", "1,234", "2,000", "pairs/s", "cores", "cannot say")
    )

"""What a soak makes of its samples."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.faults.samples import Sample, drift
from tests.faults.soak_plot import draw

if TYPE_CHECKING:
    from pathlib import Path


def _samples(*resident_mb: float) -> list[Sample]:
    return [Sample(360.0 * at, mb, 20, 30, 100, 5.0, 50.0) for at, mb in enumerate(resident_mb)]


def test_what_grows_is_seen_by_the_hour_and_the_beginning_does_not_count() -> None:
    grown = drift(_samples(50, 80, *(100 + at for at in range(2, 11))))
    assert grown == {"resident_mb": pytest.approx(10), "threads": 0, "files": 0, "latency_p50_ms": 0}


def test_a_look_at_which_nothing_had_come_out_says_nothing() -> None:
    samples = _samples(*(100 + at for at in range(11)))
    samples[5] = replace(samples[5], latency_p50_ms=float("nan"), resident_mb=900)
    assert drift(samples)["latency_p50_ms"] == 0
    assert drift(samples)["resident_mb"] == pytest.approx(10)


def test_a_run_without_samples_shows_no_drift() -> None:
    assert drift([]) == {}
    assert drift(_samples(100)) == {}


def test_a_plot_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra bench is not installed")
    draw(tmp_path / "soak.png", _samples(100, 101), [(10.0, "worker killed")], title="a soak")
    assert (tmp_path / "soak.png").stat().st_size > 10_000

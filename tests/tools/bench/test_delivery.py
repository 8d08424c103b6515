"""`bench delivery`, as a user runs it, with a model that takes no time: what it reports, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.tools.bench.conftest import named
from worker.tools.bench.delivery_report import Run, tell
from worker.tools.bench.environment import Environment
from worker.tools.bench.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.apache
@pytest.mark.broker
def test_both_deliveries_are_measured_in_one_run(measure: Callable[..., dict[str, Any]]) -> None:
    words = ("--seconds", "0.2", "--repeat", "2", "--candidates", "3", "--lone-events", "5")
    figures = measure("delivery", *words, "--transaction-interval-s", "0.2")
    results = named(figures)
    for delivery in ("at_least_once", "exactly_once"):
        assert results[f"delivery.{delivery}.pairs_per_second"] > 0
        assert 0 < results[f"delivery.{delivery}.latency_ms_p50"] <= results[f"delivery.{delivery}.latency_ms_p99"]
    assert named(figures, "ratios").keys() == {"delivery.throughput_vs_at_least_once"}
    # The reader sees a result when its transaction ends, and those are 0.2 s apart: it reads what was committed.
    assert results["delivery.added_ms_p50"] > 20
    assert figures["environment"]["transaction_interval_s"] == 0.2


def test_what_exactly_once_adds_is_the_median_of_the_differences() -> None:
    report = Report("bench delivery", Environment())
    least = [Run(100.0, [5.0, 6.0, 50.0]), Run(80.0, [5.0, 5.0, 5.0]), Run(100.0, [7.0])]
    exactly = [Run(90.0, [30.0, 36.0, 90.0]), Run(80.0, [25.0, 25.0, 25.0]), Run(50.0, [107.0])]
    tell(report, {"at_least_once": least, "exactly_once": exactly})
    assert report.value("delivery.added_ms_p50") == 30
    assert report.value("delivery.exactly_once.latency_ms_p50") == 36
    assert report.value("delivery.exactly_once.latency_ms_p99") == 107
    assert report.value("delivery.throughput_vs_at_least_once") == pytest.approx(0.9)


def test_a_broker_without_transactions_is_one_line(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAFKA_HOME", raising=False)
    assert "the embedded broker has no transactions that can be used; set KAFKA_HOME" in refused("delivery")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--lone-events", "0"), "--lone-events: expected"),
        (("--candidates", "0"), "--candidates: expected"),
        (("--transaction-interval-s", "0"), "--transaction-interval-s: expected"),
    ],
)
def test_a_wrong_option_is_one_clear_line(words: tuple[str, ...], complaint: str, refused: Callable[..., str]) -> None:
    assert complaint in refused("delivery", *words)

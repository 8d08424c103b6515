"""`bench capacity`, as a user runs it, with a model that takes no time: what it reports, and what it refuses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from tests.tools.bench.conftest import named

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.broker
def test_a_rate_and_the_replicas_for_a_traffic_are_found(measure: Callable[..., dict[str, Any]]) -> None:
    # A budget that a lone worker holds even on a busy machine, and a share that one late event does not spoil.
    words = ["--budget-ms", "60000", "--candidates", "2", "--share", "0.5", "--traffic", "100000", "--headroom", "0.5"]
    results = named(measure("capacity", "--seconds", "0.2", "--repeat", "3", *words))
    rate = results["capacity.events_per_second"]
    assert 0 < rate <= 1.1 * results["capacity.saturation.events_per_second"]
    assert results["capacity.pairs_per_second"] == pytest.approx(2 * rate)
    assert results["capacity.share_low_95"] < results["capacity.share"] <= 1
    assert results["capacity.replicas"] == math.ceil(100_000 * 1.5 / rate)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--budget-ms", "0"), "--budget-ms: expected"),
        (("--share", "1"), "--share: expected"),
        (("--repeat", "2"), "--repeat: expected"),
        (("--traffic", "none"), "--traffic: expected"),
        (("--candidates", "1001"), "--candidates: expected"),
        (("--headroom", "-0.1"), "--headroom: expected"),
    ],
)
def test_a_wrong_option_is_one_clear_line(words: tuple[str, ...], complaint: str, refused: Callable[..., str]) -> None:
    assert complaint in refused("capacity", *words)

"""What a batch will take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.scheduling.cost_model import CostModel, CostOptions, Load

FIXED_S, PER_TOKEN_S, PER_SQUARE_S = 0.002, 7e-5, 2e-8


def _seconds(load: Load, slowdown: float = 1.0) -> float:
    return (FIXED_S + PER_TOKEN_S * load.tokens + PER_SQUARE_S * load.squares) * slowdown


def _loads(count: int, seed: int = 1) -> list[Load]:
    chance = np.random.default_rng(seed)
    lengths = [chance.integers(10, 120, chance.integers(1, 100)) for _ in range(count)]
    return [Load(int(each.sum()), int((each**2).sum())) for each in lengths]


WARM_UP = [
    (Load(n * length, n * length**2), _seconds(Load(n * length, n * length**2)))
    for n in (1, 8, 32)
    for length in (16, 48, 128)
]


def _model(quantile: float = 0.95) -> CostModel:
    return CostModel(CostOptions(cost_quantile=quantile), WARM_UP)


def test_the_warm_up_alone_predicts_what_it_has_not_seen() -> None:
    model = _model()
    for load in _loads(20):
        assert model.predict(load) == pytest.approx(_seconds(load) * model.spread, rel=0.01)


def test_a_first_batch_that_took_ages_changes_little() -> None:
    model, load = _model(), Load(500, 50_000)
    before_s = model.predict(load)
    model.observe(load, 100 * _seconds(load))
    assert model.predict(load) == pytest.approx(before_s, rel=0.01)


def test_a_warm_up_that_was_three_times_too_slow_is_forgotten_within_five_batches() -> None:
    model = CostModel(CostOptions(), [(load, 3 * seconds) for load, seconds in WARM_UP])
    for load in _loads(5):
        model.observe(load, _seconds(load))
    load = Load(500, 50_000)
    assert model.predict(load) == pytest.approx(_seconds(load) * model.spread, rel=0.05)


def test_a_model_without_a_warm_up_learns_from_its_batches() -> None:
    model = CostModel(CostOptions(), [])
    assert model.predict(Load(100, 10_000)) == 0
    for load in _loads(50):
        model.observe(load, _seconds(load))
    assert model.predict(Load(1000, 100_000)) == pytest.approx(_seconds(Load(1000, 100_000)), rel=0.1)


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
def test_the_asked_share_of_batches_comes_back_within_the_prediction(quantile: float) -> None:
    model, chance = _model(quantile), np.random.default_rng(7)
    held = []
    for load in _loads(3000):
        seconds = _seconds(load) * chance.lognormal(0, 0.1)
        held.append(seconds <= model.predict(load))
        model.observe(load, seconds)
    assert np.mean(held[500:]) == pytest.approx(quantile, abs=0.06)


def test_a_device_that_slows_down_and_comes_back_is_followed_within_ten_batches() -> None:
    model, chance = _model(), np.random.default_rng(7)
    ratios = []
    for number, load in enumerate(_loads(600)):
        seconds = _seconds(load, 3.0 if 200 <= number < 400 else 1.0) * chance.lognormal(0, 0.05)
        ratios.append(model.predict(load) / seconds)
        model.observe(load, seconds)
    assert np.median(ratios[100:200]) == pytest.approx(1.1, abs=0.15)
    assert np.median(ratios[210:400]) == pytest.approx(1.1, abs=0.15)
    assert np.median(ratios[410:]) == pytest.approx(1.1, abs=0.15)


def test_a_long_run_of_equal_batches_does_not_spoil_the_prediction_of_others() -> None:
    model = _model()
    same = Load(800, 40_000)
    for _ in range(1000):
        model.observe(same, _seconds(same))
    for load in _loads(20):
        assert model.predict(load) == pytest.approx(_seconds(load), rel=0.5)


def test_one_batch_that_took_ages_changes_little() -> None:
    model = _model()
    loads = _loads(100)
    for load in loads:
        model.observe(load, _seconds(load))
    before = model.predict(loads[0])
    model.observe(loads[0], 100 * _seconds(loads[0]))
    assert model.predict(loads[0]) == pytest.approx(before, rel=0.05)


@given(
    st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 512), st.floats(1e-6, 10)), min_size=1, max_size=40),
    st.integers(1, 5000),
    st.integers(1, 512),
)
def test_whatever_was_measured_more_work_never_costs_less(
    measured: list[tuple[int, int, float]], tokens: int, length: int
) -> None:
    model = CostModel(CostOptions(), [])
    for each_tokens, each_length, seconds in measured:
        model.observe(Load(each_tokens, each_tokens * each_length), seconds)
    small, large = Load(tokens, tokens * length), Load(2 * tokens, 2 * tokens * length)
    assert 0 <= model.predict(small) <= model.predict(large)
    assert all(np.isfinite(model.safe()))


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.25])
def test_half_of_the_batches_take_less_than_expected_and_the_safe_time_is_as_far_above_as_they_vary(
    noise: float,
) -> None:
    model, chance = _model(), np.random.default_rng(7)
    expected, safe = [], []
    for load in _loads(3000):
        seconds = _seconds(load) * chance.lognormal(0, noise)
        expected.append(model.expect(load) / seconds)
        safe.append(model.predict(load) / seconds)
        model.observe(load, seconds)
    assert 0.95 <= np.median(expected[500:]) <= 1.05
    assert np.mean(np.array(safe[500:]) >= 1) == pytest.approx(0.95, abs=0.04)
    assert model.spread <= np.exp(2.5 * noise)
    assert model.spread <= model.caution


def test_after_a_pause_three_batches_outvote_what_was_measured_before_it() -> None:
    model, load = _model(), Load(500, 50_000)
    for number in range(100):
        model.observe(load, 2.3 * _seconds(load), float(number))
    assert model.expect(load) == pytest.approx(2.3 * _seconds(load), rel=0.05)
    model.observe(load, _seconds(load), 1000.0)
    assert model.expect(load) == pytest.approx(2.3 * _seconds(load), rel=0.05)  # one batch alone may be an odd one
    for number in range(2):
        model.observe(load, _seconds(load), 1001.0 + number)
    assert model.expect(load) == pytest.approx(_seconds(load), rel=0.05)


def test_passes_are_a_cost_of_their_own() -> None:
    def seconds(load: Load) -> float:
        return 0.01 * load.passes + 1e-5 * load.tokens

    loads = [Load(tokens, 0, passes) for tokens in (100, 1000, 4000) for passes in (1, 2, 5)]
    model = CostModel(CostOptions(), [(load, seconds(load)) for load in loads])
    assert model.expect(Load(2000, 0, 4)) == pytest.approx(0.06, rel=0.01)

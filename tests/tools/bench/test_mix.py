"""Mixes as they are written, and as they are drawn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from worker.exits import Exit, StopError
from worker.tools.bench.mix import parse_mix


def test_values_are_drawn_as_often_as_their_shares_say() -> None:
    mix = parse_mix("--budgets", ["100:0.7", "300:0.3"], low=1, high=1000)
    drawn = mix.draw(200, np.random.default_rng(0))
    assert Counter(drawn.tolist()) == {100.0: 140, 300.0: 60}
    assert drawn.tolist() != sorted(drawn)
    assert mix.mean() == pytest.approx(160)


def test_shares_need_not_sum_to_one_and_a_lone_value_needs_none() -> None:
    assert str(parse_mix("--lists", ["5:2", "10:2", "20"], low=1, high=100)) == "5:0.4,10:0.4,20:0.2"
    assert str(parse_mix("--lists", ["7"], low=1, high=100)) == "7:1"


@pytest.mark.parametrize("word", ["", "x", "5:x", "5:0", "5:-1", "5:nan", "5:inf", "0:1", "101", "nan", "5.5"])
def test_what_is_no_mix_is_refused_with_the_flag_named(word: str) -> None:
    with pytest.raises(StopError, match=r"^--lists: expected ") as caught:
        parse_mix("--lists", [word], low=1, high=100, whole=True)
    assert caught.value.code is Exit.USAGE


def test_an_empty_mix_is_refused() -> None:
    with pytest.raises(StopError, match="got nothing"):
        parse_mix("--lists", [], low=1, high=100)

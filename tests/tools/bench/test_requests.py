"""Requests of a bench: valid, of the wanted sizes, and told apart."""

from __future__ import annotations

import numpy as np

from tests.making import record
from worker.events import Decoder, EventOptions
from worker.tools.bench.requests import AMPLE_MS, RequestMaker, renamed
from worker.tools.bench.workload import Workload

PAIRS = [("drill", "a drill"), ("drill", "a bit"), ("lamp", "a lamp")]


def maker() -> RequestMaker:
    return RequestMaker(Workload(PAIRS, "three pairs"))


def test_a_request_is_valid_and_never_late() -> None:
    made = maker().request(2)
    decoded = Decoder(EventOptions()).decode(record(value=made.value))
    assert decoded.request_id.encode() == made.key
    assert (decoded.query, decoded.texts, decoded.budget_ms) == ("drill", ["a drill", "a bit"], AMPLE_MS)


def test_products_are_taken_in_turn_and_from_the_first_again() -> None:
    taking = maker()
    assert [text for _, text in taking.take(5)] == ["a drill", "a bit", "a lamp", "a drill", "a bit"]
    assert taking.take(1) == [("lamp", "a lamp")]
    taking.rewind()
    assert taking.take(1) == [("drill", "a drill")]


def test_a_plan_has_the_times_sizes_and_budgets_that_it_was_given() -> None:
    planned = list(maker().plan(np.array([0.1, 0.5]), np.array([1.0, 3.0]), np.array([100.0, 300.0])))
    assert [(each.at_s, each.candidates, each.budget_s) for each in planned] == [(0.1, 1, 0.1), (0.5, 3, 0.3)]
    decoded = [Decoder(EventOptions()).decode(record(value=each.value)) for each in planned]
    assert [len(each.texts) for each in decoded] == [1, 3]
    assert [each.budget_ms for each in decoded] == [100, 300]


def test_each_turn_has_keys_of_its_own() -> None:
    making = maker()
    requests = [making.request(1) for _ in range(3)]
    keys = {each.key for turn in range(3) for each in renamed(requests, turn)}
    assert len(keys) == 9
    assert [each.value for each in renamed(requests, 1)] == [each.value for each in requests]

"""Requests of a bench: valid, of the wanted sizes, and told apart."""

from __future__ import annotations

import numpy as np

from tests.support.making import record
from worker.events.codec import Decoder, EventOptions
from worker.tools.bench.requests import AMPLE_MS, InTurn, RequestMaker
from worker.tools.bench.workload import Workload

PAIRS = [("drill", "a drill"), ("drill", "a bit"), ("lamp", "a lamp")]


def in_turn() -> InTurn:
    return InTurn(Workload(PAIRS, "three pairs"))


def maker() -> RequestMaker:
    return RequestMaker(in_turn())


def test_a_request_is_valid_and_never_late() -> None:
    made = maker().request(2)
    decoded = Decoder(EventOptions()).decode(record(value=made.value))
    assert decoded.request_id.encode() == made.key
    assert (decoded.query, decoded.texts, decoded.budget_ms) == ("drill", ["a drill", "a bit"], AMPLE_MS)


def test_products_are_taken_in_turn_and_from_the_first_again() -> None:
    texts = in_turn()
    assert [text for _, text in texts.take(5)] == ["a drill", "a bit", "a lamp", "a drill", "a bit"]
    assert texts.take(1) == [("lamp", "a lamp")]
    texts.rewind()
    assert texts.take(1) == [("drill", "a drill")]


def test_the_pairs_of_a_request_have_the_query_of_the_first() -> None:
    making = maker()
    pairs = making.pairs(3)
    assert pairs == [("drill", "a drill"), ("drill", "a bit"), ("drill", "a lamp")]
    decoded = Decoder(EventOptions()).decode(record(value=making.request_of(pairs).value))
    assert [(decoded.query, text) for text in decoded.texts] == pairs


def test_a_plan_has_the_times_sizes_and_budgets_that_it_was_given() -> None:
    planned = list(maker().plan(np.array([0.1, 0.5]), np.array([1.0, 3.0]), np.array([100.0, 300.0])))
    assert [(each.at_s, each.candidates, each.budget_s) for each in planned] == [(0.1, 1, 0.1), (0.5, 3, 0.3)]
    decoded = [Decoder(EventOptions()).decode(record(value=each.value)) for each in planned]
    assert [len(each.texts) for each in decoded] == [1, 3]
    assert [each.budget_ms for each in decoded] == [100, 300]


def test_lists_come_again_as_new_requests() -> None:
    making = maker()
    first = making.round(2, 2)
    again = making.again(first)
    assert again.pairs == first.pairs
    assert {each.key for each in again.requests}.isdisjoint(each.key for each in first.requests)
    texts = [Decoder(EventOptions()).decode(record(value=each.value)).texts for each in again.requests]
    assert texts == [["a drill", "a bit"], ["a lamp", "a drill"]]


def test_each_request_has_a_key_of_its_own() -> None:
    making = maker()
    assert len({making.request(1).key for _ in range(9)}) == 9

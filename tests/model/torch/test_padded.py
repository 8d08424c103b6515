"""What fails is halved and isolated; what cannot be scored becomes NaN with its reason.

A forward pass that really runs out of memory cannot be made here, so the model behind these tests is a stand-in that
raises for chosen rows; everything around it is the real backend.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from worker.model.backend import NonFiniteLogitError
from worker.model.cross_encoder import PendingScores
from worker.model.rows import AS_LONG_AS_ROWS, RaggedBatch, Widths, groups_of, pad, widths_for
from worker.model.torch.padded import TorchPadded
from worker.model.torch.work import is_sticky

PAD = 9
BAD = 66


class Sums:
    """A classifier whose logit is the sum of a pair's ids; it raises `error` for a batch with the id BAD in it."""

    device = "cpu"

    def __init__(self, error: Exception | None = None, most_rows: int = 1_000) -> None:
        self.error = error
        self.most_rows = most_rows
        self.calls: list[int] = []
        self.inputs: list[set[str]] = []

    def __call__(self, **inputs: torch.Tensor) -> SimpleNamespace:
        ids = inputs["input_ids"]
        self.calls.append(len(ids))
        self.inputs.append(set(inputs))
        if len(ids) > self.most_rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        if self.error is not None and (ids == BAD).any():
            raise self.error
        mask = inputs.get("attention_mask", torch.ones_like(ids, dtype=torch.bool))
        return SimpleNamespace(logits=(ids * mask).sum(dim=1, keepdim=True).to(torch.float64))


def rows(*pairs: list[int], bounds: list[int] | None = None) -> RaggedBatch:
    lengths = np.array([len(pair) for pair in pairs], np.int64)
    return RaggedBatch(
        ids=np.array([one for pair in pairs for one in pair], np.int32),
        starts=np.cumsum(lengths) - lengths,
        lengths=lengths,
        splits=np.ones(len(pairs), np.int32),
        bounds=np.array(bounds or [0, len(pairs)]),
    )


def backend(model: Sums, group_tokens: int = 1_000, widths: Widths = AS_LONG_AS_ROWS) -> TorchPadded:
    return TorchPadded(model, pad_id=PAD, token_types=False, group_tokens=group_tokens, widths=widths)


def test_rows_come_back_in_their_own_order() -> None:
    batch = rows([1], [1, 2, 3, 4], [5, 6], [7], [1, 1, 1])
    scored = backend(Sums(), group_tokens=6).start(batch).finish()
    assert scored.logits.tolist() == [1, 10, 11, 7, 3]
    assert scored.logits.dtype == np.float32
    assert (scored.tokens, scored.padding) == (11, 1)


def test_a_batch_that_does_not_fit_is_halved_until_it_does() -> None:
    model = Sums(most_rows=2)
    scored = backend(model).start(rows(*([number] for number in range(1, 8)))).finish()
    assert scored.logits.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert model.calls[0] == 7
    assert scored.failures == {}


def test_one_bad_pair_is_isolated_and_the_others_are_scored() -> None:
    error = ValueError("bad pair")
    scored = backend(Sums(error)).start(rows([1], [2], [BAD], [4], [5])).finish()
    np.testing.assert_array_equal(scored.logits, np.array([1, 2, np.nan, 4, 5], np.float32))
    assert scored.failures == {2: error}


def test_a_pair_that_does_not_fit_even_alone_is_not_scored() -> None:
    scored = backend(Sums(most_rows=0)).start(rows([1], [2])).finish()
    assert np.isnan(scored.logits).all()
    assert {type(error) for error in scored.failures.values()} == {torch.OutOfMemoryError}
    assert (scored.tokens, scored.padding) == (2, 0)


def test_failures_name_the_slice_that_they_are_in() -> None:
    error = ValueError("bad pair")
    batch = rows([1], [2], [BAD], [BAD], [5], bounds=[0, 2, 2, 4, 5])
    pending = PendingScores(backend(Sums(error)).start(batch), batch.bounds)
    parts = pending.wait()
    assert [len(part) for part in parts] == [2, 0, 2, 1]
    assert pending.failures == {2: error}


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_logit_that_is_not_finite_becomes_nan_with_a_reason(value: str) -> None:
    class Odd(Sums):
        def __call__(self, **inputs: torch.Tensor) -> SimpleNamespace:
            found = super().__call__(**inputs)
            found.logits[inputs["input_ids"][:, :1] == BAD] = float(value)
            return found

    scored = backend(Odd()).start(rows([1], [BAD], [3])).finish()
    np.testing.assert_array_equal(scored.logits, np.array([1, np.nan, 3], np.float32))
    assert isinstance(scored.failures[1], NonFiniteLogitError)
    assert str(scored.failures[1]) == f"expected a finite logit, the model gave {float(value)}"


@pytest.mark.parametrize("message", ["CUDA error: device-side assert triggered", "an illegal memory access was met"])
def test_an_error_that_breaks_the_device_is_raised(message: str) -> None:
    model = Sums(RuntimeError(message))
    with pytest.raises(RuntimeError, match=message):
        backend(model).start(rows([1], [BAD])).finish()
    assert model.calls == [2]


def test_out_of_memory_is_not_taken_for_a_broken_device() -> None:
    assert not is_sticky(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_sticky(RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"))


def test_what_comes_after_a_batch_that_ran_out_of_memory_begins_smaller() -> None:
    model = Sums(most_rows=2)
    scorer = backend(model)
    batch = rows(*([1, 2] for _ in range(8)))
    for _ in range(2):
        assert scorer.start(batch).finish().logits.tolist() == [3] * 8
    assert model.calls == [8, 4, 2, 2, 4, 2, 2, 2, 2, 2, 2]


def test_a_group_without_padding_needs_no_mask() -> None:
    model = Sums()
    backend(model).start(rows([1, 2], [3, 4])).finish()
    backend(model).start(rows([1, 2], [3])).finish()
    assert model.inputs == [{"input_ids"}, {"input_ids", "attention_mask"}]


def test_rows_are_padded_on_the_right_with_the_models_padding() -> None:
    padded = pad(rows([1, 2, 3], [4], [5, 6]), np.array([2, 1, 0]), PAD)
    assert padded.ids.tolist() == [[5, 6, PAD], [4, PAD, PAD], [1, 2, 3]]
    assert padded.mask.tolist() == [[True, True, False], [True, False, False], [True, True, True]]
    assert padded.types.tolist() == [[0, 1, 0], [0, 0, 0], [0, 1, 1]]
    assert not padded.full


def test_rows_are_padded_to_widths_that_are_seen_again_but_not_beyond_the_models_positions() -> None:
    widths = Widths(multiple=4, most=10)
    assert [widths.of(longest) for longest in (1, 4, 5, 8, 9, 10)] == [4, 4, 8, 8, 10, 10]
    assert [AS_LONG_AS_ROWS.of(longest) for longest in (1, 5)] == [1, 5]
    assert widths_for("bfloat16", 64).of(33) == 48
    assert widths_for("float32", 64).of(33) == 33
    padded = pad(rows([1, 2], [3, 4]), np.array([0, 1]), PAD, widths)
    assert padded.ids.tolist() == [[1, 2, PAD, PAD], [3, 4, PAD, PAD]]
    assert not padded.full
    scored = backend(Sums(), widths=widths).start(rows([1, 2], [3, 4], [5])).finish()
    assert scored.logits.tolist() == [3, 7, 5]
    assert (scored.tokens, scored.padding) == (5, 7)


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 200), st.sampled_from([1, 8]))
def test_groups_hold_every_row_once_within_the_limit(lengths: list[int], limit: int, multiple: int) -> None:
    widths = Widths(multiple, 40)
    groups = list(groups_of(np.array(lengths, np.int64), limit, widths))
    assert sorted(row for group in groups for row in group.tolist()) == list(range(len(lengths)))
    for group in groups:
        longest = max(lengths[row] for row in group.tolist())
        assert len(group) == 1 or len(group) * widths.of(longest) <= limit

"""The batches before readiness are of real shapes, and of those that a device has ways of its own for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.model.conftest import load
from worker.model.torch.graph_sizes import fitting, graph_sizes
from worker.model.torch.packed_batch import Size
from worker.model.warm_up import thread_rows, warm_rows

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("cuda", "most"), [(False, 2_048), (True, 32_768)])
def test_lengths_go_from_short_to_the_longest_and_no_batch_is_too_large(cuda: bool, most: int, bert: Path) -> None:
    model = load(bert)
    batches = warm_rows(model.pair_encoder(), model.max_length, cuda=cuda)
    assert {int(rows.lengths.max()) for rows in batches} == {16, model.max_length}
    assert {len(rows) for rows in batches} >= {1, 32}
    assert max(rows.tokens for rows in batches) <= most


def test_the_scorers_thread_has_run_a_pass_without_a_graph(bert: Path) -> None:
    model = load(bert)
    [usual, many] = thread_rows(model.pair_encoder(), model.max_length, cuda=True)
    sizes = graph_sizes(1 << 20)
    assert fitting(sizes, Size(usual.tokens, len(usual))) is not None
    assert fitting(sizes, Size(many.tokens, len(many))) is None
    assert len(thread_rows(model.pair_encoder(), model.max_length, cuda=False)) == 1

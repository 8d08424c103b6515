"""A batch on a GPU, without padding: one copy to the device, halves of what does not fit; the model is a stand-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from worker.model.rows import RaggedBatch
from worker.model.torch import packed_cuda as torch_varlen
from worker.model.torch.packed_cuda import TorchPackedCuda

if TYPE_CHECKING:
    import pytest

    from worker.model.torch.packed_batch import PackedBatch


def rows_of_lengths(*lengths: int) -> RaggedBatch:
    """Return rows of any ids."""
    counts = np.array(lengths, np.int64)
    ids = np.random.default_rng(0).integers(60, size=int(counts.sum()), dtype=np.int32)
    return RaggedBatch(ids, np.cumsum(counts) - counts, counts, np.maximum(1, counts // 3), np.array([0, len(counts)]))


class Firsts:
    """An encoder whose logit is a pair's first id; more than `most` tokens do not fit, nor does an id of `bad`."""

    padding_position = None

    def __init__(self, most: int = 10_000, bad: int = -1) -> None:
        self.most = most
        self.bad = bad
        self.sizes: list[int] = []

    def __call__(self, packed: PackedBatch) -> torch.Tensor:
        self.sizes.append(len(packed.ids))
        if len(packed.ids) > self.most or (packed.ids == self.bad).any():
            raise torch.OutOfMemoryError("CUDA out of memory")
        return packed.ids[packed.cls_index].float()


def _backend(encoder: Firsts, pass_tokens: int = 1_000) -> TorchPackedCuda:
    stand_in: Any = encoder
    return TorchPackedCuda(stand_in, torch.device("cpu"), token_types=True, pass_tokens=pass_tokens)


def test_what_does_not_fit_is_halved_and_what_comes_after_begins_smaller() -> None:
    rows, encoder = rows_of_lengths(*range(1, 31)), Firsts(most=150)
    backend = _backend(encoder)
    for _ in range(2):
        assert backend.start(rows).finish().logits.tolist() == rows.ids[rows.starts].tolist()
    assert encoder.sizes[0] == rows.tokens
    assert sum(size > 150 for size in encoder.sizes) == sum(size > 150 for size in encoder.sizes[:7])
    assert backend.pass_tokens < 300


def test_a_pair_that_does_not_fit_even_alone_is_isolated() -> None:
    rows = rows_of_lengths(5, 9, 3, 9)
    bad = int(rows.ids[rows.starts[2]])
    scored = _backend(Firsts(bad=bad)).start(rows).finish()
    failed = {row for row in range(4) if bad in rows.ids[rows.starts[row] : rows.starts[row] + rows.lengths[row]]}
    assert scored.failures.keys() == failed
    assert set(np.flatnonzero(np.isnan(scored.logits)).tolist()) == failed


def test_one_copy_brings_a_stream_to_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[torch.Tensor] = []

    def send(values: torch.Tensor, _: torch.device) -> torch.Tensor:
        sent.append(values)
        return values

    monkeypatch.setattr(torch_varlen, "send", send)
    rows = rows_of_lengths(3, 2)
    backend = _backend(Firsts())
    packed = backend.packed(backend.lay(rows, np.array([1, 0])))
    assert [len(each) for each in sent] == [4 * 5 + 2 + 3]
    assert packed.ids.tolist() == [*rows.ids[3:], *rows.ids[:3]]
    assert packed.types.tolist() == [0, 1, 0, 1, 1]
    assert packed.positions.tolist() == [0, 1, 0, 1, 2]
    assert packed.cls_index.tolist() == [0, 2]
    assert packed.cu_seqlens is not None
    assert packed.cu_seqlens.tolist() == [0, 2, 5]
    assert packed.max_seqlen == 3

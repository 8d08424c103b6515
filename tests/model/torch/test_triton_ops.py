"""The kernels for CUDA give what torch gives; without a GPU Triton runs them step by step on the CPU."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers

from tests.model.conftest import FLAT, go_the_way_of_cuda, load
from tests.model.torch import varlen_emulation
from tests.model.torch.test_packed_cuda_passes import rows_of_lengths
from worker.model.torch.packed_batch import PackedBatch, Size, lay, read, write
from worker.model.torch.packed_cuda import TorchPackedCuda
from worker.model.torch.row_wise import RowWise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytest.importorskip("triton")
HEADS = 2
# The CPU computes as exactly as float32 does; of a GPU's numbers the models have float16 at best.
DEVICE, DTYPE, TOLERANCE = ("cuda", torch.float16, 1e-2) if torch.cuda.is_available() else ("cpu", torch.float32, 1e-5)
STREAMS = {
    "one block": ([9, 5, 1], Size(15, 3)),
    "many pairs in a block": ([3] * 50, Size(150, 50)),
    "a block for each pair": ([64, 64], Size(128, 2)),
    "pairs of several blocks": ([200, 130, 70, 7, 3], Size(410, 5)),
    "with room left": ([130, 40, 37], Size(384, 24)),
}


@pytest.fixture
def kernels() -> Any:
    from worker.model.torch import triton_ops as fused

    return fused


def _packed(lengths: list[int], size: Size) -> PackedBatch:
    laid = lay(rows_of_lengths(*lengths), np.arange(len(lengths)), None, token_types=True)
    numbers = np.empty(sum(size.parts), np.int32)
    write(laid, size, numbers)
    return read(torch.from_numpy(numbers), size)


def _there(packed: PackedBatch) -> PackedBatch:
    """Return the packed on the device."""
    values: dict[str, Any] = {each.name: getattr(packed, each.name) for each in fields(packed)}
    moved: dict[str, Any] = {
        name: one.to(DEVICE) if isinstance(one, torch.Tensor) else one for name, one in values.items()
    }
    return PackedBatch(**moved)


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DTYPE)


def _assert_near(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found.cpu(), expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("case", STREAMS)
def test_a_token_sees_those_of_its_own_pair(case: str, width: int, kernels: Any) -> None:
    lengths, size = STREAMS[case]
    real, packed = sum(lengths), _packed(lengths, size)
    projected = _random(size.tokens, 3, HEADS, width)
    projected[real:] = torch.nan  # no pair's: none may look there
    found = kernels.FusedAttention().of_all(projected.to(DEVICE), _there(packed))
    expected = varlen_emulation.ByPairs().of_all(projected, packed)
    assert width in kernels.HEAD_WIDTHS
    _assert_near(found[:real], expected[:real])


@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("case", STREAMS)
def test_a_first_token_sees_those_of_its_own_pair(case: str, width: int, kernels: Any) -> None:
    lengths, size = STREAMS[case]
    pairs, packed = len(lengths), _packed(lengths, size)
    asked, projected = _random(size.pairs, HEADS, width), _random(size.tokens, 2, HEADS, width, seed=1)
    projected[sum(lengths) :] = torch.nan
    found = kernels.FusedAttention().of_cls(asked.to(DEVICE), projected.to(DEVICE), _there(packed))
    expected = varlen_emulation.ByPairs().of_cls(asked, projected, packed)
    _assert_near(found[:pairs], expected[:pairs])


@pytest.mark.parametrize(("rows", "width"), [(1, 16), (7, 48), (33, 384)])
def test_a_sum_is_normed_as_torch_does(rows: int, width: int, kernels: Any) -> None:
    norm = torch.nn.LayerNorm(width, dtype=DTYPE)
    with torch.no_grad():
        norm.weight.copy_(_random(width, seed=1))
        norm.bias.copy_(_random(width, seed=2))
        given, added = _random(rows, width, seed=3), _random(rows, width, seed=4)
        expected = RowWise().add_norm(given.clone(), added, norm)
        norm.to(DEVICE)
        _assert_near(kernels.FusedRowWise().add_norm(given.to(DEVICE), added.to(DEVICE), norm), expected)


def test_embeddings_are_those_of_transformers(kernels: Any) -> None:
    config = transformers.BertConfig(vocab_size=60, hidden_size=48, num_attention_heads=3, num_hidden_layers=1)
    embeddings = transformers.BertModel(config).embeddings.to(DTYPE).eval()
    packed = _packed([40, 9, 1], Size(64, 4))
    with torch.no_grad():
        expected = RowWise().embed(embeddings, packed)
        _assert_near(kernels.FusedRowWise().embed(embeddings.to(DEVICE), _there(packed)), expected)


@pytest.mark.skipif(DEVICE == "cuda", reason="the tests of the backend have a GPU run all of it")
@pytest.mark.parametrize("family", FLAT)
def test_a_model_gives_the_logits_of_padded_batches(
    family: str, kernels: Any, make_family: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of_lengths(*([7] * 3 + [40] * 2 + list(range(1, 47, 6))))
    expected = load(make_family(family), pad=True)._backend.start(rows).finish().logits
    go_the_way_of_cuda(monkeypatch, kernels.FusedAttention, kernels.FusedRowWise())
    backend = load(make_family(family))._backend
    assert isinstance(backend, TorchPackedCuda)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(backend.start(rows).finish().logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(DEVICE == "cuda", reason="it is the same on a GPU")
def test_a_pair_that_has_no_numbers_does_not_spoil_its_neighbours(
    kernels: Any, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of_lengths(*([9] * 20))
    rows.ids[:] %= 50
    expected = load(bert, pad=True)._backend.start(rows).finish().logits
    rows.ids[rows.starts[7]] = 55
    go_the_way_of_cuda(monkeypatch, kernels.FusedAttention, kernels.FusedRowWise())
    backend: Any = load(bert)._backend
    with torch.no_grad():
        backend.encoder._embeddings.word_embeddings.weight[55] = torch.nan
    scored = backend.start(rows).finish()
    assert scored.failures.keys() == {7}
    sound = np.arange(20) != 7
    np.testing.assert_allclose(scored.logits[sound], expected[sound], rtol=1e-5, atol=1e-5)
    assert np.isnan(scored.logits[7])

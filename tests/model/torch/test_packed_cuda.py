"""Without padding, by the attention that CUDA has for it, a model gives the logits that it gives with padding.

That attention is emulated on the CPU here; what needs CUDA itself is marked so, at the end.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.model.conftest import FLAT, Reference, load, score
from tests.model.test_cross_encoder import PRODUCTS, QUERY
from tests.model.tiny import POSITIONS
from tests.model.torch import varlen_emulation
from tests.model.torch.test_packed_cuda_passes import rows_of_lengths
from worker.model.torch import attention_cuda as varlen_attention
from worker.model.torch.attention_cuda import load_kernel, unfit
from worker.model.torch.packed_cuda import TorchPackedCuda
from worker.model.torch.padded import TorchPadded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from worker.model.cross_encoder import CrossEncoder

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


def _in_torch(folder: Path) -> CrossEncoder:
    model = load(folder)
    assert isinstance(model._backend, TorchPackedCuda)
    return model


@pytest.mark.usefixtures("as_on_cuda")
@pytest.mark.parametrize("family", FLAT)
def test_scores_are_those_of_padded_batches(family: str, make_family: Callable[[str], Path]) -> None:
    rows = rows_of_lengths(*([7] * 12 + [40] * 30 + list(range(1, 47))))
    padded = load(make_family(family), pad=True)._backend
    assert isinstance(padded, TorchPadded)
    expected = padded.start(rows).finish()
    found = _in_torch(make_family(family))._backend.start(rows).finish()
    assert np.ptp(expected.logits) > 0.1
    assert found.padding == 0
    np.testing.assert_allclose(_sigmoid(found.logits), _sigmoid(expected.logits), rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.logits, expected.logits, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("as_on_cuda")
@pytest.mark.parametrize("family", FLAT)
def test_scores_are_those_of_an_unbatched_forward(family: str, make_family: Callable[[str], Path]) -> None:
    model = _in_torch(make_family(family))
    expected = Reference(make_family(family)).logits(QUERY, PRODUCTS, truncation=True, max_length=POSITIONS)
    np.testing.assert_allclose(score(model, QUERY, PRODUCTS), expected, rtol=1e-4, atol=1e-5)


def test_the_emulation_takes_what_torchs_own_takes() -> None:
    theirs = inspect.signature(load_kernel()).parameters
    ours = inspect.signature(varlen_emulation.varlen_attn).parameters
    assert list(theirs)[: len(ours)] == list(ours)
    rest = list(theirs.values())[len(ours) :]
    assert all(each.default is not inspect.Parameter.empty for each in rest)


@pytest.mark.parametrize(
    ("dtype", "head", "capability", "problem"),
    [
        (torch.float32, 64, (9, 0), "computes in bfloat16 and float16, not in float32"),
        (torch.bfloat16, 20, (9, 0), "not of 20"),
        (torch.bfloat16, 512, (9, 0), "not of 512"),
        (torch.float16, 64, (7, 5), "needs a GPU of capability 8.0, this one has 7.5"),
        (torch.float16, 32, (8, 6), None),
        (torch.bfloat16, 64, (9, 0), None),
    ],
)
def test_what_the_kernel_cannot_do_is_known_before(
    dtype: torch.dtype, head: int, capability: tuple[int, int], problem: str | None
) -> None:
    found = unfit(dtype, head, capability)
    assert found is None if problem is None else problem in (found or "")


def test_the_kernel_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert not logging.getLogger(load_kernel().__module__).isEnabledFor(logging.INFO)


def test_a_torch_without_the_kernel_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(varlen_attention, "_MODULE", "torch.nn.attention.of_another_release")
    assert "has no varlen_attn" in (unfit(torch.bfloat16, 64, (9, 0)) or "")


@pytest.mark.usefixtures("as_on_cuda")
def test_a_model_that_fails_the_proof_is_padded_and_the_log_says_so(
    bert: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> torch.Tensor:
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(varlen_emulation, "varlen_attn", broken)
    assert isinstance(load(bert)._backend, TorchPadded)
    assert "no kernel image is available" in caplog.text
    assert "its batches are padded" in caplog.text


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))))


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("family", FLAT)
@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 5e-2), ("float16", 1e-2)])
def test_on_a_gpu_a_family_with_berts_layers_is_not_padded(
    family: str, dtype: str, tolerance: float, make_family: Callable[[str], Path]
) -> None:
    model, padded = (load(make_family(family), device="cuda", dtype=dtype, pad=pad) for pad in (False, True))
    assert isinstance(model._backend, TorchPackedCuda)
    assert model._backend.graphs is not None
    found, expected = (score(each, QUERY, PRODUCTS) for each in (model, padded))
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.gpu
@needs_cuda
def test_on_a_gpu_heads_that_have_no_kernel_here_take_torchs(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("worker.model.torch.triton_ops"), "HEAD_WIDTHS", ())
    model, padded = (load(bert, device="cuda", dtype="float16", pad=pad) for pad in (False, True))
    assert isinstance(model._backend, TorchPackedCuda)
    assert model._backend.graphs is None
    found, expected = (score(each, QUERY, PRODUCTS) for each in (model, padded))
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-2)


@pytest.mark.gpu
@needs_cuda
def test_on_a_gpu_a_batch_of_mixed_lengths_waits_for_nothing_in_its_middle(make_family: Callable[[str], Path]) -> None:
    backend = load(make_family("bert"), device="cuda", dtype="bfloat16")._backend
    rows = rows_of_lengths(*range(1, 47))
    backend.start(rows).finish()
    torch.cuda.set_sync_debug_mode("error")
    try:
        work = backend.start(rows)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert np.isfinite(work.finish().logits).all()

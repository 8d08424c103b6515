"""This project's kernels are taken where Triton compiles them, and torch's where it does not: the worker goes on."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

import pytest
import torch

from worker.model.torch.attention_cuda import PackedAttention
from worker.model.torch.cuda_kernels import cuda_kernels
from worker.model.torch.row_wise import RowWise

if TYPE_CHECKING:
    from types import ModuleType

CPU = torch.device("cpu")


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("triton")
    from worker.model.torch import triton_ops as fused

    if torch.cuda.is_available():
        pytest.skip("a GPU takes nothing from the CPU")
    monkeypatch.setattr(torch.cuda, "device", lambda _: contextlib.nullcontext())
    return fused


def test_heads_of_some_widths_have_kernels_and_others_torchs(kernels: Any) -> None:
    attention, row_wise = cuda_kernels(CPU, 32)
    assert isinstance(attention, kernels.FusedAttention)
    assert isinstance(row_wise, kernels.FusedRowWise)
    attention, row_wise = cuda_kernels(CPU, 24)
    assert isinstance(attention, PackedAttention)
    assert isinstance(row_wise, kernels.FusedRowWise)


def test_without_a_compiler_the_worker_goes_on_and_the_log_says_why(
    kernels: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: Any) -> None:
        raise RuntimeError("Failed to find C compiler. Please specify via CC environment variable.\nmore")

    monkeypatch.setattr(kernels.FusedRowWise, "add_norm", failing)
    with caplog.at_level(logging.WARNING):
        attention, row_wise = cuda_kernels(CPU, 32)
    assert isinstance(attention, PackedAttention)
    assert type(row_wise) is RowWise
    assert "batches take longer" in caplog.text
    assert "Failed to find C compiler" in caplog.text
    assert "more" not in caplog.text


def test_a_device_that_is_lost_meanwhile_ends_the_worker(kernels: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(kernels.FusedRowWise, "add_norm", failing)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        cuda_kernels(CPU, 32)

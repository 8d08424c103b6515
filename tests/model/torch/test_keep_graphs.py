"""Graphs are kept where they can be recorded and give the model's logits; without them the worker goes on."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tests.model.torch.test_cuda_graphs import SIZES, again, varlen
from worker.model.torch import cuda_graphs
from worker.model.torch.cuda_graphs import Kept, keep_graphs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def wrong(forward: Callable[[], torch.Tensor]) -> Kept:
    """Keep a pass that forgets its inputs."""
    logits = forward().zero_()
    return Kept(lambda: None, logits)


def failing(message: str) -> Callable[..., Kept]:
    """Return what fails to keep a pass."""

    def keep(_: Any) -> Kept:
        raise RuntimeError(message)

    return keep


@pytest.fixture
def without_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is said of a device be said of the CPU."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1 << 30, 1 << 30))
    monkeypatch.setattr(torch.cuda, "device", lambda _: contextlib.nullcontext())


@pytest.mark.usefixtures("with_graphs", "without_a_device")
def test_graphs_that_give_the_models_logits_are_kept(
    bert: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cuda_graphs, "Recorder", lambda _: again)
    backend = varlen(bert)
    with caplog.at_level(logging.INFO):
        keep_graphs(backend, SIZES[:3], 60, 48, 1e-5)
    assert backend.graphs is not None
    assert "3 CUDA graphs" in caplog.text


@pytest.mark.usefixtures("with_graphs", "without_a_device")
@pytest.mark.parametrize(
    ("keep", "reason"),
    [(wrong, "a graph of 128 tokens gives other logits"), (failing("not while capturing"), "not while capturing")],
)
def test_without_graphs_the_worker_goes_on_and_the_log_says_why(
    keep: Callable[..., Kept],
    reason: str,
    bert: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(cuda_graphs, "Recorder", lambda _: keep)
    backend = varlen(bert)
    keep_graphs(backend, SIZES[:1], 60, 48, 1e-5)
    assert backend.graphs is None
    assert reason in caplog.text


@pytest.mark.usefixtures("with_graphs", "without_a_device")
def test_a_device_that_is_lost_meanwhile_ends_the_worker(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        cuda_graphs, "Recorder", lambda _: failing("CUDA error: an illegal memory access was encountered")
    )
    with pytest.raises(RuntimeError, match="illegal memory access"):
        keep_graphs(varlen(bert), SIZES[:1], 60, 48, 1e-5)


@pytest.mark.usefixtures("as_on_cuda", "without_a_device")
def test_attention_that_goes_by_the_longest_pair_has_no_graphs(bert: Path, caplog: pytest.LogCaptureFixture) -> None:
    backend = varlen(bert)
    keep_graphs(backend, SIZES[:1], 60, 48, 1e-5)
    assert backend.graphs is None
    assert "torch's own attention" in caplog.text

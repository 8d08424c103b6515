"""A batch on a GPU is waited for alone, and its time is the device's; the queue is a stand-in where there is none."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.model.conftest import load
from tests.model.torch.test_padded import rows
from worker.model.torch import cuda_work
from worker.model.torch.cuda_memory import tokens_that_fit
from worker.model.torch.cuda_work import CudaBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from worker.model.rows import RaggedBatch

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


class Queue:
    """What a device is told to do, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.events = 0

    def event(self, *, enable_timing: bool) -> Event:
        assert enable_timing
        self.events += 1
        return Event(self, self.events)


class Event:
    def __init__(self, queue: Queue, number: int) -> None:
        self._queue = queue
        self._number = number

    def record(self) -> None:
        self._queue.told.append(f"event {self._number}")

    def query(self) -> bool:
        return False

    def synchronize(self) -> None:
        self._queue.told.append(f"wait for {self._number}")

    def elapsed_time(self, other: Event) -> float:
        return 1000.0 * (other._number - self._number)


class Backend:
    """Gives a row its number as its logit, in passes of one row."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def groups(self, rows: RaggedBatch) -> Iterator[np.ndarray]:
        return iter(np.array([row]) for row in range(len(rows)))

    def forward(self, _: RaggedBatch, chosen: np.ndarray) -> torch.Tensor:
        self._queue.told.append("pass")
        return torch.from_numpy(chosen).float()

    def computed(self, rows: RaggedBatch, chosen: np.ndarray) -> int:
        return int(rows.lengths[chosen].sum())


def test_waiting_for_a_batch_is_not_waiting_for_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue()

    def send_back(logits: torch.Tensor) -> torch.Tensor:
        queue.told.append("copy")
        return logits

    monkeypatch.setattr(torch.cuda, "Event", queue.event)
    monkeypatch.setattr(torch.cuda, "device", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(cuda_work, "_send_back", send_back)
    device, batch = torch.device("cuda:0"), rows([1], [2, 3])
    first, second = (CudaBatch(Backend(queue), batch, device) for _ in range(2))
    assert not first.is_done()
    scored = first.finish()
    assert scored.logits.tolist() == [0, 1]
    assert scored.device_s == 1.0
    second.finish()
    launched = ["pass", "pass", "copy", "copy"]
    assert queue.told == [
        *("event 1", *launched, "event 2"),
        *("event 3", *launched, "event 4"),
        *("wait for 2", "wait for 4"),
    ]


def test_a_forward_pass_takes_a_part_of_the_memory_that_is_free() -> None:
    assert tokens_that_fit(free=1_000_000, per_token=10.0) == 70_000
    assert tokens_that_fit(free=0, per_token=10.0) == 1
    assert tokens_that_fit(free=100, per_token=0.0) == 70


@pytest.mark.gpu
@needs_cuda
def test_a_gpu_gives_both_of_two_batches_at_once(bert: Path) -> None:
    backend = load(bert, device="cuda", dtype="bfloat16")._backend
    batch = rows([5, 6, 7], [8, 9])
    alone = backend.start(batch).finish()
    first, second = backend.start(batch), backend.start(batch)
    found: list[Any] = [first.finish(), second.finish()]
    for scored in found:
        np.testing.assert_array_equal(scored.logits, alone.logits)
        assert scored.device_s > 0
    assert second.is_done()


@pytest.mark.gpu
@needs_cuda
def test_a_gpu_that_runs_out_of_memory_scores_in_halves(make_family: Callable[[str], Path]) -> None:
    backend: Any = load(make_family("bert"), device="cuda", dtype="bfloat16")._backend
    batch = rows(*([7] * 40 for _ in range(4_000)))
    expected = backend.start(batch).finish().logits
    backend.pass_tokens = 1 << 30
    room = torch.cuda.memory_allocated() + (16 << 20)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(room / torch.cuda.get_device_properties(0).total_memory)
    try:
        scored = backend.start(batch).finish()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert scored.failures == {}
    assert backend.pass_tokens < batch.tokens
    np.testing.assert_allclose(scored.logits, expected, rtol=5e-2, atol=5e-2)

"""A device with a queue of its own is kept busy, whatever it was predicted to take: on a virtual clock."""

from __future__ import annotations

from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support import making
from worker.dead_letters import REASONS
from worker.flow.channel import Channel, EndOfChannelError
from worker.flow.stage_threads import Heartbeat
from worker.observe.metrics import Metrics
from worker.scheduling.cost_model import CostModel, CostOptions, Load
from worker.scheduling.latency import LatencyWindow
from worker.scheduling.limits import BatchLimits
from worker.scheduling.scheduler import Dispatch, Scheduler
from worker.stages import Score, score

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worker.flow.job import Job, Slice

PER_TOKEN_S = 1e-5
BATCH_TOKENS = 4_000


class PendingScores:
    tokens, padding = 0, 0
    device_s: float | None = None

    def __init__(self, device: Device, batch: list[Slice], ends_s: float) -> None:
        self._device = device
        self._batch = batch
        self._ends_s = ends_s
        self.failures: dict[int, Exception] = {}

    def is_done(self) -> bool:
        return self._device.now_s >= self._ends_s

    def wait_for_room(self) -> bool:
        raise AssertionError("a device with a queue is not waited for")

    def wait(self) -> list[np.ndarray]:
        self._device.now_s = max(self._device.now_s, self._ends_s)
        return [np.zeros(stop - start, np.float32) for _, start, stop in self._batch]


class Device:
    """A device with a queue, and the clock: time passes where somebody waits, and where a batch is prepared."""

    overlaps, score_cache = True, None

    def __init__(self, slowness: Callable[[int], float], prepare_s: float, slow: Mapping[int, float]) -> None:
        self.now_s = 100.0
        self._prepare_s = prepare_s
        self._slow = slow  # launches that take the host so long
        self.busy_s = 0.0
        self.batches = 0
        self.free_s = 0.0  # when it has come to the end of its queue
        self.queued_s: list[float] = []  # what was in the queue when the next batch was launched
        self.told_s: list[tuple[float, float]] = []  # when the scheduler was told that it is free, and when it was
        self._slowness = slowness
        self._chance = np.random.default_rng(1)

    def warm_thread(self) -> None:
        pass

    def launch(self, batch: list[Slice]) -> PendingScores:
        self.queued_s.append(max(0.0, self.free_s - self.now_s))
        self.now_s += self._slow.get(self.batches, self._prepare_s)
        tokens = sum(
            int(job.scoring.pairs.offsets[stop] - job.scoring.pairs.offsets[start])
            for job, start, stop in batch
            if job.scoring.pairs
        )
        took_s = PER_TOKEN_S * tokens * self._slowness(self.batches) * self._chance.lognormal(0, 0.05)
        self.batches += 1
        self.busy_s += took_s
        self.free_s = max(self.free_s, self.now_s) + took_s
        return PendingScores(self, batch, self.free_s)


class Watched(Scheduler):
    """A scheduler that notes when it is told that the device will be free."""

    def __init__(self, device: Device, costs: CostModel) -> None:
        super().__init__(BatchLimits(), BATCH_TOKENS, costs)
        self._device = device

    def next_batch(self, now_s: float) -> Dispatch:
        self._device.told_s.append((now_s, max(self._device.free_s, self._device.now_s)))
        return super().next_batch(now_s)


class Inbox:
    """All events at once, and then no more until the last of them has been handed on."""

    def __init__(self, device: Device, jobs: list[Job], publishing: Channel[Job]) -> None:
        self._device = device
        self._jobs = jobs
        self._count = len(jobs)
        self._publishing = publishing

    def take(self, timeout_s: float) -> list[Job]:
        jobs, self._jobs = self._jobs, []
        if not jobs:
            self._device.now_s += timeout_s
            if len(self._publishing) == self._count:
                raise EndOfChannelError
        return jobs


def _run(
    monkeypatch: pytest.MonkeyPatch,
    slowness: Callable[[int], float],
    *,
    warm_up: float = 1.0,
    prepare_s: float = 0.0,
    slow: Mapping[int, float] = MappingProxyType({}),
) -> Device:
    device = Device(slowness, prepare_s, slow)
    monkeypatch.setattr(score, "time", SimpleNamespace(monotonic=lambda: device.now_s))
    publishing: Channel[Job] = Channel()
    jobs = [making.job(*[100] * 40, deadline_s=1e9, offset=offset) for offset in range(200)]
    costs = CostModel(CostOptions(), [(Load(n, n), n * PER_TOKEN_S * warm_up) for n in (500, 1000, 2000)])
    scheduler = Watched(device, costs)
    model: Any = device
    inbox: Any = Inbox(device, jobs, publishing)
    Score(scheduler, costs, model, Metrics(REASONS), heartbeat=Heartbeat(), delays=LatencyWindow()).run(
        inbox, publishing
    )
    assert device.batches == len(publishing) == 200
    return device


@pytest.mark.parametrize(
    ("slowness", "warm_up"),
    [
        pytest.param(lambda _: 1.0, 1.0, id="steady"),
        pytest.param(lambda number: 3.0 if 40 <= number < 60 else 1.0, 1.0, id="three times slower for a while"),
        pytest.param(lambda _: 1.0, 3.0, id="warmed up three times slower"),
        pytest.param(lambda _: 1.0, 0.3, id="warmed up three times faster"),
    ],
)
def test_the_device_never_waits_for_what_was_predicted(
    slowness: Callable[[int], float], warm_up: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = _run(monkeypatch, slowness, warm_up=warm_up)
    assert device.busy_s / (device.free_s - 100.0) > 0.97


@pytest.mark.parametrize("prepare_s", [0.001, 0.005, 0.015])
def test_the_next_batch_comes_in_time_and_no_sooner_than_it_must(
    prepare_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = _run(monkeypatch, lambda _: 1.0, prepare_s=prepare_s)
    assert device.busy_s / (device.free_s - 100.0) > 0.97
    assert max(device.queued_s[10:]) < prepare_s + 0.4 * BATCH_TOKENS * PER_TOKEN_S


def test_one_slow_launch_does_not_make_all_that_follow_early(monkeypatch: pytest.MonkeyPatch) -> None:
    device = _run(monkeypatch, lambda _: 1.0, prepare_s=0.001, slow={40: 0.5})
    assert max(device.queued_s[70:]) < 0.3 * BATCH_TOKENS * PER_TOKEN_S


def test_decisions_go_by_when_the_device_is_free_however_long_it_has_been_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    device = _run(monkeypatch, lambda _: 1.0, prepare_s=0.001)
    late_s = [told_s - free_s for told_s, free_s in device.told_s[10:]]
    assert -0.1 * BATCH_TOKENS * PER_TOKEN_S < min(late_s) <= max(late_s) < 0.3 * BATCH_TOKENS * PER_TOKEN_S

"""Workers side by side, each with topics of its own: the one that is configured, and one without a scheduler."""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING

from worker.tools.bench.append_time import stamp_by_broker
from worker.tools.bench.post import Post
from worker.tools.bench.saturation import Drained, drain, warm
from worker.tools.bench.served import served

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack
    from pathlib import Path

    from worker.config.settings import Settings
    from worker.tools.bench.broker import BenchBroker
    from worker.tools.bench.saturation import Request
    from worker.tools.local.live_worker import LiveWorker

FIFO = {"schedule": "fifo", "on_overload": "score"}


@dataclasses.dataclass(frozen=True, slots=True)
class Contender:
    """A worker that runs, and the way to it and back."""

    name: str
    worker: LiveWorker
    post: Post

    def build(self) -> dict[str, object]:
        """Return what a report should say of the model that it runs."""
        labels = self.worker.wait_for_model()
        model = {"id": labels["model"], "revision": labels["revision"]}
        return {"model": model, "device": labels["device"], "dtype": labels["dtype"]}

    def decided(self) -> dict[str, object]:
        """Return what was `auto`, as options of a second worker: on a busy machine that might decide otherwise."""
        return {name: self.build()[name] for name in ("device", "dtype")}

    def capacity(self, runs: Sequence[Sequence[Request]]) -> Drained:
        """Return the rates at saturation: the medians over the runs of requests with ample budgets."""
        drained = [drain(self.worker, self.post, requests) for requests in runs]
        return Drained(*(statistics.median(rates) for rates in zip(*drained, strict=True)))


def start(  # noqa: PLR0913 - what a worker needs, and where
    stack: ExitStack,
    broker: BenchBroker,
    settings: Settings,
    folder: Path,
    requests: Sequence[Request],
    *,
    name: str,
    **more: object,
) -> Contender:
    """Start a worker on topics of its own and warm it up with these requests; it ends with the stack."""
    kafka = stack.enter_context(broker.topics())
    stamp_by_broker(kafka)
    post = stack.enter_context(Post(kafka))
    worker = stack.enter_context(served(settings, kafka, folder, name, **more))
    warm(worker, post, requests)
    return Contender(name, worker, post)

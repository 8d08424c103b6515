"""A scheduler for which a token takes one second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.scheduling.cost_model import CostModel, CostOptions, Load
from worker.scheduling.limits import BatchLimits
from worker.scheduling.scheduler import Scheduler

if TYPE_CHECKING:
    from worker.flow.job import Job

# One second a token, and nothing else, so that times can be read off.
PER_TOKEN = CostModel(CostOptions(), [(Load(tokens, 0), float(tokens)) for tokens in (1, 10, 100)])
PER_TOKEN.spread = 1.0


def scheduler_of(*jobs: Job, budget: int = 1000, **limits: object) -> Scheduler:
    scheduler = Scheduler(BatchLimits(publish_margin_ms=0, **limits), budget, PER_TOKEN)  # type: ignore[arg-type]
    for job in jobs:
        scheduler.add(job)
    return scheduler

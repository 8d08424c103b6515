"""`rerank-worker` under test: the light model, a journal, and what a Plan does to it; everything else in it is real."""

from __future__ import annotations

import os
from pathlib import Path

from tests.faults import journal, points
from tests.faults.bad_models import spoil
from tests.faults.broken_workers import break_as_told
from tests.integration import light_worker
from worker import cli

MODULE = "tests.faults.faulty_worker"


def _prepare() -> None:
    path = Path(os.environ[journal.VARIABLE])
    kept = journal.Journal(path)
    kept.attend()
    if plan := points.Plan.read(os.environ):
        points.arm(plan, kept, path)
    spoil()
    break_as_told()


if __name__ == "__main__":
    light_worker.install()
    _prepare()
    cli.main()

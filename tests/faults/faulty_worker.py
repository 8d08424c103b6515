"""`rerank-worker` under test: the light model, a journal, and what a Plan does to it; everything else in it is real."""

from __future__ import annotations

import os
from pathlib import Path

from tests.faults.clock import mend_sleep

mend_sleep()

from tests.faults import journal, points  # noqa: E402 - a module may keep the sleep that it finds
from tests.faults.bad_models import spoil  # noqa: E402
from tests.faults.broken_workers import break_as_told  # noqa: E402
from tests.integration import light_worker  # noqa: E402
from worker import cli  # noqa: E402

MODULE = "tests.faults.faulty_worker"
MODEL_VARIABLE = "FAULTS_MODEL"  # `shipped`: the one that is given, instead of the light one


def _prepare() -> None:
    path = Path(os.environ[journal.VARIABLE])
    kept = journal.Journal(path)
    kept.attend()
    if plan := points.Plan.read(os.environ):
        points.arm(plan, kept, path)
    if os.environ.get(MODEL_VARIABLE) != "shipped":
        light_worker.install()
        spoil()
    break_as_told()


if __name__ == "__main__":
    _prepare()
    cli.main()

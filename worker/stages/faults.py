"""What an event is to the log, and the fault of one that shows a defect of the worker."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from worker.flow.job import Fault

if TYPE_CHECKING:
    from worker.flow.job import Job

log = logging.getLogger(__name__)


def where(job: Job) -> dict[str, object]:
    """Return where an event's record is, as fields of a log line."""
    record = job.record
    return {"topic": record.partition.topic, "partition": record.partition.number, "offset": record.offset}


def defect(job: Job, stage: str, error: BaseException) -> Fault:
    """Return the fault of an event that shows a defect of the worker: it must not stop all the others."""
    message = "a defect of the worker; the event becomes a dead letter"
    log.error(message, exc_info=error, extra={"event": "defect", "stage": stage, **where(job)})
    return Fault("defect", stage, type(error).__name__, str(error))

"""A job that no broker has sent."""

from worker.flow.job import Job
from worker.offsets.tracker import OffsetTracker
from worker.records import Partition, Record


def bare_job() -> Job:
    """Return a job without pairs, for the model alone."""
    partition = Partition("bench", 0)
    tracker = OffsetTracker()
    tracker.assign([partition])
    tracked = tracker.track(partition, 0)
    assert tracked is not None
    return Job(Record(partition, 0, 0, None, None), tracked, received_s=0.0, created_s=0.0)

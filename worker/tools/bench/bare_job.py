"""A job that no broker has sent."""

from worker.flow.job import Job, Partition, Record
from worker.offsets.tracker import Ledger


def bare_job() -> Job:
    """Return a job without pairs, for the model alone."""
    partition = Partition("bench", 0)
    ledger = Ledger()
    ledger.assign([partition])
    ticket = ledger.open(partition, 0)
    assert ticket is not None
    return Job(Record(partition, 0, 0, None, None), ticket, received_s=0.0, created_s=0.0)

"""A topic that vanishes under the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kafka.admin import KafkaAdminClient

from tests.faults.fault import Fault
from tests.faults.trial import PARTITIONS
from worker.exits import Exit

if TYPE_CHECKING:
    from tests.faults.cluster import Cluster
    from tests.faults.stage import Stage
    from tests.faults.trial import Trial

pytestmark = [pytest.mark.faults, pytest.mark.apache, pytest.mark.broker, pytest.mark.timeout(1800)]


def _delete_results(trial: Trial) -> None:
    """Delete the result topic, with every result in it read, and make it anew once the worker has ended of that."""
    trial.until_all(trial.load.rest())
    with KafkaAdminClient(bootstrap_servers=trial.cluster.bootstrap_servers) as admin:
        admin.delete_topics([trial.line.results])
        trial.load.go_on()
        trial.until("the worker has ended", lambda: Exit.TOPIC in trial.ends(), timeout_s=120)
        trial.cluster.make_topic_named(trial.line.results, partitions=PARTITIONS)
    trial.read_new_results()


FAULTS = [
    Fault(
        name="result topic deleted",
        inject=_delete_results,
        options={"delivery_timeout_s": 5},
        exits=frozenset({Exit.TOPIC, Exit.DELIVERY, Exit.STUCK}),
        bound_s=60,
    )
]


def test_a_result_topic_that_was_deleted_stops_the_worker_until_it_is_there_again(
    stage: Stage, cluster: Cluster
) -> None:
    stage.run(cluster, *FAULTS)

"""Events that cannot be decoded, scored or published, in the middle of a stream of others."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from tests.faults.bad_models import CROWDED, NOT_A_NUMBER, TOO_LARGE
from tests.faults.fault import Fault
from tests.faults.load import Request, good
from tests.integration.bad_input import BAD
from tests.integration.line import event
from worker.exits import Exit

if TYPE_CHECKING:
    from tests.faults.cluster import Cluster
    from tests.faults.stage import Stage
    from tests.faults.trial import Trial

pytestmark = [pytest.mark.faults, pytest.mark.apache, pytest.mark.broker, pytest.mark.timeout(1800)]

BACK_S = 60.0
LIMIT_BYTES = 3000


def _poison(number: int) -> Request:
    """Make every second request one of all kinds of bad input."""
    kinds = [value for value, _ in BAD.values()]
    return good(number) if number % 2 else Request(kinds[number // 2 % len(kinds)], "dead letter")


def _unscorable(number: int) -> Request:
    """Make some requests with a text that the model fails on."""
    sign = {0: CROWDED, 2: TOO_LARGE, 4: NOT_A_NUMBER}.get(number % 6)
    if sign is None:
        return good(number)
    made = event(number, candidates=3, words=4)
    made["candidates"][1]["text"] += f" {sign}"
    return Request(json.dumps(made).encode(), "result" if sign == CROWDED else "dead letter")


def _large(number: int) -> Request:
    """Make some requests whose results are larger than LIMIT_BYTES, however they are compressed."""
    if number % 10:
        return good(number)
    noise = random.Random(number).randbytes(LIMIT_BYTES).hex()
    return Request(json.dumps(event(number, candidates=3, metadata=noise)).encode(), "dead letter")


def _go_on(trial: Trial) -> None:
    trial.until_more(100)


def _lower_the_limit(trial: Trial) -> None:
    """Have the result topic take less than the worker knows of, then send what it refuses."""
    changed = ConfigResource(ConfigResourceType.TOPIC, trial.line.results, {"max.message.bytes": str(LIMIT_BYTES)})
    with KafkaAdminClient(bootstrap_servers=trial.cluster.bootstrap_servers) as admin:
        admin.alter_configs([changed])
    trial.load.make = _large
    trial.until("the worker was refused", lambda: Exit.DELIVERY in trial.ends())


FAULTS = [
    Fault(name="poison of every kind", requests=_poison, inject=_go_on, bound_s=BACK_S),
    Fault(name="model out of memory, NaN", requests=_unscorable, inject=_go_on, bound_s=BACK_S),
    Fault(
        name="result too large",
        requests=_large,
        options={"max_record_bytes": LIMIT_BYTES},
        inject=_go_on,
        bound_s=BACK_S,
    ),
    Fault(
        name="result topic's limit lowered",
        options={"compression": "none"},
        inject=_lower_the_limit,
        exits=frozenset({Exit.DELIVERY}),
        bound_s=BACK_S,
    ),
]


def test_events_that_cannot_be_dealt_with_become_dead_letters_and_the_stream_goes_on(
    stage: Stage, cluster: Cluster
) -> None:
    stage.run(cluster, *FAULTS)

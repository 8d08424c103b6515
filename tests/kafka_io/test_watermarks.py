"""How far partitions were received, and where they end."""

from collections.abc import Callable

import pytest

from tests.kafka_io.reading import Join, places, turn_until
from worker.kafka_io import watermarks as places_module

pytestmark = pytest.mark.broker


def test_it_is_known_how_far_a_partition_was_received_and_where_it_ends(
    join: Join, produce: Callable[..., None]
) -> None:
    produce(0, 10)
    reader = join()
    while len(reader.records) < 4:
        reader.turn(max_records=4)
    assert places(reader)[0] == (4, 10)
    turn_until(lambda: places(reader) == {0: (10, 10), 1: (0, 0)}, reader)
    produce(1, 3)
    turn_until(lambda: places(reader) == {0: (10, 10), 1: (3, 3)}, reader)


@pytest.mark.apache  # asked where a partition ends, the embedded broker counts batches, not records
def test_where_a_partition_ends_is_asked_while_no_fetches_say_it(
    join: Join, produce: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places_module, "_ASK_EVERY_S", 0.05)
    reader = join()
    reader.consumer.pause_all()
    turn_until(lambda: places(reader) == {0: (0, 0), 1: (0, 0)}, reader)  # before a first fetch
    produce(0, 5)
    turn_until(lambda: places(reader)[0] == (0, 5), reader)
    reader.consumer.resume_all()
    turn_until(lambda: len(reader.records) == 5, reader)
    assert places(reader)[0] == (5, 5)
    reader.consumer.pause_all()
    produce(0, 2)
    turn_until(lambda: places(reader)[0] == (5, 7), reader)


def test_nobody_is_asked_while_fetches_say_where_partitions_end(join: Join, produce: Callable[..., None]) -> None:
    reader = join()
    turn_until(lambda: places(reader) == {0: (0, 0), 1: (0, 0)}, reader)
    looking = reader.consumer._places
    turn_until(lambda: (places(reader), looking._question)[1] is None, reader)
    looking._due_s = 0.0
    produce(0, 5)
    turn_until(lambda: places(reader)[0] == (5, 5), reader)
    assert looking._question is None

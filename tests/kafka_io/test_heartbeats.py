"""Heartbeats of a member whose interpreter is busy: none is sent for a while, and it stays a member."""

from __future__ import annotations

import ctypes

import pytest

from tests.kafka_io.reading import Join, owns_all, turn_until

pytestmark = [pytest.mark.apache, pytest.mark.broker]


def test_a_member_in_which_no_python_code_runs_for_half_of_its_session_keeps_its_partitions(join: Join) -> None:
    reader = join(session_timeout_s=6.0)
    turn_until(owns_all(reader), reader)
    generation = reader.consumer._client.group_metadata().generation_id
    heartbeat = reader.consumer._client._coordinator.heartbeat
    ctypes.PyDLL(None).usleep(3_000_000)  # which holds the interpreter's lock
    before_s = heartbeat.last_receive
    turn_until(lambda: heartbeat.last_receive > before_s, reader)
    assert reader.told == ["assigned"]
    assert reader.consumer._client.group_metadata().generation_id == generation

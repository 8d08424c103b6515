"""The events of `bench host`: a cold run sees no text twice, whatever the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pyarrow as pa
import pytest
from pyarrow import parquet

from worker.events.codec import EventOptions
from worker.exits import StopError
from worker.tools.bench.host_events import plan
from worker.tools.bench.host_options import HostOptions

if TYPE_CHECKING:
    from pathlib import Path

CANDIDATES = 4


def options(tmp_path: Path, texts: int) -> HostOptions:
    """Options with a file of so many texts, each of them twice."""
    path = tmp_path / "pairs.parquet"
    parquet.write_table(pa.table({"query": ["q"] * 2 * texts, "text": [str(at // 2) for at in range(2 * texts)]}), path)
    return HostOptions(input=path, candidates=CANDIDATES, seconds=5)


def test_a_cold_run_is_as_long_as_the_texts_of_the_file_last(tmp_path: Path) -> None:
    planned = plan("cold", EventOptions(), options(tmp_path, 103))
    events = [orjson.loads(value) for value in planned.workload.events(planned.events, planned.candidates)]
    texts = [each["text"] for event in events for each in event["candidates"]]
    assert len(events) == 25
    assert len(set(texts)) == len(texts) == 100


def test_a_warm_run_takes_the_texts_in_turn(tmp_path: Path) -> None:
    planned = plan("warm", EventOptions(), options(tmp_path, 103))
    assert planned.events == 5 * 60_000 // CANDIDATES
    assert sum(len(texts) for _, texts in planned.lists()) == 103


def test_a_file_that_lasts_for_no_cold_run_is_refused_with_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(StopError, match=r"need at least 80 different product texts, .* has 79;"):
        plan("cold", EventOptions(), options(tmp_path, 79))


def test_no_synthetic_text_comes_twice_in_a_cold_run() -> None:
    planned = plan("cold", EventOptions(), HostOptions(candidates=50, seconds=0.1))
    assert planned.events == 40
    assert len({text for _, text in planned.workload.pairs}) == 40 * 50

"""The line that the tests of the whole worker run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.line import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.collector import Collector


@pytest.fixture
def line(broker: str, topics: Callable[..., str], tmp_path: Path) -> Iterator[Line]:
    line = Line(broker, topics, tmp_path)
    yield line
    line.close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    from tests.integration.collector import Collector  # which needs the extra otel

    with Collector() as collector:
        yield collector

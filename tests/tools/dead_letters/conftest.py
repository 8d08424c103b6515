"""A line, and a pen for its dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tools.dead_letters.making import Pen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.line import Line


@pytest.fixture
def pen(line: Line) -> Iterator[Pen]:
    pen = Pen(line)
    yield pen
    pen.close()

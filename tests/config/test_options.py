"""What options there are."""

from __future__ import annotations

from collections import Counter

from worker.config.options import options
from worker.config.settings import group_types


def test_every_option_is_declared_once_with_a_sentence_of_help() -> None:
    every = options(group_types())
    assert [name for name, count in Counter(option.name for option in every).items() if count > 1] == []
    for option in every:
        assert option.help.endswith("."), option.name

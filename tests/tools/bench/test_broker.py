"""The topics of a bench: what cannot be removed is named, where no figures are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from worker.exits import Exit, StopError
from worker.kafka_io import KafkaOptions
from worker.tools.bench import broker as module
from worker.tools.bench.broker import BenchBroker

if TYPE_CHECKING:
    from typing import NoReturn


@pytest.mark.broker
def test_topics_that_may_be_left_are_named_on_standard_error(
    broker: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    delete = module._delete

    def unreachable(*_: object) -> NoReturn:
        raise StopError(Exit.UNREACHABLE, "no broker answers")

    with BenchBroker("the broker", KafkaOptions(bootstrap_servers=broker)).topics() as options:
        monkeypatch.setattr(module, "connect", unreachable)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"{options.request_topic}, {options.result_topic}" in shown.err
    assert shown.err.endswith("may still be there: no broker answers\n")
    monkeypatch.undo()
    delete(options)

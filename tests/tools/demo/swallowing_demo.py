"""The command line, in which an interrupt comes where the demo makes its producer, and what it raises there is lost."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING
from unittest.mock import patch

from worker import cli
from worker.kafka_io import Producer

if TYPE_CHECKING:
    from worker.kafka_io import KafkaOptions


class _InterruptedProducer(Producer):
    def __init__(self, options: KafkaOptions) -> None:
        with contextlib.suppress(BaseException):
            signal.raise_signal(signal.SIGINT)
        super().__init__(options)


if __name__ == "__main__":
    with patch("worker.tools.demo.demo.Producer", _InterruptedProducer):
        cli.main()

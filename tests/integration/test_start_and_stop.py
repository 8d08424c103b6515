"""What a worker says and does before it is ready, and while it stops."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.line import Line, event, wait_until
from worker.tools.local.children import Child, free_port

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_worker_that_finds_no_broker(tmp_path: Path, number: signal.Signals) -> None:
    flags = ["--bootstrap-servers", f"127.0.0.1:{free_port()}", "--connect-timeout-s", "600", "--http-port", "0"]
    worker = Child([sys.executable, "-m", "worker", "run", *flags], log=tmp_path / "worker.log")
    worker.start()
    try:
        wait_until("it connects: {}", lambda: "serving /metrics" in worker.tail(), detail=worker.tail)
        os.kill(worker.pid, number)
        assert worker.wait(120) == 0
        assert f"{number.name}: stopping before anything was read" in worker.tail()
    finally:
        worker.kill()


@pytest.mark.broker
def test_a_signal_ends_a_worker_that_loads_its_model(line: Line) -> None:
    never = str(line.folder / "never")
    worker = line.start(wait=False, module="tests.integration.light_worker", environment={"LIGHT_WORKER_GATE": never})
    worker.until("it loads", lambda: "waiting for the gate" in worker.tail())
    assert worker.stop(grace_s=60) == 0
    assert "SIGTERM: stopping before anything was read" in worker.tail()


@pytest.mark.broker
def test_a_worker_that_stops_is_not_ready(line: Line) -> None:
    slow = {"LIGHT_WORKER_EVENT_S": "0.1"}
    worker = line.start(module="tests.integration.light_worker", environment=slow)
    line.publish(event(number) for number in range(100))
    worker.until("it has begun", lambda: worker.metric("rerank_events_total") > 0)
    worker.terminate()
    worker.until("it says so", lambda: worker.get("/readyz") == (503, "the worker is stopping\n"))
    assert worker.wait(120) == 0


@pytest.mark.broker
def test_a_worker_is_not_ready_before_its_model_is_warm_and_stays_under_its_size(line: Line) -> None:
    worker = line.start(wait=False)
    worker.until("it answers", lambda: worker.get("/livez")[0] == 200)
    assert worker.get("/readyz") == (503, "the model is loading\n")
    worker.until_ready()
    assert "model warm" in worker.log.read_text()
    line.publish(event(number) for number in range(200))
    line.read(line.results, 200)
    assert worker.metric("process_resident_memory_bytes") < 1.2e9

"""The status page of a live worker, as a browser shows it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.integration.line import Line, event
from tests.support.browser import Browser, needs_chromium

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.broker, needs_chromium]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    folder = tmp_path / "browser"
    folder.mkdir()
    with Browser(folder) as browser:
        yield browser


def test_the_page_follows_a_worker_through_its_life(line: Line, browser: Browser, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    slow = {"LIGHT_WORKER_GATE": str(gate), "LIGHT_WORKER_EVENT_S": "0.1"}
    worker = line.start(wait=False, module="tests.integration.light_worker", environment=slow)
    worker.until("it loads", lambda: "waiting for the gate" in worker.tail())
    browser.open(f"http://127.0.0.1:{worker.port}/")
    browser.until("it starts", lambda: browser.text("state") == "starting: the model is loading")
    assert browser.text("partitions") == "none assigned"
    gate.touch()
    browser.until("it is ready", lambda: browser.text("state") == "ready")
    browser.until("its partitions", lambda: browser.text("partition-count") == "3 assigned")
    line.publish(event(number) for number in range(100))  # ten seconds of work
    worker.until("it has begun", lambda: worker.metric("rerank_events_total") > 0)
    os.kill(worker.pid, 15)
    browser.until("it drains", lambda: browser.text("state") == "draining: the worker is stopping")
    assert worker.wait(120) == 0
    browser.until("nobody answers", lambda: browser.text("state") == "no answer")
    assert "old" in browser.text("fresh")


def test_the_page_shows_what_a_worker_does_and_refreshes_itself(line: Line, browser: Browser) -> None:
    worker = line.start()
    browser.open(f"http://127.0.0.1:{worker.port}/")
    browser.until("it is ready", lambda: browser.text("state") == "ready")
    browser.ask("window.notReloaded = true")
    line.publish([*(event(number) for number in range(150)), b"{", b"[]"])
    browser.until("a rate", lambda: re.search("[1-9]", browser.text("events")) is not None)
    browser.until("a latency", lambda: browser.text("p99").endswith("s"))
    browser.until("all outcomes", lambda: browser.text("outcomes").split()[:3] == ["reranked", "complete", "150"])
    assert browser.text("budgets").endswith("100% of their candidates were scored.")
    browser.until("the share that is scored", lambda: browser.text("p50").endswith("100% scored"))
    assert browser.text("letters").split() == ["not", "json", "1", "schema", "1"]
    browser.until("no lag", lambda: browser.text("lag") == "0")
    build = browser.text("build")
    assert "model-minilm-l6" in build
    assert "cpu" in build
    plots = ("#throughput", "#latency", "#backlog")
    lengths = f"{list(plots)}.map((plot) => document.querySelector(`${{plot}} path.main`).getTotalLength())"
    browser.until("a line in each plot", lambda: min(browser.ask(lengths)) > 0)
    assert "now" in browser.ask("document.getElementById('latency').getAttribute('aria-label')")
    assert browser.ask("window.notReloaded")
    assert browser.complaints == []


def test_the_page_follows_what_its_reader_prefers_and_fits_a_phone(line: Line, browser: Browser) -> None:
    worker = line.start(module="tests.integration.light_worker")
    browser.open(f"http://127.0.0.1:{worker.port}/", width=360, dark=True)
    browser.until("it is ready", lambda: browser.text("state") == "ready")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = browser.ask(ground)
    browser.prefer(dark=False)
    assert browser.ask(ground) != dark
    assert browser.ask("document.documentElement.scrollWidth") <= 360
    assert browser.complaints == []


def test_what_a_worker_says_is_text_to_the_page(line: Line, browser: Browser) -> None:
    worker = line.start(module="tests.integration.light_worker")
    browser.open(f"http://127.0.0.1:{worker.port}/")
    browser.until("it is ready", lambda: browser.text("state") == "ready")
    browser.ask("say('ready', '<img src=x onerror=alert(1)>')")
    assert browser.text("state") == "ready: <img src=x onerror=alert(1)>"
    assert browser.ask("document.images.length") == 0
    browser.ask(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))"
    )
    assert browser.ask("window.ran ?? null") is None
    assert any("Content Security Policy" in complaint for complaint in browser.complaints)

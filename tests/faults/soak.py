"""`make soak`: a steady load for as long as one likes, with workers and the broker started again now and then.

One worker is left alone: its memory, threads, open files and the latency of what comes out are sampled, written as JSON
and drawn. In the end the checker is asked for the invariants of the whole.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import random
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults.cluster import Cluster
from tests.faults.fault import Fault
from tests.faults.faulty_worker import MODEL_VARIABLE
from tests.faults.samples import Sample, Sampler, drift
from tests.faults.soak_plot import draw
from tests.faults.trial import Trial
from tests.integration.line import SHIPPED_MODEL
from tests.needs import lacking
from worker.tools.bench.environment import Environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SAMPLES = 300  # of a run, but not more than one in 2 s
_BOUND_S = 60.0
_MOST_SHOWN = 5  # violations of an invariant
_MODELS: dict[str, dict[str, Any]] = {
    "light": {},
    "shipped": {
        "model": SHIPPED_MODEL,
        "dtype": "float32",
        "cpu_threads": 1,
        "batch_tokens": 4096,
        "environment": {MODEL_VARIABLE: "shipped"},
    },
}


class Soak:
    """The course of a run: what happens when, and what is seen meanwhile."""

    def __init__(self, trial: Trial, minutes: float) -> None:
        self._trial = trial
        self._length_s = minutes * 60
        self._sampler = Sampler(trial)
        self._began_s = time.monotonic()
        self.samples: list[Sample] = []
        self.events: list[tuple[float, str]] = []

    def run(self, *, worker_every_s: float, broker_every_s: float) -> None:
        """Let the time pass."""
        pause_s = max(2.0, self._length_s / _SAMPLES)
        due: dict[Callable[[], None], float] = {
            self._sample: pause_s,
            self._worker_restarts(): worker_every_s,
            self._restart_broker: broker_every_s,
        }
        at_s = dict(due)
        while (now_s := self._now_s()) < self._length_s:
            self._trial.look()
            for act, when_s in at_s.items():
                if now_s >= when_s:
                    act()
                    at_s[act] = self._now_s() + due[act]

    def _now_s(self) -> float:
        return time.monotonic() - self._began_s

    def _sample(self) -> None:
        self.samples.append(self._sampler.sample(self._now_s()))
        print(self.samples[-1].line(), flush=True)

    def _worker_restarts(self) -> Callable[[], None]:
        """Return what restarts the second worker: now it is asked to stop, now it is killed."""
        ways: Iterator[tuple[str, str]] = itertools.cycle((("stopped", "terminate"), ("killed", "kill")))

        def restart() -> None:
            name, method = next(ways)
            getattr(self._trial.supervisors[1].worker, method)()
            self.events.append((self._now_s(), f"worker {name}"))

        return restart

    def _restart_broker(self) -> None:
        self.events.append((self._now_s(), "broker restarted"))
        self._trial.cluster.restart()


def main() -> int:
    """Run it, write and draw what was seen, and return 1 where an invariant was broken."""
    given = _arguments()
    if lack := lacking("soak"):
        sys.exit(lack)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="rerank-soak-"))
    home = Path(os.environ.get("KAFKA_HOME", "../shared/kafka"))
    with (
        Cluster(home, folder / "broker") as cluster,
        closing(Trial(_fault(given.model), given.delivery, cluster, folder / "trial", random.Random(0))) as trial,
    ):
        trial.begin()
        soak = Soak(trial, given.minutes)
        soak.run(worker_every_s=given.worker_every_s, broker_every_s=given.broker_every_s)
        findings = trial.finish()
        broken = [line for lines in findings.violations.values() for line in lines[:_MOST_SHOWN]]
        broken += trial.strange_ends()
        _report(given, soak, trial, broken)
    return 1 if broken else 0


def _fault(model: str) -> Fault:
    """Return what a trial needs to know: nothing is done but by the soak."""
    options = {"delivery_timeout_s": 60, "session_timeout_s": 6, "live_limit_s": 30, **_MODELS[model]}
    return Fault(name="soak", bound_s=_BOUND_S, workers=2, options=options, exact_scores=model == "light")


def _report(given: argparse.Namespace, soak: Soak, trial: Trial, broken: list[str]) -> None:
    title = (
        f"{given.minutes:g} minutes, {given.delivery}, {given.model} model: {trial.sent:,} requests, "
        f"{len(soak.events)} restarts, {'invariants broken' if broken else 'no invariant broken'}"
    )
    report = {
        "environment": Environment().as_dict(),
        "run": {**vars(given), "requests": trial.sent, "outcomes": len(trial.outcomes), "broken": broken},
        "drift_per_hour": drift(soak.samples),
        "samples": [asdict(sample) for sample in soak.samples],
        "events": soak.events,
    }
    given.json.write_text(json.dumps(report, indent=1, default=str) + "\n", encoding="utf-8")
    draw(given.plot, soak.samples, soak.events, title=title)
    print(*broken, title, f"by the hour: {report['drift_per_hour']}", f"in {given.json} and {given.plot}", sep="\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--delivery", choices=("at-least-once", "exactly-once"), default="at-least-once")
    parser.add_argument("--model", choices=tuple(_MODELS), default="shipped")
    parser.add_argument("--worker-every-s", type=float, default=60, help="between two restarts of the second worker")
    parser.add_argument("--broker-every-s", type=float, default=300, help="between two restarts of the broker")
    parser.add_argument("--json", type=Path, default=Path("soak.json"))
    parser.add_argument("--plot", type=Path, default=Path("soak.png"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

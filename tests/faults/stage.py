"""Runs faults, several trials at once since most of their time is waiting, and keeps the table."""

from __future__ import annotations

import random
import re
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, NamedTuple

from tests.faults.checker import INVARIANTS
from tests.faults.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from tests.faults.checker import Findings
    from tests.faults.cluster import Cluster
    from tests.faults.fault import Fault
    from tests.faults.history import Delivery
    from tests.faults.table import Table

AT_ONCE = 6  # trials, on two cores
_MOST_SHOWN = 5  # violations of an invariant
_FEW, _MANY = 2, 5  # kills of a trial that kills, where each is run once and where they are run often


class _Try(NamedTuple):
    fault: Fault
    delivery: Delivery
    number: int


class Stage:
    """Where faults are tried, each `runs` times.

    All that were `declared` begin with the first that is asked for, so that none waits for the others' waiting.
    """

    def __init__(self, folder: Path, table: Table, *, declared: Sequence[Fault], runs: int, seed: int) -> None:
        self._folder = folder
        self._table = table
        self._declared = list(declared)
        self._runs = runs
        self._seed = seed
        self._tries: dict[tuple[str, Delivery, int], Future[list[str]]] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE, "trial")

    def close(self) -> None:
        """Begin nothing more, and wait for what is under way."""
        self._pool.shutdown(cancel_futures=True)

    def run(self, cluster: Cluster, *faults: Fault) -> None:
        """Try each fault under each of its deliveries. Raises AssertionError that says what was broken."""
        declared, self._declared = self._declared, []
        for each in [*self._all_tries(declared), *self._all_tries(faults)]:
            key = (each.fault.name, each.delivery, each.number)
            if key not in self._tries:
                self._tries[key] = self._pool.submit(self._attempt, cluster, each)
        self._check(self._tries[each.fault.name, each.delivery, each.number] for each in self._all_tries(faults))

    def run_together(self, cluster: Cluster, fault: Fault, inject: Callable[[list[Trial]], None]) -> None:
        """Try a fault that hits all deliveries at once. Raises AssertionError as `run` does."""
        for number in range(self._runs):
            tries = [each for each in self._all_tries([fault]) if each.number == number]
            with ExitStack() as stack, ThreadPoolExecutor(len(tries)) as pool:
                trials = [stack.enter_context(self._trial(cluster, each)) for each in tries]
                list(pool.map(Trial.begin, trials))
                inject(trials)
                self._check([pool.submit(lambda trial: list(self._conclusion(trial)), trial) for trial in trials])

    def findings(self, cluster: Cluster, *faults: Fault) -> dict[str, Findings]:
        """Try each fault once, apart from the table, and return what the checker says."""

        def attempt(fault: Fault) -> Findings:
            with self._trial(cluster, _Try(fault, fault.deliveries[0], 0)) as trial:
                trial.begin()
                fault.inject(trial)
                return trial.finish()

        tries = {fault.name: self._pool.submit(attempt, fault) for fault in faults}
        return {name: each.result() for name, each in tries.items()}

    def _all_tries(self, faults: Iterable[Fault]) -> list[_Try]:
        rows = [(fault, delivery) for fault in faults for delivery in fault.deliveries]
        for fault, delivery in rows:
            self._table.expect(fault.name, delivery, bound_s=fault.bound_s)
        return [_Try(fault, delivery, number) for number in range(self._runs) for fault, delivery in rows]

    def _attempt(self, cluster: Cluster, each: _Try) -> list[str]:
        with self._trial(cluster, each) as trial:
            trial.begin()
            each.fault.inject(trial)
            return list(self._conclusion(trial))

    def _trial(self, cluster: Cluster, each: _Try) -> closing[Trial]:
        fault, delivery, number = each
        folder = self._folder / re.sub(r"\W+", "-", fault.name) / f"{delivery}-{number}"
        chance = random.Random(f"{self._seed} {fault.name} {delivery} {number}")
        kills = _FEW if self._runs == 1 else _MANY
        return closing(Trial(fault, delivery, cluster, folder, chance, kills=kills))

    def _conclusion(self, trial: Trial) -> Iterator[str]:
        """Finish a trial, note what it has shown, and give what was broken."""
        findings = trial.finish()
        if findings.violations.get("I3") and trial.cluster.has_skipped_markers(trial.line.group):
            findings = findings.excusing("I3")  # docs/delivery.md, "What the brokers do not keep"
        self._table.add(trial.fault.name, trial.delivery, findings, requests=trial.sent, ends=trial.ends())
        name = f"{trial.fault.name}, {trial.delivery}"
        for invariant, lines in findings.violations.items():
            for line in lines[:_MOST_SHOWN]:
                yield f"{name}: {invariant} ({INVARIANTS[invariant]}), {len(lines)} times: {line}"
        for line in trial.strange_ends():
            yield f"{name}: {line}"

    def _check(self, tries: Iterable[Future[list[str]]]) -> None:
        """Wait for all, and raise what was broken in any."""
        broken: list[str] = []
        for each in list(tries):
            try:
                broken += each.result()
            except Exception as error:
                broken.append(f"could not be tried: {type(error).__name__}: {error}")
        assert not broken, f"seed {self._seed}; logs in {self._folder}:\n" + "\n".join(broken)

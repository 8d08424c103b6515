"""Runs faults, several trials at once since most of their time is waiting, and keeps the table."""

from __future__ import annotations

import random
import re
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from tests.faults.checker import INVARIANTS
from tests.faults.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.faults.checker import Findings
    from tests.faults.cluster import Cluster
    from tests.faults.fault import Fault
    from tests.faults.history import Delivery
    from tests.faults.table import Table

AT_ONCE = 6  # trials, on two cores
_MOST_SHOWN = 5  # violations of an invariant


class Stage:
    """Where faults are tried, each `runs` times."""

    def __init__(self, folder: Path, table: Table, *, runs: int, seed: int) -> None:
        self.runs = runs
        self._folder = folder
        self._table = table
        self._seed = seed

    def run(self, cluster: Cluster, *faults: Fault) -> None:
        """Try each fault under each of its deliveries. Raises AssertionError that says what was broken."""

        def attempt(fault: Fault, delivery: Delivery, number: int) -> list[str]:
            with self._trial(cluster, fault, delivery, number) as trial:
                trial.begin()
                fault.inject(trial)
                return list(self._conclusion(trial))

        tries = [(fault, delivery, number) for number in range(self.runs) for fault, delivery in self._rows(faults)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            self._check(pool.submit(attempt, *each) for each in tries)

    def run_together(self, cluster: Cluster, fault: Fault, inject: Callable[[], None]) -> None:
        """Try a fault of the cluster itself, on all deliveries at once. Raises AssertionError as `run` does."""
        for number in range(self.runs):
            with ExitStack() as stack, ThreadPoolExecutor(AT_ONCE) as pool:
                trials = [
                    stack.enter_context(self._trial(cluster, fault, delivery, number))
                    for _, delivery in self._rows([fault])
                ]
                list(pool.map(Trial.begin, trials))
                inject()
                self._check(pool.submit(lambda trial: list(self._conclusion(trial)), trial) for trial in trials)

    def findings(self, cluster: Cluster, *faults: Fault) -> dict[str, Findings]:
        """Try each fault once, apart from the table, and return what the checker says."""

        def attempt(fault: Fault) -> Findings:
            with self._trial(cluster, fault, fault.deliveries[0], 0) as trial:
                trial.begin()
                fault.inject(trial)
                return trial.finish()

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip((fault.name for fault in faults), pool.map(attempt, faults), strict=True))

    def _rows(self, faults: Iterable[Fault]) -> list[tuple[Fault, Delivery]]:
        rows = [(fault, delivery) for fault in faults for delivery in fault.deliveries]
        for fault, delivery in rows:
            self._table.expect(fault.name, delivery, bound_s=fault.bound_s)
        return rows

    def _trial(self, cluster: Cluster, fault: Fault, delivery: Delivery, number: int) -> closing[Trial]:
        folder = self._folder / _word(fault.name) / f"{delivery}-{number}"
        chance = random.Random(f"{self._seed} {fault.name} {delivery} {number}")
        return closing(Trial(fault, delivery, cluster, folder, chance))

    def _conclusion(self, trial: Trial) -> Iterator[str]:
        """Finish a trial, note what it has shown, and give what was broken."""
        findings = trial.finish()
        self._table.add(trial.fault.name, trial.delivery, findings, requests=trial.sent, ends=trial.ends())
        for name, lines in findings.violations.items():
            for line in lines[:_MOST_SHOWN]:
                yield f"{name} ({INVARIANTS[name]}), {len(lines)} times: {line}"
        yield from trial.strange_ends()

    def _check(self, tries: Iterable[Future[list[str]]]) -> None:
        """Wait for all, and raise what was broken in any."""
        broken: list[str] = []
        for each in list(tries):
            try:
                broken += each.result()
            except Exception as error:
                broken.append(f"could not be tried: {type(error).__name__}: {error}")
        assert not broken, f"seed {self._seed}; logs in {self._folder}:\n" + "\n".join(broken)


def _word(name: str) -> str:
    return re.sub(r"\W+", "-", name)

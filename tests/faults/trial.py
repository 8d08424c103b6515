"""One fault under one delivery: workers under load on topics of their own, the fault, and what the checker says."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from tests.faults import journal
from tests.faults.checker import Findings, check
from tests.faults.faulty_worker import MODULE
from tests.faults.history import Commit, History, Outcome
from tests.faults.load import Load
from tests.faults.reading import Reader, outcome_of, read_group, read_inputs
from tests.faults.supervisor import Supervisor
from tests.integration.light_worker import EVENT_VARIABLE
from tests.integration.line import Line, Worker, wait_until
from worker.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from tests.faults.cluster import Cluster
    from tests.faults.fault import Fault
    from tests.faults.history import Delivery, Kind

PARTITIONS = 3
KILLED = -9
_EVENT_S = 0.01  # what a request takes, so that a worker has work in hand for a third of the time
_WORKING = 60  # outcomes after which a trial is under way
_BACK = 20  # outcomes after the fault, before the load ends
_OPTIONS: dict[str, Any] = {
    "session_timeout_s": 3,
    "commit_interval_s": 0.3,
    "transaction_timeout_s": 3,
    "hand_over_timeout_s": 1,
    "drain_timeout_s": 5,
    "live_limit_s": 10,
    "batch_tokens": 60,  # of which a light event has three: what waited must not become one batch of many seconds
    "dead_letters_in_a_row": 0,
    "dead_letter_ratio": 1,
}


class Trial:
    """A run of a fault: `begin`, then the fault, then `finish`; `close` in any case."""

    def __init__(
        self, fault: Fault, delivery: Delivery, cluster: Cluster, folder: Path, chance: Random, *, kills: int = 0
    ) -> None:
        folder.mkdir(parents=True)
        self.fault = fault
        self.delivery: Delivery = delivery
        self.cluster = cluster
        self.chance = chance
        self.kills = kills  # how many, where the fault is to kill
        self.line = Line(cluster.bootstrap_servers, cluster.make_topic, folder, partitions=PARTITIONS)
        self._plan = fault.plan and fault.plan._replace(times=kills if fault.plan.stall_s is None else 1)
        self.supervisors: list[Supervisor] = []
        self.outcomes: list[Outcome] = []
        self.topic_age = 0
        self.lifted_ms = 0  # when the fault was over, where that was before `inject` returned
        self.sent = 0
        self.load = Load(cluster.bootstrap_servers, self.line.requests, fault.requests, burst=fault.burst)
        self._reader = self._new_reader()
        self._seen: set[tuple[str, int, int, int]] = set()  # records, of which a new reader comes by again
        self._stack = ExitStack()
        self.proxy = self._stack.enter_context(cluster.door()) if fault.by_proxy else None

    def begin(self) -> None:
        """Start the load and the workers, and return when they are at work."""
        self.load.start()
        for _ in range(self.fault.workers):
            self.add_worker()
        self.until("the workers are at work", lambda: len(self.outcomes) >= _WORKING)

    def add_worker(self, **options: Any) -> Supervisor:
        """Start one worker more, which is kept running."""
        number = len(self.supervisors)
        given = {
            **_OPTIONS,
            "delivery": self.delivery,
            "transactional_id": f"{self.line.group}-{number}",
            **({"bootstrap_servers": f"127.0.0.1:{self.proxy.port}"} if self.proxy else {}),
            **self.fault.options,
            **options,
        }
        environment = {
            journal.VARIABLE: str(self.journal(number)),
            EVENT_VARIABLE: str(_EVENT_S),
            **(self._plan.environment() if self._plan else {}),
            **given.get("environment", {}),
        }
        supervisor = Supervisor(Worker(self.line, number, {**given, "environment": environment}, MODULE))
        self.supervisors.append(supervisor)
        supervisor.start()
        return supervisor

    def journal(self, number: int = 0) -> Path:
        """Return the file of a worker's journal."""
        return self.line.folder / f"journal-{number}"

    def until(self, what: str, holds: Callable[[], bool], timeout_s: float = 120) -> None:
        """Wait until something holds, reading what comes out meanwhile. Raises AssertionError after `timeout_s`."""

        def look() -> bool:
            self.look()
            return holds()

        wait_until(f"{what}; the workers said:\n{{}}", look, timeout_s, detail=self.tails)

    def until_more(self, count: int = _BACK, timeout_s: float = 120) -> None:
        """Wait until so many outcomes have been published from now on."""
        since_ms = now_ms()
        self.until(f"{count} outcomes more", lambda: self._since(since_ms) >= count, timeout_s)

    def until_all(self, count: int) -> None:
        """Wait until so many requests have an outcome."""
        self.until(f"{count} requests are done", lambda: len({each.source for each in self.outcomes}) >= count)

    def read_new_results(self) -> None:
        """Read the result topic from its beginning: it was made anew."""
        self._reader.close()
        self.topic_age += 1
        self._reader = self._new_reader()

    def finish(self) -> Findings:
        """Let the workers come to themselves, have them stop, and return what the checker says."""
        lifted_ms = self.lifted_ms or now_ms()
        self.load.await_burst()
        self._try_until(lambda: self._since(lifted_ms) >= _BACK)
        self.sent = self.load.stop()
        self._try_until(lambda: len({each.source for each in self.outcomes}) >= self.sent)
        for supervisor in self.supervisors:
            supervisor.let_go()
        for record in self._reader.rest():
            self._add(record)
        return check(self._history(lifted_ms))

    def ends(self) -> Counter[int]:
        """Return the statuses with which workers have ended before they were to."""
        return Counter(status for each in self.supervisors for status in (*each.statuses, each.last_status or 0))

    def strange_ends(self) -> list[str]:
        """Return what was said by workers that ended in a way that the fault does not explain."""
        # On a machine that is busy a transaction may outlive its time by itself, of which the broker then says so.
        known = {KILLED, 0, *self.fault.exits, *([Exit.FENCED] if self.delivery == "exactly-once" else [])}
        return [
            f"a worker ended with status {status}; it said:\n{supervisor.worker.tail()}"
            for supervisor in self.supervisors
            for status in set(supervisor.statuses) - known
        ] + [
            f"a worker did not stop in time when it was asked to; it said:\n{supervisor.worker.tail()}"
            for supervisor in self.supervisors
            if supervisor.last_status == KILLED and not supervisor.killed
        ]

    def close(self) -> None:
        """End what still runs."""
        for supervisor in self.supervisors:
            supervisor.let_go(grace_s=0)
        self.load.close()
        self._reader.close()
        self.line.close()
        self._stack.close()

    def tails(self) -> str:
        """Return the last lines of every worker."""
        return "\n".join(f"{each.worker.log.name}:\n{each.worker.tail()}" for each in self.supervisors)

    def _since(self, when_ms: int) -> int:
        return sum(each.at_ms >= when_ms for each in self.outcomes)

    def _new_reader(self) -> Reader:
        return Reader(self.cluster.bootstrap_servers, self.line.results, self.line.dead_letters)

    def _try_until(self, holds: Callable[[], bool]) -> None:
        give_up_s = time.monotonic() + self.fault.bound_s + self.fault.patience_s
        while not holds() and time.monotonic() < give_up_s:
            self.look()

    def look(self) -> None:
        """Read what has come out."""
        for record in self._reader.take():
            self._add(record)

    def _add(self, record: Any) -> None:
        kind: Kind = "result" if record.topic == self.line.results else "dead letter"
        age = self.topic_age if kind == "result" else 0
        place = (kind, age, record.partition, record.offset)
        if place not in self._seen:
            self._seen.add(place)
            self.outcomes.append(outcome_of(record, kind, age, exact_scores=self.fault.exact_scores))

    def _history(self, lifted_ms: int) -> History:
        servers, line = self.cluster.bootstrap_servers, self.line
        inputs = read_inputs(servers, line.requests)
        assert len(inputs) >= self.sent, f"the broker acknowledged {self.sent} requests and has {len(inputs)}"
        group = read_group(servers, line.group, line.requests)
        assert any(isinstance(each, Commit) for each in group), f"{line.group} committed nothing: nothing is shown"
        places = range(len(self.supervisors))
        return History(
            delivery=self.delivery,
            inputs=inputs,
            outcomes=self.outcomes,
            group=group,
            steps=[step for place in places for step in journal.steps(self.journal(place))],
            lifted_ms=lifted_ms,
            bound_s=self.fault.bound_s,
        )


def now_ms() -> int:
    """Return the time as the broker writes it into records: its clock is this one."""
    return int(time.time() * 1000)

"""The brokers of the fault suite, and its table at the end."""

from __future__ import annotations

import logging
import random
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.cluster import Cluster
from tests.faults.proxy import Proxy
from tests.faults.stage import AT_ONCE, Stage
from tests.faults.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLE = pytest.StashKey[Table]()


@pytest.fixture(scope="session", autouse=True)
def _quiet_clients() -> None:
    """Keep out of a report what the suite's own clients say of brokers that were killed under them."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest, broker_logs: Path) -> Stage:
    """Where faults are tried: once each, or as often as --fault-runs says."""
    table = request.config.stash[_TABLE] = Table()
    seed = request.config.getoption("--fault-seed")
    return Stage(
        broker_logs / "faults",
        table,
        runs=request.config.getoption("--fault-runs"),
        seed=random.randrange(1_000_000) if seed is None else seed,
    )


@pytest.fixture(scope="session")
def cluster(apache_kafka_home: Path, broker_logs: Path) -> Iterator[Cluster]:
    """One broker, which trials share, with as many doors as there are trials at once."""
    doors = {f"DOOR_{number}": Proxy(seed=number) for number in range(AT_ONCE)}
    proxied = {name: [proxy.port] for name, proxy in doors.items()}
    with ExitStack() as stack:
        for proxy in doors.values():
            stack.enter_context(proxy)
        running = stack.enter_context(Cluster(apache_kafka_home, broker_logs / "fault-broker", proxied=proxied))
        running.open_doors(doors)
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table of what was run, and write it to --fault-table."""
    table = config.stash.get(_TABLE, None)
    if table is None or not table.rows:
        return
    terminalreporter.section("faults x invariants x runs")
    for line in table.lines():
        terminalreporter.write_line(line)
    if path := config.getoption("--fault-table"):
        table.write(Path(path))

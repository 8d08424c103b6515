"""The brokers of the fault suite, and its table at the end."""

from __future__ import annotations

import logging
import random
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.cluster import Cluster
from tests.faults.proxy import Proxy
from tests.faults.stage import AT_ONCE, Stage
from tests.faults.table import Table
from tests.support.processes import say

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLE = pytest.StashKey[Table]()
_DISK_MB = 64


@pytest.fixture
def _quiet_clients() -> Iterator[None]:
    """Keep out of a report what the suite's own clients say of brokers that were killed under them."""
    logger = logging.getLogger("kafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


@pytest.fixture(autouse=True)
def _quiet_faults(request: pytest.FixtureRequest) -> None:
    """Quiet the clients of tests that break something, and of no others."""
    if request.node.get_closest_marker("faults"):
        request.getfixturevalue("_quiet_clients")


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest, broker_logs: Path) -> Stage:
    """Where faults are tried: once each, or as often as --fault-runs says."""
    table = request.config.stash[_TABLE] = Table()
    modules = dict.fromkeys(item.module for item in request.session.items if isinstance(item, pytest.Function))
    seed = request.config.getoption("--fault-seed")
    return Stage(
        broker_logs / "faults",
        table,
        declared=[fault for module in modules for fault in getattr(module, "FAULTS", ())],
        runs=request.config.getoption("--fault-runs"),
        seed=random.randrange(1_000_000) if seed is None else seed,
    )


@pytest.fixture(scope="session")
def cluster(apache_kafka_home: Path, broker_logs: Path, stage: Stage) -> Iterator[Cluster]:
    """One broker that nobody breaks, with as many doors as there are trials at once."""
    doors = {f"DOOR_{number}": Proxy(seed=number) for number in range(AT_ONCE)}
    proxied = {name: [proxy.port] for name, proxy in doors.items()}
    with ExitStack() as stack:
        for proxy in doors.values():
            stack.enter_context(proxy)
        running = stack.enter_context(Cluster(apache_kafka_home, broker_logs / "fault-broker", proxied=proxied))
        running.open_doors(doors)
        yield running
        stage.close()


@pytest.fixture(scope="session")
def small_disk(broker_logs: Path) -> Iterator[str | Path]:
    """A file system of its own for the data of a broker, or why there is none."""
    place = broker_logs / "fragile-broker" / "data"
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "tmpfs", str(place)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        yield f"needs the right to mount a file system: {error}"
        return
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
    shutil.rmtree(place)


@pytest.fixture(scope="session")
def fragile(apache_kafka_home: Path, broker_logs: Path, small_disk: str | Path) -> Iterator[Cluster]:
    """One broker to break, on the small disk if there is one."""
    del small_disk
    with Cluster(apache_kafka_home, broker_logs / "fragile-broker") as running:
        yield running


@pytest.fixture(scope="session")
def three(apache_kafka_home: Path, broker_logs: Path) -> Iterator[Cluster]:
    """Three brokers."""
    with Cluster(apache_kafka_home, broker_logs / "fragile-brokers", brokers=3) as running:
        yield running


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Have the table of what was run printed, and write it to --fault-table."""
    table = session.config.stash.get(_TABLE, None)
    if table is None or not table.rows:
        return
    say(session.config, "faults x invariants x runs", table.lines())
    if path := session.config.getoption("--fault-table"):
        table.write(Path(path))

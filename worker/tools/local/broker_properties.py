"""The properties of Apache Kafka's brokers for a demo or a test: quick to start, all on one machine."""

from collections.abc import Mapping, Sequence

HOST = "127.0.0.1"

# A listener speaks the protocol that it is named after, one of another name PLAINTEXT, as the brokers do among them.
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")


def server_properties(  # noqa: PLR0913 - each is a keyword
    number: int,
    *,
    ports: Mapping[str, int],
    advertised: Mapping[str, int],
    controllers: Sequence[int],
    data: str,
    extra: Mapping[str, str],
) -> str:
    """Return the properties file of broker `number` (from 1), which is a controller too.

    `ports` are those of its listeners, `advertised` those that clients are told where they differ, `controllers` the
    controller ports of all brokers, `data` its folder.
    """
    protocols = {name: name if name in _PROTOCOLS else "PLAINTEXT" for name in ("CONTROLLER", *ports)}
    copies = min(3, len(controllers))
    in_sync = max(1, copies - 1)
    properties = {
        "process.roles": "broker,controller",
        "node.id": number,
        "controller.quorum.voters": ",".join(f"{i}@{HOST}:{port}" for i, port in enumerate(controllers, 1)),
        "listeners": f"{_addresses(ports)},CONTROLLER://{HOST}:{controllers[number - 1]}",
        "advertised.listeners": _addresses({**ports, **advertised}),
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": data,
        "offsets.topic.replication.factor": copies,
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        # Few partitions of the internal topics save time at the start; a first join would wait 3 s without the 0.
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,
        "auto.create.topics.enable": "false",
        # A broker that was killed comes back once its old session has expired, after 9 s by default.
        "broker.session.timeout.ms": 4_000,
        "broker.heartbeat.interval.ms": 1_000,
        **extra,
    }
    return "".join(f"{name}={value}\n" for name, value in properties.items())


def _addresses(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://{HOST}:{port}" for name, port in ports.items())

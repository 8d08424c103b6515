"""Makes a client and, where that fails, says why: kafka-python hides the cause behind a time-out.

The cause of a failed connection appears only in the client's log, as an argument of a warning. So the log is read while
a client connects, and the attempt ends early where trying again cannot help.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient

from worker.exits import Exit
from worker.kafka_io.errors import connection_trouble
from worker.kafka_io.fixes.interrupts import let_interrupts_through
from worker.kafka_io.fixes.log_noise import quiet_client
from worker.kafka_io.fixes.sockets import close_sockets
from worker.kafka_io.options import KafkaOptions
from worker.kafka_io.security import security_settings

T = TypeVar("T")

_FIRST_ATTEMPT_S = 0.5  # doubled each time: a refused login is known after one attempt, a slow network gets longer ones
_RECONNECT_MAX_MS = 2_000  # a broker that comes back is seen soon


def connect(make: Callable[..., T], options: KafkaOptions, **settings: Any) -> T:
    """Return `make(…)`, a connected KafkaConsumer, KafkaProducer or KafkaAdminClient.

    Raises StopError that names the brokers and the cause: at once for a refused login or certificate, else after
    `connect_timeout_s`. What a failed attempt has opened is closed.
    """
    quiet_client()
    close_sockets()
    let_interrupts_through()
    settings = {**_common(options), **settings}
    give_up_s = time.monotonic() + options.connect_timeout_s
    attempt_s = _FIRST_ATTEMPT_S
    with _overheard() as heard:
        while True:
            left_s = give_up_s - time.monotonic()
            clients: list[KafkaNetClient] = []
            try:
                return make(
                    kafka_client=lambda clients=clients, **given: _noted(clients, given),
                    bootstrap_timeout_ms=max(1, int(min(attempt_s, left_s) * 1000)),
                    **settings,
                )
            except BaseException as error:
                for client in clients:
                    client.close()
                if not isinstance(error, KafkaError):
                    raise
                trouble = connection_trouble([*heard.causes, error], options, answers=heard.answers)
                if trouble.code is not Exit.UNREACHABLE or time.monotonic() + 0.1 > give_up_s:
                    raise trouble from error
            attempt_s *= 2


def _common(options: KafkaOptions) -> dict[str, Any]:
    return {
        "bootstrap_servers": [server.strip() for server in options.bootstrap_servers.split(",")],
        "reconnect_backoff_max_ms": _RECONNECT_MAX_MS,
        **security_settings(options),
    }


def _noted(clients: list[KafkaNetClient], given: dict[str, Any]) -> KafkaNetClient:
    client = KafkaNetClient(**given)
    clients.append(client)
    return client


class _Listener(logging.Handler):
    """Keeps the exceptions that the client logs, and counts the brokers that answered before a login began."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.causes: list[BaseException] = []
        self.answers = 0

    def emit(self, record: logging.LogRecord) -> None:
        arguments = record.args if isinstance(record.args, tuple) else ()
        self.causes.extend(argument for argument in arguments if isinstance(argument, BaseException))
        self.answers += "Broker version identified" in str(record.msg)


@contextmanager
def _overheard() -> Iterator[_Listener]:
    """Listen to what the client logs meanwhile; it goes no further."""
    listener = _Listener()
    loggers = [logging.getLogger(name) for name in ("kafka.net.manager", "kafka.net.connection", "kafka.net.inet")]
    before = [(logger.level, logger.propagate, logger.filters) for logger in loggers]
    for logger in loggers:
        logger.addHandler(listener)
        logger.setLevel(logging.INFO)
        logger.propagate, logger.filters = False, []
    try:
        yield listener
    finally:
        for logger, (level, propagate, filters) in zip(loggers, before, strict=True):
            logger.removeHandler(listener)
            logger.setLevel(level)
            logger.propagate, logger.filters = propagate, filters

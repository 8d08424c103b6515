"""A steady stream of requests, good ones and bad ones, whatever becomes of the brokers meanwhile."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError, UnknownError

from tests.faults.history import Place
from tests.integration.bad_input import BAD
from tests.integration.line import event

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.history import Kind

ENDS_AS = "ends-as"  # a header by which a request says how it must end
_KEYS = 12
_PAUSE_S = 0.5
_BAD_EVERY = 20
_KEPT_FOR_S = 120.0  # how long a producer tries: longer than a broker is ever away

# The kinds of bad input that are small, so that they can be among any others.
_SMALL = {name: value for name, (value, _) in BAD.items() if value is None or len(value) < 10_000}


class Request(NamedTuple):
    """What is sent, and how it must end."""

    value: bytes | None
    ends_as: Kind = "result"


def good(number: int) -> Request:
    """Make a small valid request."""
    return Request(json.dumps(event(number, candidates=3, words=4)).encode())


def bad(number: int) -> Request:
    """Make a bad request; each kind of them comes in turn."""
    return Request(list(_SMALL.values())[number % len(_SMALL)], "dead letter")


def mixed(number: int) -> Request:
    """Make a good request, and now and then a bad one."""
    return bad(number // _BAD_EVERY) if number % _BAD_EVERY == _BAD_EVERY - 1 else good(number)


class Load:
    """Sends `burst` requests at once, twice a second, until it is stopped: now there is work in hand, and now none."""

    def __init__(self, servers: str, topic: str, make: Callable[[int], Request] = mixed, *, burst: int) -> None:
        self.make = make
        self._topic = topic
        self._numbers = itertools.count()
        self._burst = burst
        self._sent: list[Any] = []
        self._times_ms: dict[Place, int] = {}
        self._timed = 0  # of what was sent
        self._resting = False
        self._turn = threading.Lock()
        self._bursts = threading.Event()
        self._over = threading.Event()
        self._servers = servers
        self._producer = self._new_producer()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def times_ms(self) -> dict[Place, int]:
        """Return when the broker appended each request that it has acknowledged."""
        for future in self._sent[self._timed :]:
            if not future.is_done:
                break  # it is asked for again
            self._timed += 1
            if future.succeeded():
                sent = future.value
                self._times_ms[Place(sent.partition, sent.offset)] = sent.timestamp
        return self._times_ms

    def await_burst(self) -> None:
        """Return when the broker has acknowledged one burst more."""
        self._bursts.clear()
        self._bursts.wait(_KEPT_FOR_S)
        self._producer.flush(_KEPT_FOR_S)

    def rest(self) -> int:
        """Send nothing until `go_on`; return how many requests were sent, when all are acknowledged."""
        with self._turn:
            self._resting = True
        self._producer.flush(_KEPT_FOR_S)
        return len(self._sent)

    def go_on(self) -> None:
        """Send again."""
        self._resting = False

    def stop(self) -> int:
        """Send no more; return how many requests the broker has acknowledged. Raises what a send failed of."""
        self._over.set()
        self._thread.join()
        self._producer.flush(_KEPT_FOR_S)
        return sum(map(_is_acknowledged, self._sent))

    def close(self) -> None:
        """Give up what is left."""
        self._over.set()
        with contextlib.suppress(KafkaTimeoutError):  # its own flush, of what nobody waits for any more
            self._producer.close(0)

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._over.wait(max(0.0, due_s - time.monotonic())):
            due_s = max(due_s + _PAUSE_S, time.monotonic())  # what could not be sent is not made up for
            with self._turn:
                if not self._resting:
                    self._replace_what_has_failed()
                    for _ in range(self._burst):
                        self._send()
                    self._bursts.set()

    def _new_producer(self) -> KafkaProducer:
        kept_ms = int(_KEPT_FOR_S * 1000)
        return KafkaProducer(bootstrap_servers=self._servers, delivery_timeout_ms=kept_ms, max_block_ms=kept_ms)

    def _replace_what_has_failed(self) -> None:
        """Begin with a new producer after an error: one that counts its records sends none any more."""
        if any(sent.failed() for sent in self._sent[-self._burst :]):
            self._producer.close(0)
            self._producer = self._new_producer()

    def _send(self) -> None:
        number = next(self._numbers)
        request = self.make(number)
        headers = [(ENDS_AS, request.ends_as.encode())]
        key = f"key {number * 7 % _KEYS}".encode()
        self._sent.append(self._producer.send(self._topic, request.value, key, headers))


def _is_acknowledged(sent: Any) -> bool:
    """Return whether the broker has acknowledged what was sent, once it has answered. Raises what else came of it."""
    try:
        sent.get(_KEPT_FOR_S)
    except UnknownError:  # the answer of one without room: it may have the request or not
        return False
    return True

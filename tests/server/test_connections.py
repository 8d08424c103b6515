"""The bound on connections: whoever is silent goes first."""

from __future__ import annotations

import socket
import threading
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.server.conftest import until_closed
from worker.server.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.server.conftest import Client, Server

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Callable[[], Pair]]:
    """Make a connection: the server's end and the client's."""
    with ExitStack() as stack:

        def make() -> Pair:
            ends = socket.socketpair()
            for end in ends:
                stack.enter_context(end)
                end.settimeout(60)
            return ends

        yield make


def is_ended(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False


def test_one_more_ends_the_one_that_has_been_silent_longest(pair: Callable[[], Pair]) -> None:
    connections = Connections(2)
    clients = []
    for _ in range(4):
        ours, theirs = pair()
        connections.add(ours)
        clients.append(theirs)
    assert [is_ended(client) for client in clients] == [True, True, False, False]
    assert len(connections) == 2


def test_one_that_was_answered_counts_from_then(pair: Callable[[], Pair]) -> None:
    connections = Connections(2)
    (first, one), (second, two), (third, _) = (pair() for _ in range(3))
    connections.add(first)
    connections.add(second)
    with connections.answering(first):
        pass
    connections.add(third)
    assert (is_ended(one), is_ended(two)) == (False, True)


def test_one_whose_request_has_come_or_is_answered_stays(pair: Callable[[], Pair]) -> None:
    connections = Connections(3)
    (asked, one), (answered, two), (silent, three), (more, _) = (pair() for _ in range(4))
    for each in (asked, answered, silent):
        connections.add(each)
    one.sendall(b"GET")
    with connections.answering(answered):
        connections.add(more)
    assert [is_ended(client) for client in (one, two, three)] == [False, False, True]


def test_where_all_are_such_the_one_that_takes_longest_goes(pair: Callable[[], Pair]) -> None:
    connections = Connections(1)
    (first, one), (second, _) = pair(), pair()
    connections.add(first)
    with connections.answering(first):
        connections.add(second)
        assert is_ended(one)
    assert len(connections) == 1  # the end of its answer does not bring it back


def test_one_that_has_hung_up_is_no_trouble(pair: Callable[[], Pair]) -> None:
    connections = Connections(1)
    ours, theirs = pair()
    connections.add(ours)
    theirs.close()
    ours.close()
    connections.remove(ours)
    connections.remove(ours)
    assert len(connections) == 0


def test_probes_are_answered_while_a_crowd_of_clients_says_nothing(server: Server, client: Client) -> None:
    threads = threading.active_count()
    crowd = []
    for number in range(1100):
        crowd.append(client.connect(b"GET /metrics HT" if number % 2 else b""))
        if number % 100 == 0:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/livez", timeout=60) as reply:
                assert reply.status == 200
    assert len(server.connections) <= server.CONNECTIONS
    assert until_closed(crowd[0]) == b""
    for each in crowd:
        each.close()
    assert threading.active_count() <= threads + 2 * server.CONNECTIONS

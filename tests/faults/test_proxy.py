"""The proxy passes frames on, and spoils them as it is told."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from tests.faults.frames import batch_of, flipped
from tests.faults.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator


def _frame(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def _batch(value: bytes) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 10_000)
    builder.append(0, 1, b"key", value, [])
    return bytes(builder.build())


@pytest.fixture
def echo() -> Iterator[int]:
    """A broker's stand-in: the port of a server that gives every byte back."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=give_back, args=(connection,), daemon=True).start()

        def give_back(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                while data := connection.recv(65_536):
                    connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    with Proxy() as running:
        running.target = echo
        yield running


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as connection:
        yield connection


def _exchange(client: socket.socket, frame: bytes) -> bytes:
    client.sendall(frame)
    got = b""
    while len(got) < len(frame) and (piece := client.recv(65_536)):
        got += piece
    return got


def test_frames_pass_in_both_directions(client: socket.socket) -> None:
    for body in (b"", b"abc", b"x" * 300_000):
        assert _exchange(client, _frame(body)) == _frame(body)


def test_nothing_passes_while_the_network_is_apart_and_nothing_is_lost(proxy: Proxy, client: socket.socket) -> None:
    _exchange(client, _frame(b"before"))
    proxy.weather.stalled = True
    client.settimeout(0.3)
    client.sendall(_frame(b"meanwhile"))
    with pytest.raises(TimeoutError):
        client.recv(1)
    proxy.weather.stalled = False
    client.settimeout(10)
    assert client.recv(100) == _frame(b"meanwhile")


def test_a_reset_ends_every_connection(proxy: Proxy, client: socket.socket) -> None:
    _exchange(client, _frame(b"before"))
    assert proxy.reset() == 1
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_forgotten_connection_stays_open_and_swallows_everything(proxy: Proxy, client: socket.socket) -> None:
    _exchange(client, _frame(b"before"))
    assert proxy.forget() == 1
    client.settimeout(0.3)
    client.sendall(_frame(b"lost"))
    with pytest.raises(TimeoutError):
        client.recv(1)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as other:
        assert _exchange(other, _frame(b"new")) == _frame(b"new")


def test_a_cut_ends_a_frame_in_its_middle_and_the_connection_with_it(proxy: Proxy, client: socket.socket) -> None:
    proxy.weather.cuts = 1
    frame = _frame(b"x" * 1000)
    client.sendall(frame)
    assert client.recv(65_536) == b""  # the half of a frame that came to the broker was no frame to the proxy
    assert proxy.weather.cuts == 0


def test_a_flip_changes_one_bit_of_the_records_and_nothing_else(proxy: Proxy, client: socket.socket) -> None:
    proxy.weather.flips = 1
    plain, records = _frame(b"\x02" * 500), _frame(b"head" + _batch(b"value" * 50) + b"tail")
    assert _exchange(client, plain) == plain
    got = _exchange(client, records)
    assert sum((one ^ other).bit_count() for one, other in zip(got, records, strict=True)) == 1
    assert _exchange(client, records) == records


def test_a_flip_is_one_that_the_checksum_of_the_records_shows() -> None:
    batch = _batch(b"value" * 10)
    for seed in range(200):
        spoiled = flipped(b"head" + batch + b"tail", random.Random(seed))
        assert spoiled is not None
        assert spoiled[:4] + spoiled[-4:] == b"headtail"
        assert not DefaultRecordBatch(spoiled[4:-4]).validate_crc()


def test_a_frame_without_records_has_nothing_to_flip() -> None:
    assert batch_of(b"\x02" * 1000) is None
    assert flipped(b"", random.Random(0)) is None

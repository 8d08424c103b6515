"""What `--http-host` means."""

from __future__ import annotations

import socket

import pytest

from worker.server.address import addresses, in_url, is_free, reached_at


def test_all_addresses_are_ipv6_with_ipv4_and_else_ipv4() -> None:
    assert [(each.family, each.place[0]) for each in addresses("::", 1)] == [
        (socket.AF_INET6, "::"),
        (socket.AF_INET, "0.0.0.0"),
    ]


@pytest.mark.parametrize(
    ("host", "family", "place"),
    [
        ("", socket.AF_INET, "0.0.0.0"),
        ("0.0.0.0", socket.AF_INET, "0.0.0.0"),
        ("localhost", socket.AF_INET, "127.0.0.1"),
        ("::1", socket.AF_INET6, "::1"),
        ("[::1]", socket.AF_INET6, "::1"),
    ],
)
def test_an_address_or_a_name_is_one_address(host: str, family: socket.AddressFamily, place: str) -> None:
    (found,) = addresses(host, 1)
    assert (found.family, found.place[:2]) == (family, (place, 1))


@pytest.mark.parametrize(
    ("host", "url"),
    [
        *(("::", "127.0.0.1"), ("[::]", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("", "127.0.0.1")),
        *(("::1", "[::1]"), ("[::1]", "[::1]"), ("localhost", "localhost"), ("10.0.0.1", "10.0.0.1")),
    ],
)
def test_a_client_on_the_same_machine_has_a_url(host: str, url: str) -> None:
    assert reached_at(host) == url


def test_an_address_of_ipv6_is_in_brackets_in_a_url() -> None:
    assert [in_url(host) for host in ("::", "[::1]", "10.0.0.1")] == ["[::]", "[::1]", "10.0.0.1"]


def test_a_port_is_free_until_somebody_listens_there() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        listener.listen()
        assert [is_free(host, port) for host in ("127.0.0.1", "0.0.0.0", "::")] == [False] * 3
    assert is_free("127.0.0.1", port)

"""Where the HTTP server listens: what `--http-host` means to the system, and what clients on this machine call it."""

from __future__ import annotations

import errno
import socket
from typing import Any, NamedTuple

ALL = "::"
_LOOPBACKS = {ALL: "127.0.0.1", "0.0.0.0": "127.0.0.1", "": "127.0.0.1"}  # noqa: S104 - compared, not bound
_NOT_HERE = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}  # the machine has no such address, or none of its family


class Address(NamedTuple):
    """An address as the system takes it."""

    family: socket.AddressFamily
    place: Any  # its form depends on the family


def addresses(host: str, port: int) -> list[Address]:
    """Return what to listen on: the first that this machine can.

    `::` is all addresses of IPv6 and of IPv4, and those of IPv4 alone where the machine has no IPv6. A name that has
    both is served on IPv4. Raises OSError for a name that the system does not know.
    """
    host = bare(host)
    if host == ALL:
        everywhere = "0.0.0.0"  # noqa: S104 - as was asked for
        return [Address(socket.AF_INET6, (ALL, port, 0, 0)), Address(socket.AF_INET, (everywhere, port))]
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:  # a label that is empty or too long
        raise OSError(errno.EINVAL, "it is no name of a host") from error
    found.sort(key=lambda each: each[0] != socket.AF_INET)
    return [Address(socket.AddressFamily(found[0][0]), found[0][4])]


def bare(host: str) -> str:
    """Return an address without the brackets that it has in a URL."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def in_url(host: str) -> str:
    """Return an address as it stands in a URL: one of IPv6 in brackets."""
    return f"[{bare(host)}]" if ":" in host else host


def reached_at(host: str) -> str:
    """Return, for a URL, where a client on this machine reaches a server that listens on `host`."""
    return in_url(_LOOPBACKS.get(bare(host), host))


def open_to_all(listener: socket.socket, address: Address) -> None:
    """Let a socket for all addresses take clients of IPv4 too, whatever the system's default is."""
    if address.family is socket.AF_INET6 and address.place[0] == ALL:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)


def is_free(host: str, port: int) -> bool:
    """Return whether a server could listen there now."""
    for address in addresses(host, port):
        try:
            with socket.socket(address.family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                open_to_all(probe, address)
                probe.bind(address.place)
        except OSError as error:
            if not has_no_ipv6(error):
                return False
        else:
            return True
    return False


def has_no_ipv6(error: OSError) -> bool:
    """Return whether listening failed because the machine has no IPv6."""
    return error.errno in _NOT_HERE


def option_at_fault(error: OSError) -> str:
    """Return which option to set where listening failed so."""
    is_host = isinstance(error, socket.gaierror) or error.errno in {*_NOT_HERE, errno.EINVAL}
    return "--http-host" if is_host else "--http-port"

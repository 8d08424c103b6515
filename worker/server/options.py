"""Options of the HTTP server: where it listens, and when the worker counts as dead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le
from typing_extensions import Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Where the HTTP server listens, and when the worker counts as dead."""

    # Prometheus and the kubelet come from other hosts, over IPv6 or IPv4.
    http_host: Annotated[
        str,
        Doc("Address that the status page, /metrics, /livez and /readyz are served on; :: is all, of IPv6 and IPv4."),
    ] = "::"
    http_port: Annotated[int, Ge(0), Le(65535), Doc("Port of the HTTP server; 0 takes a free one.")] = 9464
    live_limit_s: Annotated[
        float, Gt(0), Doc("Seconds without a turn of the main loop or the scorer after which /livez fails.")
    ] = 60.0

"""Options of `rerank-worker demo`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the command line says; None is for what the environment or the demo itself decides."""

    bootstrap_servers: str | None = None
    kafka_home: Path | None = None
    model: str | None = None
    http_port: int | None = None
    show: int = 3
    top: int = 8
    keep_running: bool = False

"""Which workers `rerank-worker top` is told to ask."""

from __future__ import annotations

import re
import urllib.parse
from typing import TYPE_CHECKING

from worker.exits import Exit, StopError

if TYPE_CHECKING:
    from collections.abc import Iterable

_HOST = re.compile(r"[A-Za-z0-9._:-]+")


def addresses(given: Iterable[str]) -> list[str]:
    """Return the addresses of workers, each once, as http://HOST:PORT without a path.

    Raises StopError(Exit.USAGE) for what is no such address.
    """
    return list(dict.fromkeys(map(_address, given)))


def _address(given: str) -> str:
    url = given if "://" in given else f"http://{given}"
    try:
        parts = urllib.parse.urlsplit(url)
        usable = parts.scheme in {"http", "https"} and _HOST.fullmatch(parts.hostname or "") and parts.port != 0
    except ValueError:  # a port that is no number, a bracket without its pair
        usable = False
    if not usable or "@" in given or parts.query or parts.path.rstrip("/") not in {"", "/metrics"}:
        shown = re.sub(r"//.*@", "//…@", url) if "@" in given else given  # without a password
        raise StopError(
            Exit.USAGE, f"URL: expected the address of a worker, such as http://127.0.0.1:9464, got {shown!r}"
        )
    return f"{parts.scheme}://{parts.netloc}"

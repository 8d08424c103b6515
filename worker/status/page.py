"""The page itself: one document of its files, and the policy under which a browser runs nothing else."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import NamedTuple

_FOLDER = Path(__file__).parent


class Page(NamedTuple):
    """A document in UTF-8, and its Content-Security-Policy."""

    body: bytes
    policy: str


def load_page() -> Page:
    """Return the page. It asks nobody but the worker, and only the style and the script of its own files count."""
    style, frame = _read("page.css"), _read("page.html")
    script = _read("plot.js") + _read("page.js")
    policy = (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(frame.replace("{style}", style).replace("{script}", script).encode(), policy)


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """Return how a policy names an inline text: by its hash."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

"""The names of figures that docs/performance.md promises."""

from __future__ import annotations

import re
from pathlib import Path

_PAGE = Path(__file__).parents[3] / "docs" / "performance.md"
_QUOTED = re.compile(r"`([^`]+)`")
_NAME = re.compile(r"(….)?[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")


def documented() -> dict[str, re.Pattern[str]]:
    """Return the names of the tables, each with what it stands for: words in capitals are whatever was measured."""
    found: dict[str, re.Pattern[str]] = {}
    before = ""
    for line in _PAGE.read_text(encoding="utf-8").splitlines():
        first = line.split("|")[1] if line.startswith("| `") else ""
        for word in _QUOTED.findall(first):
            if not _NAME.fullmatch(word) or "." not in word:
                continue  # an option, or its value
            before = word.replace("…", before.rpartition(".")[0])
            found[before] = re.compile(re.sub(r"[A-Z]+", "[a-z0-9_]+", re.escape(before)))
    return found


def undocumented(names: set[str]) -> set[str]:
    """Return the names that no table has."""
    patterns = documented().values()
    return {name for name in names if not any(pattern.fullmatch(name) for pattern in patterns)}


def unreported(names: set[str], *beginnings: str) -> set[str]:
    """Return what the tables have with one of these beginnings, and no name is."""
    promised = {name: pattern for name, pattern in documented().items() if name.startswith(beginnings)}
    return {name for name, pattern in promised.items() if not any(map(pattern.fullmatch, names))}

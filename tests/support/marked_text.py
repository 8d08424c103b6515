"""Text between two marks of a page, which a run of tests replaces with what it has found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def replace_between(path: Path, marks: tuple[str, str], new: str) -> None:
    """Put text between its marks in a file. Raises ValueError where they are missing."""
    begin, end = map(re.escape, marks)
    framed = "\n\n".join((marks[0], new, marks[1]))
    text = path.read_text(encoding="utf-8")
    changed, count = re.subn(f"{begin}.*{end}", lambda _: framed, text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{path}: expected {marks[0]} and {marks[1]} once, got them {count} times")
    path.write_text(changed, encoding="utf-8")

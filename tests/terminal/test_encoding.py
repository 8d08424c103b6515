"""What stands for characters that an encoding does not have."""

from __future__ import annotations

import io

import pytest

from worker.terminal.encoding import let_stand_in


def written(text: str, encoding: str, errors: str = "strict") -> str:
    """Return what a reader of a stream sees."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors)
    let_stand_in(stream)
    stream.write(text)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "Bohrmaschine ✓ 電動 · é … ↑3 → e\u0301 🔧"),
        ("latin-1", "Bohrmaschine + ???? · é . ^3 > e ??"),
        ("ascii", "Bohrmaschine + ???? - ? . ^3 > e ??"),
        ("cp1252", "Bohrmaschine + ???? · é … ^3 > e ??"),
        ("utf-16", "Bohrmaschine ✓ 電動 · é … ↑3 → e\u0301 🔧"),
    ],
)
def test_each_is_as_wide_as_what_it_stands_for(encoding: str, shown: str) -> None:
    assert written("Bohrmaschine ✓ 電動 · é … ↑3 → e\u0301 🔧", encoding) == shown


def test_what_no_encoding_has_is_replaced_too() -> None:
    assert written("a\ud800b", "utf-8", "surrogateescape") == "a?b"


def test_a_stream_that_raises_nothing_stays_as_it_is() -> None:
    assert written("✓", "ascii", "backslashreplace") == "\\u2713"
    let_stand_in(io.StringIO())

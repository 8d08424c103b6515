"""Text of others steers no terminal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.terminal.printable import printable, printable_json, shortened

HOSTILE = {
    "\x1b[2J\x1b[H": "\\x1b[2J\\x1b[H",  # clears the screen
    "\x1b]0;owned\x07": "\\x1b]0;owned\\x07",  # the title
    "\x1b]52;c;cm0=\x1b\\": "\\x1b]52;c;cm0=\\x1b\\",  # the clipboard
    "\x9b31m": "\\x9b31m",  # the same as ESC [ in one character
    "\x9d0;t\x9c": "\\x9d0;t\\x9c",
    "a\rb\bc\x7f\x00": "a\\rb\\x08c\\x7f\\x00",
    "a\nb\tc\x0b\x0c\x85\u2028\u2029": "a\\nb\\tc\\x0b\\x0c\\x85\\u2028\\u2029",
    "\u202egnp.exe\u2066": "\\u202egnp.exe\\u2066",  # what follows from right to left
    "a\u200bb\ufeff\U000e0041": "a\\u200bb\\ufeff\\U000e0041",  # what cannot be seen
    "\ud800": "\\ud800",
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.items())
def test_what_steers_a_terminal_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_can_be_seen_stays_and_a_space_of_any_kind_is_one() -> None:
    assert printable("Bohrmaschine ✓ 電動 é ñ 🔧 [bold] \\x1b") == "Bohrmaschine ✓ 電動 é ñ 🔧 [bold] \\x1b"
    assert printable("10\u00a0mm\u3000電動\u202f%") == "10 mm 電動 %"


def test_lines_and_tabs_stay_where_they_are_wanted() -> None:
    assert printable("a\n\tb\r\x1b", "\n\t") == "a\n\tb\\r\\x1b"


def test_what_is_too_long_ends_with_an_ellipsis() -> None:
    assert [shortened(text, 3) for text in ("", "abc", "abcd")] == ["", "abc", "abc…"]


@given(st.text(alphabet=st.characters()))
def test_nothing_else_comes_out(text: str) -> None:
    assert printable(text).isprintable()
    assert all(each.isprintable() or each in "\n\t" for each in printable(text, "\n\t"))


_JSON = st.recursive(
    st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(_JSON, st.booleans(), st.sampled_from([None, 1]))
def test_json_says_the_same_on_one_printable_line(document: object, ascii_only: bool, indent: int | None) -> None:
    shown = printable_json(json.dumps(document, ensure_ascii=False, indent=indent), ascii_only=ascii_only)
    assert shown.isprintable()
    assert shown.isascii() or not ascii_only
    assert json.loads(shown) == document

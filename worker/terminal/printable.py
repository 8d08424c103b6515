"""Makes text printable: what comes from events, headers and other programs must not steer a terminal."""

from __future__ import annotations

import unicodedata


def printable(text: str, keep: str = "") -> str:
    r"""Return text in which nothing steers a terminal, or reorders or hides what stands beside it.

    A space of any kind is a space. What else cannot be seen becomes an escape as in Python, such as `\x1b` or `\u202e`;
    so do line feeds and tabs, unless they are in `keep`.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else _visible(each) for each in text)


def printable_json(text: str, *, ascii_only: bool = False) -> str:
    r"""Return JSON that says the same on one line, with escapes such as `\u009b` for what is not printable.

    With `ascii_only` also for everything beyond ASCII.
    """
    if text.isprintable() and (text.isascii() or not ascii_only):
        return text
    return "".join(
        each if each.isprintable() and (each.isascii() or not ascii_only) else _in_json(each) for each in text
    )


def shortened(text: str, most: int) -> str:
    """Return the text; of one that is longer than `most` characters so many, and an ellipsis."""
    return text if len(text) <= most else f"{text[:most]}…"


def _visible(letter: str) -> str:
    if unicodedata.category(letter) == "Zs":
        return " "
    return letter.encode("unicode_escape").decode()


def _in_json(letter: str) -> str:
    if letter in "\n\r\t":
        return " "  # between the parts: in a string it would be no JSON
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))

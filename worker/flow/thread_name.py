"""The names of threads, as the system shows them."""

from __future__ import annotations

import ctypes
import sys

_PR_SET_NAME = 15


def show_name(name: str) -> None:
    """Give the calling thread a name for `top -H` and `ps -L`; threads that it starts inherit it, such as OpenMP's."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)

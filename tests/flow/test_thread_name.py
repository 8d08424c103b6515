"""The system shows a thread by the name that it was given."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from worker.flow.thread_name import show_name


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_system_shows_the_name_cut_to_what_it_keeps() -> None:
    shown: list[str] = []

    def run(name: str) -> None:
        show_name(name)
        shown.append(Path(f"/proc/self/task/{threading.get_native_id()}/comm").read_text("utf-8").strip())

    for name in ("score", "a name that is too long"):
        thread = threading.Thread(target=run, args=(name,))
        thread.start()
        thread.join()
    assert shown == ["score", "a name that is "[:15].strip()]

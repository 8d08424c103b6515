"""The page as a file: self-contained, under a policy that lets nothing else run, and part of the wheel."""

from __future__ import annotations

import importlib.util
import re
import zipfile
from pathlib import Path

import pytest

import worker.status
from worker.status import load_page

ROOT = Path(__file__).parent.parent.parent


def test_the_page_names_nothing_outside_the_worker() -> None:
    text = load_page().body.decode()
    named = re.findall(r"""(?:src|href)=["']?([^"' >]+)""", text) + re.findall(r"url\(([^)]*)\)", text)
    assert set(named) == {"data:,", "/metrics", "/readyz", "/livez", "/status.json"}
    assert set(re.findall(r"https?://[^\s\"']+", text)) <= {"http://www.w3.org/2000/svg"}  # a name, not an address


def test_the_policy_names_each_inline_text_and_no_way_around_it() -> None:
    page = load_page()
    text = page.body.decode()
    assert (text.count("<style>"), text.count("<script>")) == (1, 1)
    assert len(re.findall(r"'sha256-[A-Za-z0-9+/]{43}='", page.policy)) == 2
    assert "unsafe" not in page.policy
    assert page.policy.startswith("default-src 'none'; ")
    assert " style=" not in text  # the policy forbids it, and a browser would not say so to the reader


def test_text_from_the_worker_never_becomes_markup() -> None:
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", load_page().body.decode())


@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="needs hatchling, which builds the wheel")
def test_a_wheel_has_the_files_of_the_page(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    folder = Path(worker.status.__file__).parent
    wanted = {f"worker/status/{path.name}" for path in folder.iterdir() if path.suffix in {".html", ".css", ".js"}}
    assert len(wanted) == 4
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())

"""What a target says that does not find a program: one line with its package."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import PACKAGES, TARGETS, lacking

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("command", "target"),
    [
        *((["-m", "tests.needs", target], target) for target in TARGETS),
        (["-m", "tests.deploy.image"], "image"),
        (["-m", "tests.deploy.draw", "--kafka-home", "kafka"], "pictures"),
        (["-m", "tests.faults.soak"], "soak"),
    ],
)
def test_without_its_programs_it_ends_with_one_line_that_names_the_packages(
    tmp_path: Path, command: list[str], target: str
) -> None:
    ran = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**{name: value for name, value in os.environ.items() if name != "JAVA_HOME"}, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"make {target} needs {TARGETS[target][0]}")
    assert ran.stderr.count("\n") == 1
    assert {PACKAGES[program] for program in TARGETS[target]} <= set(re.findall(r"[\w-]+", ran.stderr))


def test_a_target_that_has_all_it_needs_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in PACKAGES:
        (tmp_path / program).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert [lacking(target) for target in TARGETS] == [None] * len(TARGETS)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert lacking("image") == "make image needs to be run as root"
    assert lacking("check-deploy") is None


def test_another_name_of_a_program_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("chromium", "prometheus"):
        (tmp_path / program).touch(0o755)
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    assert lacking("pictures") is None


def test_the_makefile_asks_before_it_does_anything_else() -> None:
    rules = dict(re.findall(r"^([\w-]+): (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {target: rules[target].split()[0] for target in TARGETS} == {target: f"needs-{target}" for target in TARGETS}

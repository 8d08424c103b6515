"""How long the threads of a forward pass spin."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from worker.model.torch.spinning import spin_briefly


@pytest.mark.parametrize(("name", "value"), [("GOMP_SPINCOUNT", "17"), ("OMP_WAIT_POLICY", "ACTIVE")])
def test_what_the_user_says_counts(name: str, value: str) -> None:
    environ = {name: value}
    spin_briefly(environ)
    assert environ == {name: value}


def test_the_openmp_of_torch_spins_as_briefly_as_the_command_line_says() -> None:
    environ = {name: value for name, value in os.environ.items() if name not in {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}}
    code = "from worker import cli; cli.execute = lambda: bool(__import__('torch')) - 1; cli.main()"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={**environ, "OMP_DISPLAY_ENV": "VERBOSE"},
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    if "GOMP_SPINCOUNT" not in shown:
        pytest.skip("needs a torch that brings GNU's OpenMP")
    assert "GOMP_SPINCOUNT = '2000'" in shown

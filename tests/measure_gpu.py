"""Checks the GPU path, then times all of it, in one call: python -m tests.measure_gpu FOLDER [--device cuda:N].

Each step is a process of its own and leaves in FOLDER what it printed, and its figures as JSON, as soon as it has them.
A step that fails, or takes longer than its limit, does not stop the others. `--rehearse` takes tiny models.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.measure_parts import PARTS
from worker.model.random_model import SHAPES, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

TINY = (Shape("tiny", 2, 32, 4, 64),)


def steps(given: argparse.Namespace) -> dict[str, list[str]]:
    """Return the command of each step, what matters most first."""
    python, folder, device = sys.executable, given.folder, given.device
    runs = ["--seconds", f"{given.seconds:g}", "--repeat", f"{given.repeat}"]

    def bench(name: str, *words: str) -> list[str]:
        figures = str(folder / f"{name}.json")
        return [python, "-m", "worker", "bench", *words, *runs, "--device", device, "--json", figures]

    def part(name: str, shape: Shape, dtype: str = "auto") -> list[str]:
        shaped = ["--part", name, "--shape", shape.name, "--dtype", dtype, *runs]
        return [python, "-m", "tests.measure_gpu", str(folder), "--device", device, *shaped]

    shapes = TINY if given.rehearse else SHAPES
    return {
        "correctness": [python, "-m", "pytest", "-m", "gpu", "tests/model", "-q"],
        "kernels": [python, "-m", "pytest", "tests/model/torch/test_triton_ops.py", "-q"],
        **{f"shapes-{shape.name}": part("shapes", shape) for shape in shapes},
        **{f"small-{shape.name}": part("small", shape) for shape in shapes},
        "scorer": bench("scorer", "scorer", "--against", "sentence-transformers"),
        "stream": bench("stream", "stream"),
        "known": bench("known", "stream", "--known-texts", "--no-rivals", "--candidates", "50", "--partitions", "6"),
        **{f"compiled-{shape.name}": part("compiled", shape) for shape in shapes},
        **{f"profile-{shape.name}": part("profile", shape) for shape in shapes},
        **{f"shapes-{shape.name}-float16": part("shapes", shape, "float16") for shape in shapes if device != "cpu"},
    }


def run(command: list[str], out: Path, limit_s: float) -> str:
    """Run a step to its end, or to its limit, and say how it ended; all that it has started ends with it."""
    with out.open("w", encoding="utf-8") as file:
        try:
            child = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        except OSError as error:
            return f"not started: {error}"
        try:
            return f"status {child.wait(limit_s)}"
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            return f"stopped after its limit of {limit_s:g} s"


def main(words: Sequence[str]) -> int:
    """Run every step, and return how many failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.measure_gpu", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a run")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each measurement")
    parser.add_argument("--limit-s", type=float, default=180.0, help="of a step")
    parser.add_argument("--only", help="steps, with commas between them")
    parser.add_argument("--rehearse", action="store_true", help="take tiny models")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--shape", help=argparse.SUPPRESS)
    parser.add_argument("--dtype", default="auto", help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.part is not None:
        [shape] = (shape for shape in (*SHAPES, *TINY) if shape.name == given.shape)
        PARTS[given.part](given, shape)
        return 0
    failed = 0
    for name, command in steps(given).items():
        if given.only is None or name in given.only.split(","):
            began_s = time.monotonic()
            ended = run(command, given.folder / f"{name}.txt", given.limit_s)
            line = f"{name}: {ended}, {time.monotonic() - began_s:.0f} s"
            print(line, flush=True)
            with (given.folder / "steps.txt").open("a", encoding="utf-8") as said:
                said.write(f"{line}\n")
            failed += ended != "status 0"
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

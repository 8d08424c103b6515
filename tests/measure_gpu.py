"""Checks the GPU path, then times all of it, in one call: python -m tests.measure_gpu FOLDER [--device cuda:N].

Each step leaves a file in FOLDER: what it printed, and its figures as JSON. A step that fails does not stop the others.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.profiler import ProfilerActivity, profile

from worker.model.cross_encoder import load_model
from worker.model.options import ModelOptions
from worker.model.random_model import SHAPES, save_random
from worker.tools.bench.shapes_work import BATCH_TOKENS, LENGTHS, make_work

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROWS = 25  # of a profile


def steps(folder: Path, device: str, seconds: float, repeat: int) -> dict[str, list[str]]:
    """Return the command of each step."""
    python, runs = sys.executable, ["--seconds", f"{seconds:g}", "--repeat", f"{repeat}"]

    def bench(name: str, *words: str) -> list[str]:
        figures = str(folder / f"{name}.json")
        return [python, "-m", "worker", "bench", *words, *runs, "--device", device, "--json", figures]

    return {
        "correctness": [python, "-m", "pytest", "-m", "gpu", "tests/model", "-q"],
        "shapes": bench("shapes", "scorer", "--shapes"),
        "shapes-float16": bench("shapes-float16", "scorer", "--shapes", "--dtype", "float16"),
        "scorer": bench("scorer", "scorer", "--against", "sentence-transformers"),
        "stream": bench("stream", "stream"),
        "profiles": [python, "-m", "tests.measure_gpu", str(folder), "--device", device, "--profiles"],
    }


def main(words: Sequence[str]) -> int:
    """Run every step, and return how many failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.measure_gpu", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a run")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each measurement")
    parser.add_argument("--only", help="steps, with commas between them")
    parser.add_argument("--profiles", action="store_true", help="write the profiles alone")
    given = parser.parse_args(words)
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.profiles:
        write_profiles(given.folder, given.device)
        return 0
    failed = 0
    for name, command in steps(given.folder, given.device, given.seconds, given.repeat).items():
        if given.only is None or name in given.only.split(","):
            began_s = time.monotonic()
            with (given.folder / f"{name}.txt").open("w", encoding="utf-8") as out:
                status = subprocess.run(command, check=False, stdout=out, stderr=subprocess.STDOUT).returncode
            print(f"{name}: status {status} after {time.monotonic() - began_s:.0f} s", flush=True)
            failed += status != 0
    return failed


def write_profiles(folder: Path, device: str) -> None:
    """Write which operators took the device's time, of a batch of each shape with mixed lengths."""
    kind = device.partition(":")[0]
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if kind == "cuda" else [])]
    for shape in SHAPES:
        with tempfile.TemporaryDirectory() as made:
            save_random(shape, Path(made))
            model = load_model(ModelOptions(model=made, device=device, backend="torch"))
        work = make_work(model.pair_encoder(), LENGTHS["mixed"], BATCH_TOKENS[kind])
        model.launch(work.batch()).wait()
        with torch.inference_mode(), profile(activities=activities) as seen:
            for _ in range(3):
                model.launch(work.batch()).wait()
        table = seen.key_averages().table(sort_by=f"self_{kind}_time_total", row_limit=_ROWS)
        (folder / f"profile-{shape.name}.txt").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

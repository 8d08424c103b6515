"""The parts of tests.measure_gpu that no command of the worker has: one model of one shape at a time."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.profiler import ProfilerActivity, profile

from worker.config.settings import load
from worker.flow.job import Slice
from worker.model.cross_encoder import load_model
from worker.model.options import ModelOptions
from worker.model.random_model import WORDS, Shape, save_random
from worker.tools.bench.bare_job import bare_job
from worker.tools.bench.scorer_options import ScorerOptions
from worker.tools.bench.shapes import bench_shapes
from worker.tools.bench.shapes_work import BATCH_TOKENS, LENGTHS, make_work

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from worker.model.cross_encoder import CrossEncoder

_ROWS = 25  # of a profile
_LENGTH = 128  # of the pairs of a small batch
_PAIRS = (1, 8, 32, 100)
_TURNS = 20
_WAYS: dict[str, dict[str, bool]] = {
    "plain": {"cuda_graphs": False},
    "graphs": {"cuda_graphs": True},
    "compiled": {"cuda_graphs": False, "compile": True},
    "compiled_graphs": {"cuda_graphs": True, "compile": True},
}


def shapes(given: argparse.Namespace, shape: Shape) -> None:
    """Measure a shape as `bench scorer --shapes` does."""
    name = f"shapes-{shape.name}" + ("" if given.dtype == "auto" else f"-{given.dtype}")
    options = ScorerOptions(shapes=True, seconds=given.seconds, repeat=given.repeat, json=given.folder / f"{name}.json")
    bench_shapes(load({"device": given.device, "dtype": given.dtype}, {}), options, [shape])


def small(given: argparse.Namespace, shape: Shape) -> None:
    """Write how long one event of few pairs takes on an idle device, with CUDA graphs and without."""
    _time_small(given, shape, "small", ["plain", "graphs"])


def compiled(given: argparse.Namespace, shape: Shape) -> None:
    """Write the same with torch's compiler too; apart, since more can go wrong with it."""
    _time_small(given, shape, "compiled", list(_WAYS))


def _time_small(given: argparse.Namespace, shape: Shape, name: str, ways: list[str]) -> None:
    """Write milliseconds from ids to logits, the median, the least and the most; the ways take turns.

    After each number of pairs the file has what is known until then.
    """
    file = given.folder / f"{name}-{shape.name}.json"
    found: dict[str, Any] = {"shape": shape._asdict(), "length": _LENGTH, "ms": {}, "missing": {}}
    models = {}
    with tempfile.TemporaryDirectory() as folder:
        save_random(shape, Path(folder))
        for way in ways:
            try:
                options: dict[str, Any] = {"model": folder, "device": given.device, "backend": "torch", **_WAYS[way]}
                models[way] = load_model(ModelOptions(**options))
            except Exception as error:
                found["missing"][way] = repr(error)
    for pairs in _PAIRS if given.device != "cpu" else _PAIRS[:2]:
        found["ms"][pairs] = {way: _spread(took) for way, took in _in_turns(models, pairs).items()}
        file.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(file.read_text(encoding="utf-8"))


def _in_turns(models: dict[str, CrossEncoder], pairs: int) -> dict[str, list[float]]:
    job = bare_job()
    encoder = next(iter(models.values())).pair_encoder()
    job.scoring.pairs = encoder.encode(WORDS[0], [" ".join(WORDS[: _LENGTH - 4])] * pairs)
    took_ms: dict[str, list[float]] = {way: [] for way in models}
    for turn in range(_TURNS + 1):
        for way, model in models.items():
            began_s = time.perf_counter()
            model.launch([Slice(job, 0, pairs)]).wait()
            if turn:  # the first run of a shape allocates and chooses kernels
                took_ms[way].append(1000 * (time.perf_counter() - began_s))
    return took_ms


def _spread(took: list[float]) -> list[float]:
    return [round(each, 3) for each in (statistics.median(took), min(took), max(took))]


def profiled(given: argparse.Namespace, shape: Shape) -> None:
    """Print which operators took the device's time, of a batch of mixed lengths."""
    kind = given.device.partition(":")[0]
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if kind == "cuda" else [])]
    with tempfile.TemporaryDirectory() as made:
        save_random(shape, Path(made))
        model = load_model(ModelOptions(model=made, device=given.device, backend="torch"))
    work = make_work(model.pair_encoder(), LENGTHS["mixed"], BATCH_TOKENS[kind])
    model.launch(work.batch()).wait()
    with torch.inference_mode(), profile(activities=activities) as seen:
        for _ in range(3):
            model.launch(work.batch()).wait()
    print(seen.key_averages().table(sort_by=f"self_{kind}_time_total", row_limit=_ROWS))


PARTS: dict[str, Callable[[argparse.Namespace, Shape], None]] = {
    "shapes": shapes,
    "small": small,
    "compiled": compiled,
    "profile": profiled,
}

"""`rerank-worker bench scorer --shapes`: what models of well-known shapes make of the device, padded and not."""

from __future__ import annotations

import dataclasses
import importlib.util
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from worker.flow.job import Slice
from worker.model.cross_encoder import load_model
from worker.model.loading.device import describe, open_cuda, place
from worker.model.random_model import SHAPES, WORDS, Shape, save_random
from worker.model.torch.matrix_rate import matrix_rate
from worker.tools.bench.bare_job import bare_job
from worker.tools.bench.environment import Environment
from worker.tools.bench.peers import open_sentence_transformers
from worker.tools.bench.progress import progress
from worker.tools.bench.report import Report
from worker.tools.bench.shapes_report import Measured, Run, tell
from worker.tools.bench.shapes_work import BATCH_TOKENS, LENGTHS, Work, make_work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from worker.config.settings import Settings
    from worker.model.cross_encoder import CrossEncoder
    from worker.model.options import Dtype
    from worker.tools.bench.progress import Advance
    from worker.tools.bench.scorer_options import ScorerOptions

_PEER_BATCH = {"cpu": 32, "cuda": 256}  # pairs of one forward pass of the peer: its default, and what a GPU is fed with
_LONE_LENGTH, _LONE_RUNS = 128, 20
_LONE_PAIRS = {"cpu": 4, "cuda": 100}


class _Bench(NamedTuple):
    settings: Settings
    options: ScorerOptions
    lengths: Mapping[str, Callable[[int], np.ndarray]]
    advance: Advance

    @property
    def kind(self) -> str:
        """Return "cpu" or "cuda"."""
        return self.settings.model.device.partition(":")[0]


def bench_shapes(
    settings: Settings,
    options: ScorerOptions,
    shapes: Sequence[Shape] = SHAPES,
    lengths: Mapping[str, Callable[[int], np.ndarray]] = LENGTHS,
) -> None:
    """Measure and print. Raises StopError for options or a device that cannot be used."""
    options.check()
    placement = place(settings.model.device, settings.model.dtype)
    dtype = cast("Dtype", placement.dtype)
    model = dataclasses.replace(
        settings.model, device=placement.device, dtype=dtype, backend="torch", revision="random"
    )
    settings = dataclasses.replace(settings, model=model)
    report = Report("bench scorer --shapes", Environment())
    if placement.device != "cpu":
        open_cuda(placement.device, tf32=model.tf32)
    rate = matrix_rate(placement.device, placement.dtype)
    with progress(len(shapes) * len(lengths)) as advance:
        bench = _Bench(settings, options, lengths, advance)
        measured = [_measure(bench, shape) for shape in shapes]
    report.environment.add(
        shapes=[shape._asdict() for shape in shapes],
        device=placement.device,
        dtype=placement.dtype,
        batch_tokens=_budget(bench),
        lone_pairs=_LONE_PAIRS[bench.kind],
        **describe(placement.device),
    )
    tell(report, rate, measured)
    report.finish(options.json)


def _measure(bench: _Bench, shape: Shape) -> Measured:
    with tempfile.TemporaryDirectory(prefix="rerank-shape-") as folder:
        save_random(shape, Path(folder))
        here = dataclasses.replace(bench.settings.model, model=folder)
        models = {
            name: load_model(dataclasses.replace(here, pad=pad))
            for name, pad in (("unpadded", False), ("padded", True))
        }
        ways: dict[str, Callable[[Work, float], Run]] = {name: _way(model) for name, model in models.items()}
        if importlib.util.find_spec("sentence_transformers") is not None:
            ways["sentence_transformers"] = _peer(bench, folder)
        runs = {}
        for name, draw in bench.lengths.items():
            bench.advance(f"{shape.name}, {name}")
            work = make_work(models["unpadded"].pair_encoder(), draw, _budget(bench))
            runs[name] = _in_turns(ways, work, bench.options)
            bench.advance(f"{shape.name}, {name}", 1)
        return Measured(shape, runs, _lone_ms(models["unpadded"], _LONE_PAIRS[bench.kind]))


def _budget(bench: _Bench) -> int:
    return bench.settings.batch.batch_tokens or BATCH_TOKENS[bench.kind]


def _in_turns(
    ways: Mapping[str, Callable[[Work, float], Run]], work: Work, options: ScorerOptions
) -> dict[str, list[Run]]:
    for way in ways.values():
        way(work, 0.0)  # the first run of a shape allocates and chooses kernels
    found: dict[str, list[Run]] = {name: [] for name in ways}
    for _ in range(options.repeat):
        for name, way in ways.items():
            found[name].append(way(work, options.seconds))
    return found


def _way(model: CrossEncoder) -> Callable[[Work, float], Run]:
    """Return what scores a batch again and again as the scorer thread does: one ahead, ids known."""

    def run(work: Work, seconds: float) -> Run:
        count = 0
        began_s = time.perf_counter()
        flying = model.launch(work.batch())
        while count == 0 or time.perf_counter() - began_s < seconds:
            following = model.launch(work.batch())
            flying.wait()
            flying, count = following, count + 1
        flying.wait()
        rate = (count + 1) * len(work.lengths) / (time.perf_counter() - began_s)
        return Run(rate, work.lengths, flying.padding / (flying.padding + flying.tokens))

    return run


def _peer(bench: _Bench, folder: str) -> Callable[[Work, float], Run]:
    """Return what scores the same pairs with sentence-transformers, in the same numbers, from texts."""
    model = dataclasses.replace(bench.settings.model, model=folder)
    score = open_sentence_transformers(
        model, device=model.device, max_length=512, dtype=model.dtype, batch_size=_PEER_BATCH[bench.kind]
    )

    def run(work: Work, seconds: float) -> Run:
        count = 0
        began_s = time.perf_counter()
        while count == 0 or time.perf_counter() - began_s < seconds:
            score(work.texts)
            count += 1
        return Run(count * len(work.lengths) / (time.perf_counter() - began_s), work.lengths, None)

    return run


def _lone_ms(model: CrossEncoder, pairs: int) -> list[float]:
    """Return how long one event takes on an idle device, from its ids to its logits, in milliseconds."""
    job = bare_job()
    text = " ".join(WORDS[: _LONE_LENGTH - 4])
    job.scoring.pairs = model.pair_encoder().encode(WORDS[0], [text] * pairs)
    model.launch([Slice(job, 0, pairs)]).wait()
    took_ms = []
    for _ in range(_LONE_RUNS):
        began_s = time.perf_counter()
        model.launch([Slice(job, 0, pairs)]).wait()
        took_ms.append(1000 * (time.perf_counter() - began_s))
    return took_ms

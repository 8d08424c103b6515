"""`rerank-worker bench scorer`: pairs and tokens a second of the model alone, and of a peer in turns with it."""

from __future__ import annotations

import dataclasses
import itertools
import time
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from worker.flow.job import Slice
from worker.model.cross_encoder import load_model
from worker.scheduling.limits import token_budget
from worker.tools.bench.bare_job import bare_job
from worker.tools.bench.environment import Environment
from worker.tools.bench.peers import open_sentence_transformers
from worker.tools.bench.plot import draw_bars
from worker.tools.bench.progress import progress
from worker.tools.bench.report import Report
from worker.tools.bench.workload import load_workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from worker.config.settings import Settings
    from worker.model.cross_encoder import CrossEncoder, PendingScores
    from worker.tools.bench.peers import Peer
    from worker.tools.bench.scorer_options import ScorerOptions
    from worker.tools.bench.workload_file import Pair

_PROBE_S = 0.5  # how long the rate is estimated before the runs are sized
_LEAST_PAIRS = 64
_PEER = "sentence_transformers"


class Run(NamedTuple):
    """One run over the same pairs as all others of its bench."""

    pairs_per_s: float
    tokens_per_s: float
    padding_share: float


def bench_scorer(settings: Settings, options: ScorerOptions) -> None:
    """Measure and print. Raises StopError for options, a model or a file that cannot be used."""
    options.check()
    environment = Environment()
    workload = load_workload(options.input, settings.events, pairs=options.pairs, mean_tokens=options.mean_tokens)
    with progress(options.repeat + 1) as advance:
        advance("loading the model")
        # No run may profit from what the one before has tokenized.
        model = load_model(dataclasses.replace(settings.model, token_cache_mb=0))
        model.warm_up()
        scorer = Scorer(model, token_budget(settings.batch, model.device))
        pairs = workload.pairs[: _size(scorer, workload.pairs, options.seconds)]
        peer = _open_peer(settings, options, model)
        if peer is not None:
            peer(pairs[:_LEAST_PAIRS])
        advance("measuring", 1)
        ours: list[Run] = []
        theirs: list[float] = []
        for number in range(options.repeat):
            ours.append(scorer.run(pairs))
            if peer is not None:
                began_s = time.perf_counter()
                peer(pairs)
                theirs.append(len(pairs) / (time.perf_counter() - began_s))
            advance(f"run {number + 1} of {options.repeat}", 1)
    environment.add_model(model)
    environment.add(workload=workload.description, pairs_per_run=len(pairs))
    report = Report("bench scorer", environment)
    _tell(report, model, ours, theirs)
    report.finish(options.json)
    if options.plot is not None:
        _draw(options.plot, report)


def _open_peer(settings: Settings, options: ScorerOptions, model: CrossEncoder) -> Peer | None:
    if options.against is None:
        return None
    return open_sentence_transformers(settings.model, device=model.device, max_length=model.max_length)


def _draw(path: Path, report: Report) -> None:
    ending = ".pairs_per_second"
    rates = {
        each.name.removesuffix(ending).removeprefix("scorer."): each.value
        for each in report.results
        if each.name.endswith(ending)
    }
    draw_bars(path, title="bench scorer", y="pairs/s", values=rates)


def _tell(report: Report, model: CrossEncoder, ours: Sequence[Run], theirs: Sequence[float]) -> None:
    name = f"scorer.{model.backend_name}.{model.dtype}"
    report.add(f"{name}.pairs_per_second", "pairs/s", [run.pairs_per_s for run in ours])
    report.add(f"{name}.tokens_per_second", "tokens/s", [run.tokens_per_s for run in ours])
    report.add(f"{name}.padding_share", "of computed tokens", [run.padding_share for run in ours])
    if theirs:
        report.add(f"scorer.{_PEER}.float32.pairs_per_second", "pairs/s", theirs)
        report.add_ratio(f"scorer.vs_{_PEER}", [run.pairs_per_s for run in ours], theirs)


class Scorer:
    """Scores pairs as the worker does, without anything around the model: tokenize, cut into batches, score."""

    def __init__(self, model: CrossEncoder, batch_tokens: int) -> None:
        self._model = model
        self._encoder = model.pair_encoder()
        self._budget = batch_tokens

    def run(self, pairs: Sequence[Pair]) -> Run:
        """Score the pairs once; the time ends when the last logit is on the host."""
        began_s = time.perf_counter()
        landed: list[PendingScores] = []
        flying: PendingScores | None = None
        for batch in self._batches(pairs):
            flight = self._model.launch(batch)
            # One batch ahead, which a device with a queue of its own works on while the host waits for the last.
            if flying is not None:
                flying.wait()
                landed.append(flying)
            flying = flight
        if flying is not None:
            flying.wait()
            landed.append(flying)
        took_s = time.perf_counter() - began_s
        tokens, padding = sum(flight.tokens for flight in landed), sum(flight.padding for flight in landed)
        return Run(len(pairs) / took_s, tokens / took_s, padding / (tokens + padding))

    def _batches(self, pairs: Sequence[Pair]) -> Iterator[list[Slice]]:
        """Give batches of whole events, pairs that share a query, up to the token budget."""
        batch: list[Slice] = []
        room = self._budget
        for query, shared in itertools.groupby(pairs, itemgetter(0)):
            job = bare_job()
            job.scoring.pairs = self._encoder.encode(query, [text for _, text in shared])
            if batch and len(job.scoring.pairs.ids) > room:
                yield batch
                batch, room = [], self._budget
            batch.append(Slice(job, 0, len(job.scoring.pairs)))
            room -= len(job.scoring.pairs.ids)
        if batch:
            yield batch


def _size(scorer: Scorer, pairs: Sequence[Pair], seconds: float) -> int:
    """Return how many of the pairs a run of so many seconds scores."""
    count = _LEAST_PAIRS
    while True:
        count = min(count, len(pairs))
        began_s = time.perf_counter()
        scorer.run(pairs[:count])
        took_s = time.perf_counter() - began_s
        if took_s >= min(_PROBE_S, seconds) or count == len(pairs):
            return min(len(pairs), max(_LEAST_PAIRS, int(count * seconds / took_s)))
        count *= 2

"""Brings a model to OpenVINO: out of the cache or converted, proved either way, in the numbers that are worth it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.model.backend import Loaded
from worker.model.loading.device import WORTHWHILE, Placement
from worker.model.loading.source import first_line
from worker.model.loading.weights import count_positions, load_weights
from worker.model.openvino.cache import Conversion, ConversionCache
from worker.model.openvino.model import compile_model, convert, core, has_bfloat16
from worker.model.openvino.padded import OpenVinoPadded
from worker.model.openvino.proof import Reference, UnfitError, proof_rows
from worker.model.rows import widths_for
from worker.model.torch.padded import TorchPadded

if TYPE_CHECKING:
    from worker.model.backend import Backend
    from worker.model.loading.source import Source
    from worker.model.options import ModelOptions
    from worker.model.rows import RaggedBatch
    from worker.model.tokenization.tokenizer import PairTokenizer

log = logging.getLogger(__name__)

_RUNS = 3


def load_openvino(options: ModelOptions, source: Source, config: Any, tokenizer: PairTokenizer) -> Loaded:
    """Return the model on OpenVINO, proved to score as torch does; the torch weights are loaded only to convert them.

    Raises UnfitError where it cannot be run so, StopError where the model itself cannot be used.
    """
    try:
        core()
    except Exception as error:
        raise UnfitError(f"it cannot be started: {first_line(error)}") from error
    fitting = _Fitting(options, tokenizer.pad_id, int(config.vocab_size))
    cache = ConversionCache(options.openvino_cache, source)
    kept = cache.read()
    if kept is not None:
        try:
            return fitting.fit(kept)
        except UnfitError as unfit:
            cache.discard(str(unfit))
    made = _convert(source, config, tokenizer)
    loaded = fitting.fit(made)
    cache.write(made)
    return loaded


def _convert(source: Source, config: Any, tokenizer: PairTokenizer) -> Conversion:
    begun = time.perf_counter()
    model = load_weights(source, config, Placement("cpu", "float32", "OpenVINO converts it"))
    positions = count_positions(model, config)
    rows = proof_rows(tokenizer, positions)
    # A group of its own for every row.
    alone = TorchPadded(model, pad_id=tokenizer.pad_id, token_types=tokenizer.token_types, group_tokens=1)
    expected = alone.start(rows).finish()
    if expected.failures:
        raise UnfitError(f"torch fails on plain text: {next(iter(expected.failures.values()))!r}")
    try:
        converted = convert(model, token_types=tokenizer.token_types)
    except Exception as error:
        raise UnfitError(f"it cannot be converted: {first_line(error)}") from error
    log.info(
        "model converted to OpenVINO in %(seconds).1f s",
        {"seconds": time.perf_counter() - begun},
        extra={"event": "model_converted"},
    )
    return Conversion(converted, Reference(rows, expected.logits), positions)


@dataclass(frozen=True, slots=True)
class _Fitting:
    """Compiles a converted model in the numbers that are asked for, or worth it."""

    options: ModelOptions
    pad_id: int
    vocabulary: int

    def fit(self, conversion: Conversion) -> Loaded:
        """Return the model compiled and proved; raises UnfitError."""
        if self.options.dtype == "auto":
            backend, dtype, reason = self._choose(conversion)
        else:
            backend, dtype, reason = self._prove(conversion, self.options.dtype), self.options.dtype, "as set"
        return Loaded(backend, Placement("cpu", dtype, reason), conversion.positions)

    def _choose(self, conversion: Conversion) -> tuple[Backend, str, str]:
        float32 = self._prove(conversion, "float32")
        if not has_bfloat16():
            return float32, "float32", "the processor has no bfloat16"
        try:
            bfloat16 = self._prove(conversion, "bfloat16")
        except UnfitError as unfit:
            return float32, "float32", str(unfit)
        gain = _gain(float32, bfloat16, conversion.reference.rows)
        if gain >= WORTHWHILE:
            return bfloat16, "bfloat16", f"bfloat16 is {gain:.1f} times as fast as float32 here"
        return float32, "float32", f"the processor has bfloat16, but at {gain:.1f} times the speed of float32"

    def _prove(self, conversion: Conversion, dtype: str) -> Backend:
        if dtype == "bfloat16" and not has_bfloat16():
            raise UnfitError("the processor has no bfloat16")
        try:
            compiled = compile_model(conversion.model, dtype, self.options.cpu_threads)
        except Exception as error:
            raise UnfitError(f"it cannot be compiled: {first_line(error)}") from error
        backend = OpenVinoPadded(
            compiled,
            pad_id=self.pad_id,
            vocabulary=self.vocabulary,
            group_tokens=self.options.group_tokens,
            widths=widths_for(dtype, conversion.positions),
        )
        conversion.reference.check(backend, dtype)
        return backend


def _gain(float32: Backend, bfloat16: Backend, rows: RaggedBatch) -> float:
    """Return how many times faster bfloat16 scores the rows, which both have scored before; best of a few in turns."""
    seconds: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    for _ in range(_RUNS):
        for dtype, backend in (("float32", float32), ("bfloat16", bfloat16)):
            begun = time.perf_counter()
            backend.start(rows).finish()
            seconds[dtype].append(time.perf_counter() - begun)
    return min(seconds["float32"]) / min(seconds["bfloat16"])

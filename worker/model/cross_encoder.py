"""The cross-encoder: loads a model, hands out its tokenizers, and scores batches of slices."""

from __future__ import annotations

import itertools
import logging
import time
from typing import TYPE_CHECKING

import numpy as np

from worker.exits import Exit, StopError
from worker.model.choose_backend import load_backend, plan
from worker.model.loading.activation import find_activation
from worker.model.loading.source import find_source, refuse
from worker.model.loading.weights import load_config
from worker.model.rows import rows_of
from worker.model.score_cache import ScoreCache
from worker.model.tokenization.pair_encoder import PairEncoder
from worker.model.tokenization.token_cache import TokenCache
from worker.model.tokenization.tokenizer import PairTokenizer, load_tokenizer
from worker.model.warm_up import BatchTime, thread_rows, warm_rows

if TYPE_CHECKING:
    from worker.flow.job import ModelName, Slice
    from worker.model.backend import Backend, PendingBatch
    from worker.model.loading.device import Placement
    from worker.model.options import ModelOptions, Truncation
    from worker.model.rows import RaggedBatch
    from worker.scheduling.cost_model import Load

log = logging.getLogger(__name__)

_MIB = 1 << 20


class PendingScores:
    """A batch that was launched. After wait(): `failures`, `tokens`, `padding` and `device_s`.

    `failures` maps the number of a slice in the batch to the first reason why a pair of it has no score. `tokens` are
    those that were scored, `padding` those computed beside them. `device_s` is how long the device was at it by its own
    clock, where it has one.
    """

    def __init__(self, work: PendingBatch, bounds: np.ndarray) -> None:
        self._work = work
        self._bounds = bounds
        self.failures: dict[int, Exception] = {}
        self.tokens = 0
        self.padding = 0
        self.device_s: float | None = None

    def is_done(self) -> bool:
        """Return whether wait() would return at once."""
        return self._work.is_done()

    def wait_for_room(self) -> bool:
        """Wait until another batch would begin at once beside the rest of this one; false where none would."""
        return self._work.wait_for_room()

    def wait(self) -> list[np.ndarray]:
        """Return each slice's logits, float32 (stop - start,), NaN for a pair that could not be scored; call it once.

        Raises only what leaves no usable device behind: the process must end.
        """
        scored = self._work.finish()
        self.tokens, self.padding, self.device_s = scored.tokens, scored.padding, scored.device_s
        for row, error in sorted(scored.failures.items()):
            self.failures.setdefault(int(np.searchsorted(self._bounds, row, side="right")) - 1, error)
        return [scored.logits[start:stop] for start, stop in itertools.pairwise(self._bounds)]


class CrossEncoder:
    """A loaded model. pair_encoder() may be called by any thread; launch() and its flights belong to one.

    `name` says which model this is, `activation` is a name in ranking.ACTIVATIONS, `max_length` counts tokens with the
    special ones. `backend_name`, `device` and `dtype` say what runs it, where, and in which numbers (`dtype_reason`:
    why), `cpu_threads` on how many threads of the CPU. `cache` and `score_cache`, if there is one, count their hits and
    misses. `product_fields` are the attributes that the model names as those it reads, if it names any. `joins_pairs`
    is false where pairs must be encoded as pairs, which is slower. `overlaps` says whether the device has a queue, so
    that a batch is launched while another is on it.
    """

    def __init__(  # noqa: PLR0913 - the parts of a model, put together in one place, below
        self,
        *,
        name: ModelName,
        activation: str,
        max_length: int,
        truncation: Truncation,
        placement: Placement,
        tokenizer: PairTokenizer,
        cache: TokenCache,
        score_cache: ScoreCache | None = None,
        product_fields: tuple[str, ...] | None = None,
        backend: Backend,
    ) -> None:
        self.name = name
        self.activation = activation
        self.max_length = max_length
        self.device = placement.device
        self.dtype = placement.dtype
        self.dtype_reason = placement.reason
        self.cache = cache
        self.score_cache = score_cache
        self.product_fields = product_fields
        self.overlaps = placement.device != "cpu"
        self.joins_pairs = tokenizer.template is not None
        self.backend_name = backend.name
        self.cpu_threads = backend.threads
        self._truncation: Truncation = truncation
        self._tokenizer = tokenizer
        self._backend = backend

    def pair_encoder(self) -> PairEncoder:
        """Return an encoder for one thread; all of them share the cache."""
        return PairEncoder(self._tokenizer, self.cache, self.max_length, self._truncation)

    def load_of(self, lengths: np.ndarray) -> Load:
        """Return what is computed of pairs of these lengths in tokens, int64 (n,), when they share a batch."""
        return self._backend.load_of(lengths)

    def launch(self, batch: list[Slice]) -> PendingScores:
        """Begin to score a batch. Another may be launched before this one is waited for.

        On the CPU that pays once wait_for_room() has returned true.
        """
        rows = rows_of(batch)
        return PendingScores(self._backend.start(rows), rows.bounds)

    def warm_up(self) -> list[BatchTime]:
        """Score batches of real shapes, from one short pair to a long one, and return how long each took when warm.

        Raises StopError where the model gives no finite logit, or fails, on plain text.
        """
        return [self._time(rows) for rows in warm_rows(self._warm_encoder(), self.max_length, cuda=self.overlaps)]

    def warm_thread(self) -> None:
        """Score for nothing on the thread that is to score: its first batch takes ten times as long."""
        for rows in thread_rows(self._warm_encoder(), self.max_length, cuda=self.overlaps):
            self._backend.start(rows).finish()

    def _warm_encoder(self) -> PairEncoder:
        return PairEncoder(self._tokenizer, TokenCache(0), self.max_length, self._truncation)

    def _time(self, rows: RaggedBatch) -> BatchTime:
        self._backend.start(rows).finish()  # the first run of a shape allocates and chooses kernels
        begun = time.perf_counter()
        scored = self._backend.start(rows).finish()
        took = time.perf_counter() - begun
        if scored.failures:
            raise refuse(self.name.id, f"it cannot score plain text: {next(iter(scored.failures.values()))!r}")
        return BatchTime(len(rows), self.load_of(rows.lengths), took)


def load_model(options: ModelOptions) -> CrossEncoder:
    """Load the model that the options name, ready for warm_up().

    Raises StopError with one line that says what is wrong with the model or the device.
    """
    import torch

    if options.cpu_threads is not None:
        torch.set_num_threads(options.cpu_threads)
    source = find_source(options.model, options.revision)
    activation = find_activation(source.name.id, source.config)
    config = load_config(source)
    tokenizer = load_tokenizer(source, int(getattr(config, "type_vocab_size", 0) or 0))
    if tokenizer.ids > config.vocab_size:
        raise refuse(
            source.name.id,
            f"its tokenizer has ids up to {tokenizer.ids - 1}, the model embeddings for {config.vocab_size} of them; "
            "expected the tokenizer that it was trained with.",
        )
    chosen = plan(options, config.model_type)
    backend, placement, positions = load_backend(chosen, options, source, config, tokenizer)
    max_length = _find_length(options.max_length, positions, tokenizer)
    model = CrossEncoder(
        name=source.name,
        activation=activation,
        max_length=max_length,
        truncation=options.truncation,
        placement=placement,
        tokenizer=tokenizer,
        cache=TokenCache(options.token_cache_mb * _MIB),
        score_cache=ScoreCache(options.score_cache_mb * _MIB, source.name) if options.score_cache_mb else None,
        product_fields=source.product_fields,
        backend=backend,
    )
    facts = {"model": source.name.id, "revision": source.name.revision, "backend": backend.name}
    log.info("model loaded", extra={"event": "model_loaded", **facts, **placement._asdict()})
    return model


def _find_length(asked: int | None, positions: int, tokenizer: PairTokenizer) -> int:
    length = asked or min(tokenizer.maximum, positions)
    if length > positions:
        raise StopError(Exit.MODEL, f"max_length: the model has positions for {positions} tokens, got {length}.")
    # Two tokens of text: one for the query, one for the product.
    if length < tokenizer.special + 2:
        raise StopError(Exit.MODEL, f"max_length: expected at least {tokenizer.special + 2} tokens, got {length}.")
    return length

"""A cross-encoder whose scores cost nothing: everything around the model is real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from worker.model.backend import BatchResult
from worker.model.cross_encoder import CrossEncoder
from worker.model.loading.activation import find_activation
from worker.model.loading.device import Placement
from worker.model.loading.source import find_source
from worker.model.tokenization.token_cache import TokenCache
from worker.model.tokenization.tokenizer import load_tokenizer
from worker.scheduling.cost_model import Load, packed_load

if TYPE_CHECKING:
    from worker.model.options import ModelOptions
    from worker.model.rows import RaggedBatch

_MIB = 1 << 20
_SCALE = 1_000.0
_LENGTH = 512  # tokens of a pair, where the options name none


@dataclass(slots=True)
class _Done:
    """A batch that needs no computing."""

    scored: BatchResult

    def is_done(self) -> bool:
        """Return True: it was done before it was asked for."""
        return True

    def wait_for_room(self) -> bool:
        """Return True likewise."""
        return True

    def finish(self) -> BatchResult:
        """Return the logits."""
        return self.scored


class FreeBackend:
    """Makes a pair's logit of one token id in its middle: the same for the same pair, and of no meaning."""

    name = "free"
    threads: int | None = None

    def load_of(self, lengths: np.ndarray) -> Load:
        """Return the load of rows of these lengths."""
        return packed_load(lengths)

    def start(self, rows: RaggedBatch) -> _Done:
        """Return the batch, done."""
        chosen = rows.ids[rows.starts + rows.lengths // 2]
        return _Done(BatchResult(chosen.astype(np.float32) / _SCALE, rows.tokens))


class FreeModels:
    """Makes models that score for nothing, each with an empty token cache; the tokenizer is loaded once.

    Raises StopError where the model's folder or tokenizer cannot be used.
    """

    def __init__(self, options: ModelOptions) -> None:
        self._options = options
        self._source = find_source(options.model, options.revision)
        self.tokenizer = load_tokenizer(self._source, int(self._source.config.get("type_vocab_size", 0) or 0))

    def make(self) -> CrossEncoder:
        """Return one more."""
        return CrossEncoder(
            name=self._source.name,
            activation=find_activation(self._source.name.id, self._source.config),
            max_length=self._options.max_length or _LENGTH,
            truncation=self._options.truncation,
            placement=Placement("cpu", "float32", "nothing is computed"),
            tokenizer=self.tokenizer,
            cache=TokenCache(self._options.token_cache_mb * _MIB),
            backend=FreeBackend(),
        )

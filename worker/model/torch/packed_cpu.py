"""The backend without padding on the CPU: torch, BERT's family, rows sorted by length and packed end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from worker.model.rows import packed_passes
from worker.model.torch.packed_batch import PackedBatch, equal_length_runs_of, lay, passes_of
from worker.model.torch.pass_threads import PassThreads
from worker.model.torch.work import begin_on_cpu

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.model.rows import RaggedBatch
    from worker.model.torch.packed_encoder import PackedEncoder
    from worker.model.torch.work import TorchBatch
    from worker.scheduling.cost_model import Load

# Tokens of one forward pass times bytes of a number. Measured with a MiniLM-L6: the rate is flat from half of this to
# twice of it.
_PASS_BYTES = 8_192
# oneDNN makes a kernel for every number of rows that it has not seen, which took a third of the time in bfloat16. So a
# packed batch is filled up to a multiple of the first of these, or up to so many tokens of the second.
_FILL, _SMALL_FILL, _SMALL = 64, 16, 256
_FILL_FIRSTS = 8


class TorchPackedCpu:
    """A classifier of BERT's family on the CPU. `token_types` says whether the model tells the two texts apart."""

    name = "torch"
    threads: int | None

    def __init__(
        self,
        encoder: PackedEncoder,
        *,
        token_types: bool,
        pass_tokens: int | None = None,
        threads: PassThreads | None = None,
    ) -> None:
        self._encoder = encoder
        self.threads = torch.get_num_threads()
        self._threads = threads or PassThreads(1)
        self._token_types = token_types
        self._pass_tokens = pass_tokens or _PASS_BYTES // encoder.dtype.itemsize

    def load_of(self, lengths: np.ndarray) -> Load:
        """Return what a batch of rows of these lengths computes."""
        return packed_passes(lengths, self._pass_tokens, at_once=self._threads.at_once(int(lengths.sum())))

    def start(self, rows: RaggedBatch) -> TorchBatch:
        """Begin a batch; finish() computes it."""
        return begin_on_cpu(self, rows, self._threads)

    def groups(self, rows: RaggedBatch) -> Iterator[np.ndarray]:
        """Yield the row numbers of each forward pass."""
        return iter(passes_of(rows, self._threads.pass_tokens(rows.tokens, self._pass_tokens)))

    def forward(self, rows: RaggedBatch, chosen: np.ndarray) -> torch.Tensor:
        """Return the logits of the chosen rows, float32 (rows,)."""
        with torch.inference_mode():
            return self._encoder(self.packed(rows, chosen))[: len(chosen)]

    def computed(self, rows: RaggedBatch, chosen: np.ndarray) -> int:
        """Return how many tokens a forward pass of the chosen rows computes: theirs, and what fills up the batch."""
        return _filled(int(rows.lengths[chosen].sum()))

    def packed(self, rows: RaggedBatch, chosen: np.ndarray) -> PackedBatch:
        """Lay the chosen rows end to end."""
        laid = lay(rows, chosen, self._encoder.padding_position, token_types=self._token_types)
        tokens = _filled(len(laid.ids))
        return PackedBatch(
            ids=_tensor(laid.ids, tokens),
            types=_tensor(laid.types, tokens),
            positions=_tensor(laid.positions, tokens),
            cls_index=_tensor(laid.cls_index, _up(len(laid.cls_index), _FILL_FIRSTS)),
            equal_length_runs=equal_length_runs_of(laid),
        )


def _filled(tokens: int) -> int:
    return _up(tokens, _FILL if tokens > _SMALL else _SMALL_FILL)


def _up(number: int, step: int) -> int:
    return -(-number // step) * step


def _tensor(numbers: np.ndarray, length: int) -> torch.Tensor:
    """Return the numbers as int64, filled up with zeros."""
    filled = np.zeros(length, np.int64)
    filled[: len(numbers)] = numbers
    return torch.from_numpy(filled)

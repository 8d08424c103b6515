"""The backend without padding on CUDA: torch, BERT's family, one attention kernel for pairs of any lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from worker.model.rows import packed_passes
from worker.model.torch.cuda_memory import smaller_after
from worker.model.torch.cuda_work import begin, send, staging
from worker.model.torch.packed_batch import Laid, PackedBatch, Size, lay, passes_of, read, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from worker.model.rows import RaggedBatch
    from worker.model.torch.cuda_graphs import Graphs
    from worker.model.torch.packed_encoder import PackedEncoder
    from worker.model.torch.work import TorchBatch
    from worker.scheduling.cost_model import Load


class TorchPackedCuda:
    """A classifier of BERT's family on a GPU. `token_types` says whether the model tells the two texts apart.

    `pass_tokens` are those that one forward pass takes, about; they become fewer where the device's memory does not
    hold what they need. `graphs`, if there are some, run the passes that they have room for.
    """

    name = "torch"
    threads: int | None = None

    def __init__(self, encoder: PackedEncoder, device: torch.device, *, token_types: bool, pass_tokens: int) -> None:
        self.encoder = encoder
        self.device = device
        self.graphs: Graphs | None = None
        self._token_types = token_types
        self.pass_tokens = pass_tokens

    def load_of(self, lengths: np.ndarray) -> Load:
        """Return what a batch of rows of these lengths computes."""
        return packed_passes(lengths, self.pass_tokens)

    def start(self, rows: RaggedBatch) -> TorchBatch:
        """Begin a batch: the device's queue holds all of it on return."""
        return begin(self, rows, self.device)

    def groups(self, rows: RaggedBatch) -> Iterator[np.ndarray]:
        """Yield the row numbers of each forward pass."""
        return iter(passes_of(rows, self.pass_tokens))

    def forward(self, rows: RaggedBatch, chosen: np.ndarray) -> torch.Tensor:
        """Return the logits of the chosen rows, float32 (rows,), on the device."""
        laid = self.lay(rows, chosen)
        graph = self._graph_of(laid.size)
        with smaller_after(self, len(laid.ids)), torch.inference_mode():
            if self.graphs is not None and graph is not None:
                return self.graphs.run(laid, graph)
            return self.encoder(self.packed(laid))

    def computed(self, rows: RaggedBatch, chosen: np.ndarray) -> int:
        """Return how many tokens a forward pass of the chosen rows computes: theirs, and what fills up a graph."""
        lengths = rows.lengths[chosen]
        size = Size(int(lengths.sum()), len(lengths))
        return (self._graph_of(size) or size).tokens

    def lay(self, rows: RaggedBatch, chosen: np.ndarray) -> Laid:
        """Lay the chosen rows end to end."""
        return lay(rows, chosen, self.encoder.padding_position, token_types=self._token_types)

    def packed(self, laid: Laid) -> PackedBatch:
        """Return what is laid on the device; one copy brings all of it there."""
        staged = staging(sum(laid.size.parts), self.device)
        write(laid, laid.size, staged.numpy())
        return read(send(staged, self.device), laid.size, int(laid.lengths.max()))

    def _graph_of(self, size: Size) -> Size | None:
        return None if self.graphs is None else self.graphs.fitting(size)

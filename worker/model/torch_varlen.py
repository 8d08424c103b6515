"""The backend without padding on CUDA: torch, BERT's family, one attention kernel for pairs of any lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from worker.model.cuda_work import begin, send, staging
from worker.model.flat_stream import Laid, Stream, lay, passes_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.model.flat_encoder import FlatEncoder
    from worker.model.rows import Rows
    from worker.model.torch_work import TorchWork


class TorchVarlen:
    """A classifier of BERT's family on a GPU. `token_types` says whether the model tells the two texts apart.

    `pass_tokens` are those that one forward pass takes, about; they become fewer where the device's memory does not
    hold what they need.
    """

    name = "torch"
    threads: int | None = None

    def __init__(self, encoder: FlatEncoder, device: torch.device, *, token_types: bool, pass_tokens: int) -> None:
        self._encoder = encoder
        self._device = device
        self._token_types = token_types
        self.pass_tokens = pass_tokens

    def start(self, rows: Rows) -> TorchWork:
        """Begin a batch: the device's queue holds all of it on return."""
        return begin(self, rows, self._device)

    def groups(self, rows: Rows) -> Iterator[np.ndarray]:
        """Yield the row numbers of each forward pass."""
        return iter(passes_of(rows, self.pass_tokens))

    def forward(self, rows: Rows, chosen: np.ndarray) -> torch.Tensor:
        """Return the logits of the chosen rows, float32 (rows,), on the device."""
        try:
            with torch.inference_mode():
                return self._encoder(self.stream(rows, chosen))
        except torch.OutOfMemoryError:
            # This batch goes on in halves; those after it need not fail first.
            self.pass_tokens = max(1, min(self.pass_tokens, int(rows.lengths[chosen].sum())) // 2)
            raise

    def computed(self, rows: Rows, chosen: np.ndarray) -> int:
        """Return how many tokens a forward pass of the chosen rows computes: theirs."""
        return int(rows.lengths[chosen].sum())

    def stream(self, rows: Rows, chosen: np.ndarray) -> Stream:
        """Lay the chosen rows end to end, on the device; one copy brings all of it there."""
        laid = lay(rows, chosen, self._encoder.padding_position, token_types=self._token_types)
        parts = (laid.ids, laid.types, laid.positions, laid.firsts, _bounds(laid), np.arange(len(chosen) + 1))
        staged = staging(sum(map(len, parts)), self._device)
        np.concatenate(parts, out=staged.numpy(), casting="unsafe")
        sent = torch.split(send(staged, self._device), [*map(len, parts)])
        ids, types, positions, firsts, bounds, numbers = sent
        return Stream(
            ids=ids,
            types=types,
            positions=positions,
            firsts=firsts,
            bounds=bounds,
            numbers=numbers,
            longest=int(laid.lengths.max()),
        )


def _bounds(laid: Laid) -> np.ndarray:
    return np.append(laid.firsts, len(laid.ids))

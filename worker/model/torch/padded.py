"""The backend that every model runs on: torch, rows sorted by length, padded in small groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from worker.model.rows import AS_LONG_AS_ROWS, RaggedBatch, Widths, even_groups, pad, padded_load
from worker.model.torch.cuda_memory import smaller_after
from worker.model.torch.cuda_work import begin, send
from worker.model.torch.pass_threads import PassThreads

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from worker.model.torch.work import TorchBatch
    from worker.scheduling.cost_model import Load

# Padded tokens of one forward pass. Measured with a MiniLM-L6 on product texts of 25 and 75 tokens, in float32 and
# bfloat16: the rate is flat from 500 to 2,000, a tenth lower at 4,000 and a third at 8,000, where more is padding and
# the activations leave the cache. The number for CUDA is not measured yet.
CPU_GROUP_TOKENS = 1_536
CUDA_GROUP_TOKENS = 32_768


class TorchPadded:
    """A transformers sequence classifier with one label, in eval mode, on its device.

    `model` is called with input_ids, attention_mask where a group is padded, and token_type_ids where `token_types`.
    `pass_tokens` are the most padded tokens of one forward pass, `threads` run passes side by side.
    """

    name = "torch"
    threads: int | None

    def __init__(  # noqa: PLR0913 - the model, what it needs to know of its tokenizer, and how it is run
        self,
        model: Any,
        *,
        pad_id: int,
        token_types: bool,
        group_tokens: int | None = None,
        widths: Widths = AS_LONG_AS_ROWS,
        threads: PassThreads | None = None,
    ) -> None:
        self._model = model
        self._widths = widths
        self._device = torch.device(model.device)
        self._threads = threads or PassThreads(1)
        self.threads = torch.get_num_threads() if self._device.type == "cpu" else None
        self._pad_id = pad_id
        self._token_types = token_types
        self.pass_tokens = group_tokens or (CPU_GROUP_TOKENS if self._device.type == "cpu" else CUDA_GROUP_TOKENS)

    def load_of(self, lengths: np.ndarray) -> Load:
        """Return what a batch of rows of these lengths computes."""
        return padded_load(lengths, self._groups(lengths), self._widths, at_once=self._at_once(lengths))

    def start(self, rows: RaggedBatch) -> TorchBatch:
        """Begin a batch: on CUDA the device's queue holds all of it on return, on the CPU finish() computes it."""
        return begin(self, rows, self._device, self._threads)

    def groups(self, rows: RaggedBatch) -> Iterator[np.ndarray]:
        """Yield the row numbers of each forward pass."""
        return iter(self._groups(rows.lengths))

    def _groups(self, lengths: np.ndarray) -> list[np.ndarray]:
        return even_groups(lengths, self.pass_tokens, self._widths, at_once=self._at_once(lengths))

    def _at_once(self, lengths: np.ndarray) -> int:
        return self._threads.at_once(int(lengths.sum()))

    def forward(self, rows: RaggedBatch, chosen: np.ndarray) -> torch.Tensor:
        """Return the logits of the chosen rows, float32 (rows,), on the device."""
        padded = pad(rows, chosen, self._pad_id, self._widths)
        inputs = {"input_ids": self._move(padded.ids)}
        # Without a mask attention takes its fast path, and gives the same as with a mask of ones.
        if not padded.full:
            inputs["attention_mask"] = self._move(padded.mask)
        if self._token_types:
            inputs["token_type_ids"] = self._move(padded.types)
        with smaller_after(self, padded.ids.size), torch.inference_mode():
            logits: torch.Tensor = self._model(**inputs).logits
            return logits[:, 0].float()

    def computed(self, rows: RaggedBatch, chosen: np.ndarray) -> int:
        """Return how many tokens a forward pass of the chosen rows computes."""
        return len(chosen) * self._widths.of(int(rows.lengths[chosen].max()))

    def _move(self, values: np.ndarray) -> torch.Tensor:
        return send(torch.from_numpy(values), self._device)

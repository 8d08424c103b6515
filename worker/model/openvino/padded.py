"""The backend for CPUs: OpenVINO, rows sorted by length, padded in small groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from worker.model.retry_halves import RetryHalves
from worker.model.rows import AS_LONG_AS_ROWS, RaggedBatch, Widths, groups_of, pad, padded_load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.scheduling.cost_model import Load

GROUP_TOKENS = 512


class OpenVinoPadded:
    """A compiled sequence classifier with one label, of any number and length of rows.

    `vocabulary` is how many token ids the model has.
    """

    name = "openvino"
    threads: int | None

    def __init__(
        self,
        compiled: Any,
        *,
        pad_id: int,
        vocabulary: int,
        group_tokens: int | None = None,
        widths: Widths = AS_LONG_AS_ROWS,
    ) -> None:
        self._widths = widths
        self._request = compiled.create_infer_request()
        self._token_types = any("token_type_ids" in each.names for each in compiled.inputs)
        self.threads = int(compiled.get_property("INFERENCE_NUM_THREADS"))
        self._pad_id = pad_id
        self._vocabulary = vocabulary
        self._group_tokens = group_tokens or GROUP_TOKENS

    def load_of(self, lengths: np.ndarray) -> Load:
        """Return what a batch of rows of these lengths computes."""
        return padded_load(lengths, groups_of(lengths, self._group_tokens, self._widths), self._widths)

    def start(self, rows: RaggedBatch) -> RetryHalves[np.ndarray]:
        """Begin a batch, which finish() computes."""
        return RetryHalves(self, rows)

    def groups(self, rows: RaggedBatch) -> Iterator[np.ndarray]:
        """Yield the row numbers of each forward pass."""
        return groups_of(rows.lengths, self._group_tokens, self._widths)

    def forward(self, rows: RaggedBatch, chosen: np.ndarray) -> np.ndarray:
        """Return the logits of the chosen rows, float32 (rows,)."""
        padded = pad(rows, chosen, self._pad_id, self._widths)
        highest = int(padded.ids.max())
        # OpenVINO would read beyond the table and give a logit; torch raises too.
        if highest >= self._vocabulary:
            raise IndexError(f"expected token ids below {self._vocabulary}, got {highest}")
        inputs = {"input_ids": padded.ids, "attention_mask": padded.mask.astype(np.int64)}
        if self._token_types:
            inputs["token_type_ids"] = padded.types
        # The arrays are used where they lie; they outlive the call.
        self._request.infer(inputs, share_inputs=True)
        logits: np.ndarray = self._request.get_output_tensor(0).data.astype(np.float32)  # a copy
        return logits

    def computed(self, rows: RaggedBatch, chosen: np.ndarray) -> int:
        """Return how many tokens a forward pass of the chosen rows computes."""
        return len(chosen) * self._widths.of(int(rows.lengths[chosen].max()))

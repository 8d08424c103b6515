"""The last layer of BERT and its kin for the first row alone, which is all that a classifier's head looks at."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention


class ClsLayer(torch.nn.Module):
    """Takes a layer's place at the end of the encoder: (rows, tokens, width) to (rows, 1, width).

    That is exact: a row attends to all tokens, and what comes after attention is computed row by row. Five sixths of
    the layer's work fall away.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden: torch.Tensor, attention_mask: torch.Tensor | None = None, *_: Any, **__: Any) -> Any:
        """Return the layer's output for the first token of each row; the mask is (rows, 1, tokens or 1, tokens)."""
        attention = self.layer.attention.self
        first = hidden[:, :1]
        attended = scaled_dot_product_attention(
            self._by_head(attention.query(first)),
            self._by_head(attention.key(hidden)),
            self._by_head(attention.value(hidden)),
            attn_mask=None if attention_mask is None else attention_mask[:, :, :1],
        )
        row = self.layer.attention.output(attended.transpose(1, 2).flatten(2), first)
        return self.layer.output(self.layer.intermediate(row), row)

    def _by_head(self, projected: torch.Tensor) -> torch.Tensor:
        rows, tokens, width = projected.shape
        size = self.layer.attention.self.attention_head_size
        return projected.view(rows, tokens, width // size, size).transpose(1, 2)


def skip_other_rows(model: Any) -> None:
    """Let a sequence classifier of one of flat_encoder.FAMILIES compute only the first rows in its last layer."""
    layers = model.base_model.encoder.layer
    layers[-1] = ClsLayer(layers[-1])

"""What a model does to each row by itself, beside its linear layers, as torch does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from worker.model.torch.packed_batch import PackedBatch


class RowWise:
    """Embeddings, and the sums that a LayerNorm follows; rows are (n, width), in the model's numbers."""

    def embed(self, embeddings: Any, packed: PackedBatch) -> torch.Tensor:
        """Return what the model's embeddings make of each token of the packed batch, (tokens, width)."""
        hidden: torch.Tensor = embeddings(
            input_ids=packed.ids[None], token_type_ids=packed.types[None], position_ids=packed.positions[None]
        )
        return hidden[0]

    def add_norm(self, rows: torch.Tensor, added: torch.Tensor, norm: Any) -> torch.Tensor:
        """Return the LayerNorm of the sum; `rows` may be overwritten."""
        normed: torch.Tensor = norm(rows.add_(added))
        return normed

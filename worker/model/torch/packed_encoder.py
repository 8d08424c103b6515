"""BERT and its kin on packed pairs: no pair is padded, and the last layer computes first rows only."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Protocol

from worker.model.torch.prepacked_linear import PrepackedLinear
from worker.model.torch.row_wise import RowWise

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from worker.model.torch.packed_batch import PackedBatch

# Families of transformers with BERT's layers.
FAMILIES = frozenset({"bert", "camembert", "electra", "roberta", "xlm-roberta"})


class Attention(Protocol):
    """How the tokens of a pair see each other; `any_lengths`: by the same launches, however long the pairs are."""

    any_lengths: bool

    def of_all(self, projected: torch.Tensor, packed: PackedBatch) -> torch.Tensor:
        """Return what each token makes of its pair, (tokens, heads, width); projected is (tokens, 3, heads, width).

        The three are queries, keys and values.
        """

    def of_cls(self, asked: torch.Tensor, projected: torch.Tensor, packed: PackedBatch) -> torch.Tensor:
        """Return what the first token of each pair makes of it, (n, heads, width).

        Asked are its queries, (n, heads, width); projected are keys and values, (tokens, 2, heads, width).
        """


class PackedEncoder:
    """A sequence classifier of one of the families, taken over from transformers; its encoder must not be used again.

    The first row of a pair is all that the head of these classifiers sees, so the last layer needs the others only as
    what the first attends to: its attention has one query a pair, and what follows has one row a pair. That is exact.
    """

    def __init__(self, model: Any, attention: Attention, row_wise: RowWise | None = None) -> None:
        base = model.base_model
        self._row_wise = row_wise or RowWise()
        self._embeddings = base.embeddings
        self._project = getattr(base, "embeddings_project", None)
        self._pooler = getattr(base, "pooler", None)
        self._classifier = model.classifier
        layers = list(base.encoder.layer)
        gelu = model.config.hidden_act == "gelu"
        self.dtype: torch.dtype = model.dtype
        self.any_lengths = attention.any_lengths
        self._layers = [_Layer(layer, attention, self._row_wise, gelu=gelu) for layer in layers[:-1]]
        self._last = _LastLayer(layers[-1], attention, self._row_wise, gelu=gelu)
        # The RoBERTa family counts positions from here on, and skips the padding id where a text has it.
        self.padding_position: int | None = base.embeddings.position_embeddings.padding_idx

    def compile(self) -> None:
        """Let torch compile, at the first batches, what follows attention: two kernels of it for all layers."""
        for rest in (*(layer.rest for layer in self._layers), self._last.rest):
            rest.compile()

    def __call__(self, packed: PackedBatch) -> torch.Tensor:
        """Return the logits, float32 (n,)."""
        hidden = self._row_wise.embed(self._embeddings, packed)
        if self._project is not None:
            hidden = self._project(hidden)
        for layer in self._layers:
            hidden = layer(hidden, packed)
        first = self._last(hidden, packed)[:, None]
        logits: torch.Tensor = self._classifier(first if self._pooler is None else self._pooler(first))
        return logits[:, 0].float()


def is_flat(model: Any) -> bool:
    """Return whether a sequence classifier is of a family that runs packed."""
    config = model.config
    return config.model_type in FAMILIES and not config.is_decoder and not config.add_cross_attention


class _FeedForward:
    """What follows attention in a layer, on any rows of it."""

    def __init__(self, layer: Any, row_wise: RowWise, *, gelu: bool) -> None:
        self._row_wise = row_wise
        self._attended = PrepackedLinear([layer.attention.output.dense])
        self._attended_norm = layer.attention.output.LayerNorm
        self._inner = PrepackedLinear([layer.intermediate.dense], gelu=gelu)
        self._activation = None if gelu else layer.intermediate.intermediate_act_fn
        self._outer = PrepackedLinear([layer.output.dense])
        self._norm = layer.output.LayerNorm
        self._compiled: Callable[..., torch.Tensor] | None = None

    def compile(self) -> None:
        for linear in (self._attended, self._inner, self._outer):
            linear.unpack()
        self._row_wise = RowWise()  # of which torch makes kernels itself
        self._compiled = _compiled()

    def __call__(self, attended: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        return self.compute(attended, hidden) if self._compiled is None else self._compiled(self, attended, hidden)

    def compute(self, attended: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        middle = self._row_wise.add_norm(self._attended(attended), hidden, self._attended_norm)
        inner = self._inner(middle)
        if self._activation is not None:
            inner = self._activation(inner)
        return self._row_wise.add_norm(self._outer(inner), middle, self._norm)


@functools.cache
def _compiled() -> Callable[..., torch.Tensor]:
    """Return what all layers share: one kernel for any number of rows, and one for a single row."""
    import torch

    # In this process: the compiler's own would stay as long as the worker, for nothing.
    return torch.compile(_FeedForward.compute, dynamic=True, options={"compile_threads": 1})


class _Layer:
    def __init__(self, layer: Any, attention: Attention, row_wise: RowWise, *, gelu: bool) -> None:
        own = layer.attention.self
        self._heads = (own.num_attention_heads, own.attention_head_size)
        self._attention = attention
        self._project = PrepackedLinear([own.query, own.key, own.value])
        self.rest = _FeedForward(layer, row_wise, gelu=gelu)

    def __call__(self, hidden: torch.Tensor, packed: PackedBatch) -> torch.Tensor:
        projected = self._project(hidden).view(-1, 3, *self._heads)
        return self.rest(self._attention.of_all(projected, packed).flatten(1), hidden)


class _LastLayer:
    def __init__(self, layer: Any, attention: Attention, row_wise: RowWise, *, gelu: bool) -> None:
        own = layer.attention.self
        self._heads = (own.num_attention_heads, own.attention_head_size)
        self._attention = attention
        self._query = PrepackedLinear([own.query])
        self._project = PrepackedLinear([own.key, own.value])
        self.rest = _FeedForward(layer, row_wise, gelu=gelu)

    def __call__(self, hidden: torch.Tensor, packed: PackedBatch) -> torch.Tensor:
        first = hidden.index_select(0, packed.cls_index)
        asked = self._query(first).view(-1, *self._heads)
        projected = self._project(hidden).view(-1, 2, *self._heads)
        return self.rest(self._attention.of_cls(asked, projected, packed).flatten(1), first)

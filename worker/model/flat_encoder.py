"""BERT and its kin on a flat stream of tokens: no pair is padded, and the last layer computes first rows only."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.nn.functional import scaled_dot_product_attention

from worker.model.device import has_matrix_unit
from worker.model.packed_linear import PackedLinear

# Families of transformers with BERT's layers.
FAMILIES = frozenset({"bert", "camembert", "electra", "roberta", "xlm-roberta"})

# Attention weights of one block of pairs: few enough to stay in a core's cache, so that three plain operators are up to
# twice as fast as torch's fused kernel at the lengths of product texts. They are float32 whatever the model is in: that
# loses nothing and is no slower, since softmax is several times as fast in it as in bfloat16. Where the processor has a
# matrix unit for bfloat16, the fused kernel is the faster one (1.1 times for the whole model), and for long pairs
# everywhere.
_BLOCK_WEIGHTS = 1 << 18


class Run(NamedTuple):
    """Neighbours of one length: `pairs` pairs of `length` tokens each, from token `start` of the stream on."""

    start: int
    pairs: int
    length: int


class Stream(NamedTuple):
    """Pairs, end to end: `ids`, `types` and `positions` int64 (tokens,); `firsts` int64 (n,): where each begins.

    What is in no run, at the end, is there only to make the numbers round; its logits mean nothing.
    """

    ids: torch.Tensor
    types: torch.Tensor
    positions: torch.Tensor
    firsts: torch.Tensor
    runs: list[Run]


class FlatEncoder:
    """A sequence classifier of one of the families, taken over from transformers; its encoder must not be used again.

    The first row of a pair is all that the head of these classifiers sees, so the last layer needs the others only as
    what the first attends to: its attention has one query a pair, and what follows has one row a pair. That is exact.
    """

    def __init__(self, model: Any) -> None:
        base = model.base_model
        self._embeddings = base.embeddings
        self._project = getattr(base, "embeddings_project", None)
        self._pooler = getattr(base, "pooler", None)
        self._classifier = model.classifier
        layers = list(base.encoder.layer)
        gelu = model.config.hidden_act == "gelu"
        self.dtype: torch.dtype = model.dtype
        block = 0 if self.dtype == torch.bfloat16 and has_matrix_unit() else _BLOCK_WEIGHTS
        self._layers = [_Layer(layer, block, gelu=gelu) for layer in layers[:-1]]
        self._last = _LastLayer(layers[-1], block, gelu=gelu)
        # The RoBERTa family counts positions from here on, and skips the padding id where a text has it.
        self.padding_position: int | None = base.embeddings.position_embeddings.padding_idx

    def __call__(self, stream: Stream) -> torch.Tensor:
        """Return the logits, float32 (n,)."""
        hidden = self._embeddings(
            input_ids=stream.ids[None], token_type_ids=stream.types[None], position_ids=stream.positions[None]
        )
        if self._project is not None:
            hidden = self._project(hidden)
        hidden = hidden[0]
        for layer in self._layers:
            hidden = layer(hidden, stream)
        first = self._last(hidden, stream)[:, None]
        logits: torch.Tensor = self._classifier(first if self._pooler is None else self._pooler(first))
        return logits[:, 0].float()


def is_flat(model: Any) -> bool:
    """Return whether a sequence classifier is of a family that runs on a flat stream."""
    config = model.config
    return config.model_type in FAMILIES and not config.is_decoder and not config.add_cross_attention


class _FeedForward:
    """What follows attention in a layer, on any rows of it."""

    def __init__(self, layer: Any, *, gelu: bool) -> None:
        self._attended = PackedLinear([layer.attention.output.dense])
        self._attended_norm = layer.attention.output.LayerNorm
        self._inner = PackedLinear([layer.intermediate.dense], gelu=gelu)
        self._activation = None if gelu else layer.intermediate.intermediate_act_fn
        self._outer = PackedLinear([layer.output.dense])
        self._norm = layer.output.LayerNorm

    def __call__(self, attended: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        middle = self._attended_norm(self._attended(attended).add_(hidden))
        inner = self._inner(middle)
        if self._activation is not None:
            inner = self._activation(inner)
        rows: torch.Tensor = self._norm(self._outer(inner).add_(middle))
        return rows


class _Layer:
    def __init__(self, layer: Any, block: int, *, gelu: bool) -> None:
        attention = layer.attention.self
        self._heads = (attention.num_attention_heads, attention.attention_head_size)
        self._block = block
        self._project = PackedLinear([attention.query, attention.key, attention.value])
        self._rest = _FeedForward(layer, gelu=gelu)

    def __call__(self, hidden: torch.Tensor, stream: Stream) -> torch.Tensor:
        projected = self._project(hidden)
        attended = torch.zeros_like(hidden)
        for start, pairs, length in stream.runs:
            tokens = slice(start, start + pairs * length)
            queries, keys, values = projected[tokens].view(pairs, length, 3, *self._heads).unbind(2)
            _attend(queries, keys, values, attended[tokens].view(pairs, length, *self._heads), self._block)
        return self._rest(attended, hidden)


class _LastLayer:
    def __init__(self, layer: Any, block: int, *, gelu: bool) -> None:
        attention = layer.attention.self
        self._heads = (attention.num_attention_heads, attention.attention_head_size)
        self._block = block
        self._query = PackedLinear([attention.query])
        self._project = PackedLinear([attention.key, attention.value])
        self._rest = _FeedForward(layer, gelu=gelu)

    def __call__(self, hidden: torch.Tensor, stream: Stream) -> torch.Tensor:
        first = hidden[stream.firsts]
        asked = self._query(first).view(-1, 1, *self._heads)
        projected = self._project(hidden)
        attended = torch.zeros_like(first)
        row = 0
        for start, pairs, length in stream.runs:
            rows = slice(row, row + pairs)
            keys, values = projected[start : start + pairs * length].view(pairs, length, 2, *self._heads).unbind(2)
            _attend(asked[rows], keys, values, attended[rows].view(pairs, 1, *self._heads), self._block)
            row += pairs
        return self._rest(attended, first)


def _attend(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, attended: torch.Tensor, block_weights: int
) -> None:
    """Write the attention of pairs of one length, in blocks of at most that many weights where a pair has no more.

    Queries and attended are (pairs, asked, heads, width), keys and values (pairs, tokens, heads, width).
    """
    pairs, asked, heads, width = queries.shape
    length = keys.shape[1]
    block = min(pairs, block_weights // (heads * asked * length))
    if block == 0:
        found = scaled_dot_product_attention(queries.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2))
        attended.copy_(found.transpose(1, 2))
        return
    weights = queries.new_empty((block * heads, asked, length), dtype=torch.float32)
    for start in range(0, pairs, block):
        some = slice(start, start + block)
        left, right, mixed = (_by_head(each[some]) for each in (queries, keys, values))
        here = weights[: len(left)]
        torch.baddbmm(here, left, right.transpose(1, 2), beta=0, alpha=width**-0.5, out=here)
        torch.softmax(here, -1, out=here)
        attended[some].copy_(torch.bmm(here, mixed).view(-1, heads, asked, width).transpose(1, 2))


def _by_head(rows: torch.Tensor) -> torch.Tensor:
    """Return (pairs, tokens, heads, width) as float32 (pairs * heads, tokens, width)."""
    return rows.transpose(1, 2).float().reshape(-1, rows.shape[1], rows.shape[3])

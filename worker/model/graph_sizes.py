"""The sizes of forward passes that CUDA graphs are kept for, and which of them a pass takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.model.flat_stream import Size

if TYPE_CHECKING:
    from collections.abc import Sequence

# A graph computes its whole size. In steps of this, at most 1,023 tokens of it are empty: that is less than what the
# launch of some hundred kernels costs. Above the last one the device takes longer for a pass than the host.
_STEP, _MOST = 1_024, 16_384
_TOKENS = (128, 256, 512, *range(_STEP, _MOST + 1, _STEP))
# A graph's longest pair cannot change. The attention kernel begins a block for every so many queries of it, in every
# pair and head, and those that find nothing to do still cost; so short pairs have graphs of their own.
_BLOCK, _LONGEST = 128, 512
# Room for pairs, one for so many tokens: titles have 25, whole products 80.
_SHORT_PAIR, _LONG_PAIR = 16, 32


def graph_sizes(longest: int, most: int) -> list[Size]:
    """Return the sizes for a model whose pairs have at most `longest` tokens, cheapest first; none above `most`."""
    kept = [tokens for tokens in _TOKENS if tokens <= most]
    short = [Size(tokens, tokens // _SHORT_PAIR, min(longest, _BLOCK)) for tokens in kept]
    long = [Size(tokens, tokens // _LONG_PAIR, min(longest, _LONGEST)) for tokens in kept if tokens > _BLOCK]
    return sorted(short + (long if longest > _BLOCK else []), key=lambda size: (size.tokens, size.longest))


def fitting(sizes: Sequence[Size], wanted: Size) -> Size | None:
    """Return the first of the sizes that has room; None where that would be mostly empty."""
    for size in sizes:
        if all(need <= have for need, have in zip(wanted, size, strict=True)):
            return size if size.tokens - wanted.tokens < _STEP else None
    return None

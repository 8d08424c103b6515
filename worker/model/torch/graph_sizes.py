"""The sizes of forward passes that CUDA graphs are kept for, and which of them a pass takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.model.torch.packed_batch import Size

if TYPE_CHECKING:
    from collections.abc import Sequence

# A graph computes its whole size. In steps of this, at most 1,023 tokens of it are empty: that is less than what the
# launch of some hundred kernels costs. The last one is what a batch has at most by default, so that a busy worker,
# whose host has other things to do, launches none kernel by kernel.
_STEP, _MOST = 1_024, 32_768
_TOKENS = (128, 256, 512, *range(_STEP, _MOST + 1, _STEP))
# Room for pairs, one for so many tokens: titles have 25.
_PAIR = 16


def graph_sizes(most: int) -> list[Size]:
    """Return the sizes, the smallest first; none above `most` tokens."""
    return [Size(tokens, tokens // _PAIR) for tokens in _TOKENS if tokens <= most]


def fitting(sizes: Sequence[Size], wanted: Size) -> Size | None:
    """Return the first of the sizes that has room; None where that would be mostly empty."""
    for size in sizes:
        if all(need <= have for need, have in zip(wanted, size, strict=True)):
            return size if size.tokens - wanted.tokens < _STEP else None
    return None

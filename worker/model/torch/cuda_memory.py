"""How many tokens a forward pass may have by the memory that a GPU has left."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from worker.model.rows import any_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.model.backend import PendingBatch
    from worker.model.rows import RaggedBatch

log = logging.getLogger(__name__)

# Of what is free: the allocator's blocks are never full, and cuBLAS wants some for itself.
_SHARE = 0.7
_TRIAL_TOKENS, _TRIAL_LENGTH = 4_096, 512


class HasPassTokens(Protocol):
    """A backend on a GPU whose forward passes take about `pass_tokens` tokens each."""

    pass_tokens: int

    def start(self, rows: RaggedBatch) -> PendingBatch:
        """Begin a batch."""


def bytes_per_token(backend: HasPassTokens, device: torch.device, positions: int) -> float:
    """Return what a token of a forward pass takes of the device's memory.

    It is measured with pairs of the model's longest, since padded attention takes more for those, and before there are
    graphs, which have their memory already.
    """
    length = min(positions, _TRIAL_LENGTH)
    pairs = max(1, min(backend.pass_tokens, _TRIAL_TOKENS) // length)
    rows = any_rows(np.full(pairs, length), vocabulary=2)  # every model has two ids
    backend.start(rows).finish()  # the first run allocates workspaces that stay
    held = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    backend.start(rows).finish()
    return (torch.cuda.max_memory_allocated(device) - held) / rows.tokens


def limit_tokens(backend: HasPassTokens, device: torch.device, per_token: float) -> None:
    """Lower the backend's `pass_tokens` to what fits into the device's memory as it is now."""
    backend.pass_tokens = min(room(device, per_token), backend.pass_tokens)
    free, total = torch.cuda.mem_get_info(device)
    facts = {"free_bytes": free, "total_bytes": total, "bytes_per_token": round(per_token)}
    log.info(
        "a forward pass may have %(tokens)d tokens",
        {"tokens": backend.pass_tokens},
        extra={"event": "memory_measured", **facts},
    )


@contextlib.contextmanager
def smaller_after(backend: HasPassTokens, tokens: int) -> Iterator[None]:
    """Let the passes after this one, of so many tokens, begin smaller where it runs out of memory.

    This one goes on in halves; those after it need not fail first.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        backend.pass_tokens = max(1, min(backend.pass_tokens, tokens // 2))
        raise


def room(device: torch.device, per_token: float) -> int:
    """Return how many tokens a forward pass may have by the memory that is free now."""
    torch.cuda.empty_cache()
    return tokens_that_fit(torch.cuda.mem_get_info(device)[0], per_token)


def tokens_that_fit(free: int, per_token: float) -> int:
    """Return how many tokens of so many bytes a forward pass may have where so many bytes are free; one at least."""
    return max(1, int(free * _SHARE / max(1.0, per_token)))

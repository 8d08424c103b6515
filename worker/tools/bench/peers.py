"""What else scores pairs: sentence-transformers, as its users call it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from worker.exits import Exit, StopError

if TYPE_CHECKING:
    from worker.model.options import ModelOptions

# Scores pairs of a query and a text; what it makes of them is left aside.
Peer = Callable[[Sequence[tuple[str, str]]], None]


def require_sentence_transformers() -> None:
    """Raise StopError(Exit.USAGE) where it is not installed."""
    if importlib.util.find_spec("sentence_transformers") is None:
        raise StopError(
            Exit.USAGE,
            "--against sentence-transformers: it is not installed; install it with: pip install 'rerank-worker[bench]'",
        )


def open_sentence_transformers(
    options: ModelOptions, *, device: str, max_length: int, dtype: str = "float32", batch_size: int = 32
) -> Peer:
    """Return what scores pairs with its CrossEncoder.predict, as it is by default, and at the same length."""
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(
        options.model,
        revision=options.revision,
        device=device,
        max_length=max_length,
        model_kwargs={"dtype": dtype},  # else that of the file, which may be float16, slow on a CPU
    )

    def score(pairs: Sequence[tuple[str, str]]) -> None:
        # It returns an array on the host, so that a device has finished by then.
        model.predict(list(pairs), batch_size=batch_size, show_progress_bar=False)

    return score

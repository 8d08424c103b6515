"""Cross-encoders of well-known shapes with random weights: they cost what trained ones cost, and mean nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

_NAMES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_VOCABULARY = 30_522
_POSITIONS = 512
SPECIAL_TOKENS = 3  # of a pair
WORDS = tuple(f"w{number}" for number in range(_VOCABULARY - len(_NAMES)))  # each is one token


class Shape(NamedTuple):
    """A BERT: so many layers, numbers a token, heads, and numbers inside of the feed-forward part."""

    name: str
    layers: int
    width: int
    heads: int
    inner: int

    def flops(self, lengths: np.ndarray, *, first_rows: bool) -> float:
        """Return the floating-point operations that pairs of these lengths need, without any padding.

        With `first_rows` the last layer computes only what the first token of each pair needs.
        """
        pairs, tokens, squares = len(lengths), int(lengths.sum()), int((lengths.astype(np.int64) ** 2).sum())
        square, feed = 2 * self.width**2, 4 * self.width * self.inner
        layer = tokens * (4 * square + feed) + 4 * self.width * squares
        last = tokens * 2 * square + pairs * (2 * square + feed) + 4 * self.width * tokens
        return (self.layers - 1) * layer + (last if first_rows else layer) + pairs * square


SHAPES = (
    Shape("minilm_l6", 6, 384, 12, 1536),
    Shape("minilm_l12", 12, 384, 12, 1536),
    Shape("bert_base", 12, 768, 12, 3072),
)


def save_random(shape: Shape, folder: Path) -> None:
    """Write a model of the shape into the folder, with a tokenizer that makes one token of each of WORDS."""
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    config = transformers.BertConfig(
        vocab_size=_VOCABULARY,
        num_labels=1,
        num_hidden_layers=shape.layers,
        hidden_size=shape.width,
        num_attention_heads=shape.heads,
        intermediate_size=shape.inner,
        max_position_embeddings=_POSITIONS,
    )
    torch.manual_seed(0)
    transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    vocabulary = {word: number for number, word in enumerate((*_NAMES, *WORDS))}
    transformers.BertTokenizer(vocab=vocabulary, model_max_length=_POSITIONS).save_pretrained(folder)

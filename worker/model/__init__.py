"""The cross-encoder: the only users of tokenizers and torch."""

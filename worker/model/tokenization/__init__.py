"""Texts to token ids: one pair for each candidate."""

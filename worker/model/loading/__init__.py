"""Finds a model, checks it and loads it."""

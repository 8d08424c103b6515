"""Looks at a model before anything is started for it: what a worker could not load ends a bench at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.model.loading.activation import find_activation
from worker.model.loading.source import find_source
from worker.model.loading.weights import load_config

if TYPE_CHECKING:
    from worker.model.options import ModelOptions


def check_model(options: ModelOptions) -> None:
    """Find the model and read its configuration, without its weights; a hub's model is downloaded meanwhile.

    Raises StopError where it is missing, incomplete or no one-label cross-encoder.
    """
    source = find_source(options.model, options.revision)
    find_activation(source.name.id, source.config)
    load_config(source)

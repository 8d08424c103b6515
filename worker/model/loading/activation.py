"""Looks up a model's score function by name; nothing that a configuration names is ever imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.events.ranking import ACTIVATIONS
from worker.model.loading.source import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

_CLASSES = {"Sigmoid": "sigmoid", "Identity": "identity", "Tanh": "tanh", "ReLU": "relu"}
_MODULES = ("torch.nn.modules.activation.", "torch.nn.modules.linear.", "torch.nn.")
_ALLOWED = {f"{module}{name}": short for module in _MODULES for name, short in _CLASSES.items()} | {
    name: name for name in ACTIVATIONS
}


def find_activation(model: str, config: Mapping[str, Any]) -> str:
    """Return the name in ranking.ACTIVATIONS of the function that makes a model's logit a score.

    The order is sentence-transformers' own (CrossEncoder.get_default_activation_fn):
    `sentence_transformers.activation_fn`, `sbert_ce_default_activation_function`, the sigmoid. Raises StopError for a
    name outside the allow-list, where sentence-transformers would warn and take the sigmoid: scores of another scale
    should not pass unseen.
    """
    section = config.get("sentence_transformers")
    named = section.get("activation_fn") if isinstance(section, dict) else None
    if named is None:
        named = config.get("sbert_ce_default_activation_function")
    if named is None:
        return "sigmoid"
    if not isinstance(named, str) or named not in _ALLOWED:
        raise refuse(
            model,
            f"config.json names the activation {named!r}; expected one of {', '.join(sorted(ACTIVATIONS))} or their "
            "torch.nn classes. Correct config.json in a copy of the folder.",
        )
    return _ALLOWED[named]

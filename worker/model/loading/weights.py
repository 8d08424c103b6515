"""Loads a sequence classifier's weights, all of them, and refuses whatever is not a one-label cross-encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.exits import ENDS
from worker.model.loading.source import Source, first_line, refuse

if TYPE_CHECKING:
    from worker.model.loading.device import Placement

_HEAD = "ForSequenceClassification"


def load_config(source: Source) -> Any:
    """Return the model's transformers configuration; raises StopError where it is not a one-label classifier's.

    Code that a repository brings along is never run: an unknown model type is an error.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification

    model = source.name.id
    named = source.config.get("architectures") or []
    if not any(str(name).endswith(_HEAD) for name in named):
        raise refuse(
            model,
            f"expected a cross-encoder, an architecture …{_HEAD}, got {', '.join(map(str, named)) or 'none'}. "
            "A generative model, or an encoder without a classification head, cannot score pairs.",
        )
    try:
        config = AutoConfig.from_pretrained(source.folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise refuse(model, f"its config.json is not one that transformers can use: {first_line(error)}") from error
    if type(config) not in AutoModelForSequenceClassification._model_mapping:  # noqa: SLF001 - the library's only list
        raise refuse(model, f"transformers has no sequence classifier for model type {config.model_type!r}.")
    if config.num_labels != 1:
        raise refuse(model, f"expected one label, a relevance, got {config.num_labels}.")
    return config


def load_weights(source: Source, config: Any, placement: Placement) -> Any:
    """Return the model in eval mode on its device; raises StopError unless every weight came from the files."""
    import torch
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging

    # A progress bar and a report of several lines are for notebooks; what matters is raised below.
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    model = source.name.id
    model_class = AutoModelForSequenceClassification._model_mapping[type(config)]  # noqa: SLF001
    try:
        loaded, report = model_class.from_pretrained(
            source.folder,
            config=config,
            dtype=getattr(torch, placement.dtype),
            # Named here, since a configuration may name a kernel to be downloaded.
            attn_implementation="sdpa" if model_class._supports_sdpa else "eager",  # noqa: SLF001
            local_files_only=True,
            trust_remote_code=False,
            weights_only=True,
            output_loading_info=True,
        )
    except ENDS:
        raise
    except BaseException as error:  # a library that is written in Rust may panic over a file
        raise refuse(model, f"its weights cannot be loaded: {first_line(error)}") from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise refuse(
            model,
            f"the weights lack {len(missing)} tensors of {model_class.__name__}, such as {missing[0]}: they would be "
            "random. Expected a trained cross-encoder.",
        )
    try:
        return loaded.eval().to(placement.device)
    except Exception as error:
        raise refuse(model, f"it does not fit on {placement.device}: {first_line(error)}") from error


def count_positions(model: Any, config: Any) -> int:
    """Return how many tokens a pair may have by the model's positions.

    In the RoBERTa family positions start after the padding id, so that many rows of the table hold no token.
    """
    import torch

    limits = [int(getattr(config, "max_position_embeddings", 0) or 0)]
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            first = 0 if module.padding_idx is None else module.padding_idx + 1
            limits.append(module.num_embeddings - first)
    return min((limit for limit in limits if limit > 0), default=512)

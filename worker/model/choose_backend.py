"""Chooses the backend that runs a model, and loads the model into it."""

from __future__ import annotations

import importlib.util
import logging
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from worker.exits import Exit, StopError
from worker.model.backend import Loaded
from worker.model.loading.device import find_device, has_matrix_unit, open_cuda, place
from worker.model.loading.source import refuse
from worker.model.loading.weights import count_positions, load_weights
from worker.model.openvino.proof import UnfitError
from worker.model.torch.packed_encoder import FAMILIES

if TYPE_CHECKING:
    from worker.model.loading.source import Source
    from worker.model.options import ModelOptions
    from worker.model.tokenization.tokenizer import PairTokenizer

log = logging.getLogger(__name__)


class Plan(NamedTuple):
    """Which backend is tried first on which device; `or_torch` says that torch may take its place."""

    backend: Literal["torch", "openvino"]
    device: str
    or_torch: bool = False


def plan(options: ModelOptions, family: str) -> Plan:
    """Decide by what was asked for, the model's family and what is here.

    Raises StopError for what does not go together.
    """
    if options.backend == "openvino":
        _check_openvino(options)
        return Plan("openvino", "cpu")
    device = find_device(options.device)
    if options.backend == "auto" and device == "cpu" and options.dtype != "float16" and _is_faster(family):
        return Plan("openvino", device, or_torch=True)
    return Plan("torch", device)


def _is_faster(family: str) -> bool:
    """Return whether OpenVINO is here and likely to be faster than torch.

    Where torch needs no padding it is the faster one; docs/performance.md has the figures. Where it must pad, OpenVINO
    was measured at 1.5 times its rate on a processor with AMX, and at 0.8 times without.
    """
    return _is_installed() and family not in FAMILIES and has_matrix_unit()


def _check_openvino(options: ModelOptions) -> None:
    if options.device not in {"auto", "cpu"}:
        raise StopError(
            Exit.USAGE,
            f"device: the backend openvino runs on the CPU, got {options.device!r}. Set device cpu, or backend torch.",
        )
    if options.dtype == "float16":
        raise StopError(
            Exit.USAGE,
            "dtype: the backend openvino computes in float32 or bfloat16, got 'float16'. Set one of them, or backend "
            "torch.",
        )
    if options.compile:
        raise StopError(
            Exit.USAGE,
            "compile: the backend openvino runs no code that torch compiles. Set no-compile, or backend torch.",
        )
    if not _is_installed():
        raise StopError(
            Exit.USAGE,
            "backend: openvino is not installed. Install it with pip install 'rerank-worker[openvino]', or set backend "
            "torch.",
        )


def _is_installed() -> bool:
    """Return whether the extra `openvino` is installed; nothing is imported."""
    return importlib.util.find_spec("openvino") is not None


def load_backend(chosen: Plan, options: ModelOptions, source: Source, config: Any, tokenizer: PairTokenizer) -> Loaded:
    """Load the model as planned; raises StopError where it cannot be."""
    if chosen.backend == "torch":
        return _load_torch(chosen.device, options, source, config, tokenizer)
    from worker.model.openvino.loading import load_openvino

    try:
        return load_openvino(options, source, config, tokenizer)
    except UnfitError as unfit:
        if not chosen.or_torch:
            raise refuse(source.name.id, f"the backend openvino cannot run it, set backend torch: {unfit}") from unfit
        log.warning(
            "torch runs the model, since the backend openvino cannot: %(reason)s",
            {"reason": unfit},
            extra={"event": "other_backend"},
        )
    return _load_torch(chosen.device, options, source, config, tokenizer)


def _load_torch(device: str, options: ModelOptions, source: Source, config: Any, tokenizer: PairTokenizer) -> Loaded:
    from worker.model.torch.choose import make_backend

    placement = place(device, options.dtype)
    if placement.device != "cpu":
        open_cuda(placement.device, tf32=options.tf32)
    model = load_weights(source, config, placement)
    positions = count_positions(model, config)
    backend = make_backend(model, tokenizer, positions, options)
    return Loaded(backend, placement, positions)

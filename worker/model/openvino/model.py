"""Converts a transformers classifier to OpenVINO, and compiles what was converted for the CPU."""

from __future__ import annotations

import functools
import sys
import warnings
from typing import TYPE_CHECKING, Any, cast

import torch

from worker.model.openvino.cls_layer import skip_other_rows
from worker.model.torch.packed_encoder import is_flat

if TYPE_CHECKING:
    from types import ModuleType

_ATTENTION = "rerank_worker_openvino"
_NAMES = ("input_ids", "attention_mask", "token_type_ids")


def library() -> Any:
    """Return the openvino module, without its telemetry.

    As soon as it is imported it would send events to an analytics service on the internet; None makes Python say that
    the package which sends them is not there, which the library is prepared for.
    """
    sys.modules.setdefault("openvino_telemetry", cast("ModuleType", None))
    import openvino

    return openvino


@functools.cache
def core() -> Any:
    """Return this process's openvino.Core, which is never freed.

    It lays a stack of its own under the thread's signal handlers and on its end puts back the one before: of two that
    end in the order in which they began, the later puts back a freed stack, and the next signal ends the process.
    """
    return library().Core()


class _Logits(torch.nn.Module):
    """A classifier that takes what the backend gives it and returns its logits (rows,) alone."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        return self.model(input_ids=input_ids, attention_mask=attention_mask, **types).logits[:, 0]


def convert(model: Any, *, token_types: bool) -> Any:
    """Return an openvino.Model of any number and length of rows; whatever the library raises comes through.

    It shares its weights with the torch model, which lives on as long as it does, and is of no other use afterwards.
    """
    openvino = library()
    if is_flat(model):
        skip_other_rows(model)
    if model.config._attn_implementation == "sdpa":  # noqa: SLF001 - what load_weights has set
        _mask_with_numbers(model)
    names = _NAMES if token_types else _NAMES[:2]
    # Two rows, one of them padded; what a trace of them takes for a constant is found by the proof.
    mask = torch.tensor([[1] * 8, [1] * 5 + [0] * 3])
    example = {"input_ids": mask.clone(), "attention_mask": mask, "token_type_ids": torch.zeros_like(mask)}
    anything = openvino.PartialShape([-1, -1])
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # tracing is deprecated, and warns of every branch that it cannot follow
        return openvino.convert_model(
            _Logits(model),
            example_input={name: example[name] for name in names},
            input=[(name, anything, openvino.Type.i64) for name in names],
        )


def _mask_with_numbers(model: Any) -> None:
    """Make the model mask attention with the lowest float instead of minus infinity.

    Under a local window a token of padding may have no other token to attend to. torch's attention gives zeros for it,
    OpenVINO's not a number, which a mean over the tokens spreads over its row.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(_ATTENTION, sdpa_attention_forward)
    AttentionMaskInterface.register(_ATTENTION, eager_mask)
    model.set_attn_implementation(_ATTENTION)


def has_bfloat16() -> bool:
    """Return whether OpenVINO multiplies bfloat16 on this processor; it would take float32 without a word."""
    return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def compile_model(model: Any, dtype: str, threads: int | None) -> Any:
    """Return an openvino.CompiledModel that computes in "float32" or "bfloat16", one forward pass at a time.

    One stream of all threads: two streams of half the threads, with two groups under way, had at best the same rate on
    two cores, and would leave a lone pair half of them.
    """
    settings = {
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[dtype],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        # Pinned, the workers of one machine would all wait for the same cores.
        "ENABLE_CPU_PINNING": False,
    }
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    return core().compile_model(model, "CPU", settings)

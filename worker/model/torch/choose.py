"""Chooses between torch's two ways to run a model: without padding where that is proven, else padded."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from worker.exits import Exit, StopError
from worker.model.loading.source import first_line
from worker.model.rows import AS_LONG_AS_ROWS, any_rows, widths_for
from worker.model.torch.attention_cpu import BlockAttention
from worker.model.torch.attention_cuda import unfit
from worker.model.torch.cuda_graphs import keep_graphs
from worker.model.torch.cuda_kernels import cuda_kernels
from worker.model.torch.cuda_memory import bytes_per_token, limit_tokens, room
from worker.model.torch.graph_sizes import graph_sizes
from worker.model.torch.packed_cpu import TorchPackedCpu
from worker.model.torch.packed_cuda import TorchPackedCuda
from worker.model.torch.packed_encoder import PackedEncoder, is_flat
from worker.model.torch.padded import CUDA_GROUP_TOKENS, TorchPadded
from worker.model.torch.pass_threads import PassThreads

if TYPE_CHECKING:
    from worker.model.backend import Backend
    from worker.model.options import ModelOptions
    from worker.model.tokenization.tokenizer import PairTokenizer

log = logging.getLogger(__name__)

# What the two ways may differ by in a logit, and in parts of it.
_TOLERANCES = {"float32": 1e-4, "bfloat16": 1e-1, "float16": 2e-2}
_PROOF_LENGTHS = (9, 24, 9, 16, 5)


def make_backend(model: Any, tokenizer: PairTokenizer, positions: int, options: ModelOptions) -> Backend:
    """Return the faster backend of those that give the model's own logits; a pair has at most `positions` tokens.

    Where the options say so it is the one that pads, whatever is faster; and without CUDA graphs.
    """
    backend = _choose(model, tokenizer, positions, options)
    if options.compile and isinstance(backend, TorchPadded):
        log.warning("not compiled: the model's batches are padded", extra={"event": "not_compiled"})
    device = torch.device(model.device)
    if device.type == "cpu" or isinstance(backend, TorchPackedCpu):
        return backend
    per_token = bytes_per_token(backend, device, positions)
    if options.cuda_graphs and isinstance(backend, TorchPackedCuda):
        # The largest takes half of the room: all share its memory, which passes without a graph cannot have.
        sizes = graph_sizes(min(backend.pass_tokens, room(device, per_token) // 2))
        keep_graphs(backend, sizes, int(model.config.vocab_size), positions, _TOLERANCES[_dtype(model)])
    limit_tokens(backend, device, per_token)
    return backend


def _choose(
    model: Any, tokenizer: PairTokenizer, positions: int, options: ModelOptions
) -> TorchPadded | TorchPackedCpu | TorchPackedCuda:
    dtype, device = _dtype(model), torch.device(model.device)
    threads = PassThreads(torch.get_num_threads()) if device.type == "cpu" else None
    padded = TorchPadded(
        model,
        pad_id=tokenizer.pad_id,
        token_types=tokenizer.token_types,
        group_tokens=options.group_tokens,
        widths=widths_for(dtype, positions) if device.type == "cpu" else AS_LONG_AS_ROWS,
        threads=threads,
    )
    if options.pad:
        return padded
    if problem := _unfit(model, device):
        log.info("batches are padded: %(reason)s", {"reason": problem}, extra={"event": "not_flat"})
        return padded
    flat = _make_flat(model, device, threads, options, token_types=tokenizer.token_types)
    if problem := _refuted(padded, flat, int(model.config.vocab_size), _TOLERANCES[dtype]):
        log.warning(
            "this model %(reason)s without padding, so its batches are padded: it is slower",
            {"reason": problem},
            extra={"event": "padded"},
        )
        return padded
    model.base_model.encoder = None  # its weights are in the flat encoder now, in another layout
    return flat


def _make_flat(
    model: Any, device: torch.device, threads: PassThreads | None, options: ModelOptions, *, token_types: bool
) -> TorchPackedCpu | TorchPackedCuda:
    flat: TorchPackedCpu | TorchPackedCuda
    if device.type == "cpu":
        encoder = PackedEncoder(model, BlockAttention(model.dtype))
        flat = TorchPackedCpu(encoder, token_types=token_types, pass_tokens=options.group_tokens, threads=threads)
    else:
        attention, row_wise = cuda_kernels(device, _head_width(model))
        encoder = PackedEncoder(model, attention, row_wise)
        tokens = options.group_tokens or CUDA_GROUP_TOKENS
        flat = TorchPackedCuda(encoder, device, token_types=token_types, pass_tokens=tokens)
    if options.compile:
        if threads is not None:
            threads.stop()  # torch compiles for as many threads as the caller has
        encoder.compile()
        _run_compiled(flat, int(model.config.vocab_size))
    return flat


def _run_compiled(flat: TorchPackedCpu | TorchPackedCuda, vocabulary: int) -> None:
    """Let torch compile now what it compiles at the first passes: one of several rows, and one of a single row."""
    began_s = time.perf_counter()
    rows = any_rows(np.array(_PROOF_LENGTHS), vocabulary)
    try:
        for chosen in (np.arange(len(rows)), np.array([0])):
            flat.forward(rows, chosen)
    except Exception as error:
        raise StopError(
            Exit.USAGE,
            f"compile: torch cannot compile the model here: {first_line(error)}. It needs a C++ compiler (g++) on a "
            "CPU and triton on CUDA; set no-compile where it is missing.",
        ) from error
    log.info(
        "torch has compiled the model", extra={"event": "compiled", "seconds": round(time.perf_counter() - began_s, 3)}
    )


def _dtype(model: Any) -> str:
    return str(model.dtype).removeprefix("torch.")


def _unfit(model: Any, device: torch.device) -> str | None:
    """Return why a model cannot run without padding; None where it is worth the proof."""
    if not is_flat(model):
        return f"a model of type {model.config.model_type} with this configuration has layers of its own"
    if device.type != "cpu":
        return unfit(model.dtype, _head_width(model), torch.cuda.get_device_capability(device))
    return "float16 on a CPU is not proven" if model.dtype == torch.float16 else None


def _head_width(model: Any) -> int:
    return int(model.base_model.encoder.layer[0].attention.self.attention_head_size)


def _refuted(padded: Backend, flat: Backend, vocabulary: int, tolerance: float) -> str | None:
    """Return what is wrong with the way without padding; None where its logits are those of the padded one."""
    rows = any_rows(np.array(_PROOF_LENGTHS), vocabulary)
    expected, found = (backend.start(rows).finish() for backend in (padded, flat))
    if found.failures and not expected.failures:
        return f"fails ({next(iter(found.failures.values()))!r})"
    near = np.allclose(found.logits, expected.logits, rtol=tolerance, atol=tolerance, equal_nan=True)
    return None if near else "gives other logits"

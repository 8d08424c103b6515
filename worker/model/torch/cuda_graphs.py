"""CUDA graphs: forward passes of set sizes that the host launches as one, not kernel by kernel."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch

from worker.model.rows import any_rows
from worker.model.torch.cuda_work import staging
from worker.model.torch.graph_sizes import fitting
from worker.model.torch.packed_batch import Laid, Size, read, write
from worker.model.torch.work import is_sticky

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.model.rows import RaggedBatch
    from worker.model.torch.packed_batch import PackedBatch
    from worker.model.torch.packed_encoder import PackedEncoder

log = logging.getLogger(__name__)


class GraphedBackend(Protocol):
    """A backend on a GPU whose passes can be recorded, and which keeps the `graphs`."""

    encoder: PackedEncoder
    device: torch.device
    graphs: Graphs | None

    def lay(self, rows: RaggedBatch, chosen: np.ndarray) -> Laid:
        """Lay the chosen rows end to end."""

    def packed(self, laid: Laid) -> PackedBatch:
        """Return what is laid, on the device."""


class Kept(NamedTuple):
    """A pass that `replay` runs again, on what its inputs hold then; `logits` is where they are after it."""

    replay: Callable[[], None]
    logits: torch.Tensor


class Graphs:
    """Forward passes of a few sizes, recorded by `keep`. They share their inputs, since one runs after the other."""

    def __init__(
        self, backend: GraphedBackend, sizes: Sequence[Size], keep: Callable[[Callable[[], torch.Tensor]], Kept]
    ) -> None:
        self._sizes = sizes
        self._device = backend.device
        self._kept: dict[Size, Kept] = {}
        with torch.inference_mode():
            most = max((sum(size.parts) for size in sizes), default=0)
            self._numbers = torch.zeros(most, dtype=torch.int32, device=self._device)
            for size in reversed(sizes):  # the smaller ones find room in the memory of the largest
                packed = read(self._numbers[: sum(size.parts)], size)
                self._kept[size] = keep(functools.partial(backend.encoder, packed))

    def fitting(self, wanted: Size) -> Size | None:
        """Return the size of the graph that a pass of this size takes; None where it takes none."""
        return fitting(self._sizes, wanted)

    def run(self, laid: Laid, size: Size) -> torch.Tensor:
        """Return the logits of what is laid, float32 (rows,), which has room in the size.

        Everything is in the device's queue in this order, so neither inputs nor logits of one pass are overwritten
        while another needs them.
        """
        staged = staging(sum(size.parts), self._device)
        write(laid, size, staged.numpy())
        self._numbers[: len(staged)].copy_(staged, non_blocking=True)
        replay, logits = self._kept[size]
        replay()
        return logits[: len(laid.cls_index)].clone()

    def refuted(self, backend: GraphedBackend, vocabulary: int, positions: int, tolerance: float) -> str | None:
        """Return what is wrong with a graph; None where all give the logits that the model gives without them.

        Pairs have at most `positions` tokens.
        """
        for size in self._sizes:
            lengths = np.minimum([size.tokens // 2, 9, 5], positions)
            laid = backend.lay(any_rows(lengths, vocabulary), np.arange(len(lengths)))
            with torch.inference_mode():
                expected, found = backend.encoder(backend.packed(laid)), self.run(laid, size)
            if not torch.allclose(found, expected, rtol=tolerance, atol=tolerance):
                return f"a graph of {size.tokens} tokens gives other logits"
        return None


class Recorder:
    """Makes graphs of passes on a GPU, which share their memory."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __call__(self, forward: Callable[[], torch.Tensor]) -> Kept:
        """Run the pass once and record it."""
        before = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(before)
        # torch.cuda.graph does not go back to the stream of before where a recording fails; this does.
        with torch.cuda.stream(self._stream):
            forward()  # loads kernels, which a recording must not
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                    logits = forward()
            except Exception:
                # Some releases of torch (pytorch/pytorch#180395) leave the allocator in the middle of the recording,
                # and to free what it has cached would then end the process.
                with contextlib.suppress(RuntimeError):
                    torch._C._cuda_endAllocateToPool(self._device.index, self._pool)  # noqa: SLF001
                raise
        before.wait_stream(self._stream)
        return Kept(graph.replay, logits)


def keep_graphs(
    backend: GraphedBackend, sizes: Sequence[Size], vocabulary: int, positions: int, tolerance: float
) -> None:
    """Give the backend graphs of these sizes where they can be recorded, and are proved; else say why not."""
    began_s = time.perf_counter()
    free = torch.cuda.mem_get_info(backend.device)[0]
    problem, graphs = _record(backend, sizes, vocabulary, positions, tolerance)
    if problem:
        log.warning(
            "no CUDA graphs, so small batches take longer: %(reason)s",
            {"reason": problem},
            extra={"event": "no_graphs"},
        )
        return
    backend.graphs = graphs
    taken = free - torch.cuda.mem_get_info(backend.device)[0]
    log.info(
        "%(graphs)d CUDA graphs",
        {"graphs": len(sizes)},
        extra={"event": "graphs_recorded", "seconds": round(time.perf_counter() - began_s, 3), "bytes": taken},
    )


def _record(
    backend: GraphedBackend, sizes: Sequence[Size], vocabulary: int, positions: int, tolerance: float
) -> tuple[str | None, Graphs | None]:
    """Return what is wrong, and the graphs."""
    if not backend.encoder.any_lengths:
        return "torch's own attention is launched anew for pairs of other lengths", None
    try:
        with torch.cuda.device(backend.device):
            graphs = Graphs(backend, sizes, Recorder(backend.device))
            return graphs.refuted(backend, vocabulary, positions, tolerance), graphs
    except Exception as error:
        if is_sticky(error):
            raise
        return f"recording fails ({error!r})", None

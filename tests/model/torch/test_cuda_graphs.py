"""A pass in a graph, which has a set size, gives the logits of padded batches.

On the CPU what records a graph is a stand-in, which runs the same forward again on the same inputs, as a graph does.
What needs CUDA is marked so, at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tests.model.conftest import FLAT, load
from tests.model.torch.test_packed_cuda_passes import rows_of_lengths
from worker.model.torch.cuda_graphs import Graphs, Kept, Recorder
from worker.model.torch.graph_sizes import graph_sizes
from worker.model.torch.packed_cuda import TorchPackedCuda

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from worker.model.backend import Backend
    from worker.model.torch.packed_batch import Size

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
SIZES = graph_sizes(32_768)
# Enough of 16 tokens to fill every graph, and pairs of all lengths.
ROWS = rows_of_lengths(*([16] * 2_048 + list(range(1, 47))))
OF_16, MIXED = np.arange(2_048), np.arange(2_048, 2_094)


def again(forward: Callable[[], torch.Tensor]) -> Kept:
    """Keep a pass as a graph does: its inputs and its logits stay where they are."""
    logits = forward()

    def replay() -> None:
        logits.copy_(forward())

    return Kept(replay, logits)


def varlen(folder: Path) -> TorchPackedCuda:
    backend = load(folder)._backend
    assert isinstance(backend, TorchPackedCuda)
    return backend


def _padded(folder: Path) -> np.ndarray:
    padded: Backend = load(folder, pad=True)._backend
    logits = padded.start(ROWS).finish().logits
    assert np.ptp(logits) > 0.1
    return logits


def _full(size: Size) -> np.ndarray:
    """Return rows that leave no token and no pair of the size empty."""
    return OF_16[: size.pairs]


@pytest.mark.usefixtures("with_graphs")
@pytest.mark.parametrize("family", FLAT)
def test_every_size_gives_the_logits_of_padded_batches(family: str, make_family: Callable[[str], Path]) -> None:
    backend, expected = varlen(make_family(family)), _padded(make_family(family))
    sizes = SIZES if family == "bert" else SIZES[::5]
    graphs = Graphs(backend, sizes, again)
    for size in sizes:
        for chosen in (MIXED[-1:], MIXED[:4], _full(size)[1:], _full(size)):
            laid = backend.lay(ROWS, chosen)
            if laid.size.tokens <= size.tokens:
                with torch.inference_mode():
                    found = graphs.run(laid, size).numpy()
                np.testing.assert_allclose(found, expected[chosen], rtol=1e-5, atol=1e-5, err_msg=str(size))


@pytest.mark.usefixtures("with_graphs")
def test_a_batch_goes_through_graphs_and_without_where_none_has_room(bert: Path) -> None:
    backend, expected = varlen(bert), _padded(bert)
    backend.pass_tokens = 3_000
    backend.graphs = Graphs(backend, graph_sizes(2_048), again)
    assert backend.computed(ROWS, OF_16[:128]) == 2_048
    assert backend.computed(ROWS, OF_16[:129]) == 129 * 16
    assert backend.computed(ROWS, OF_16[:127]) == 2_048
    scored = backend.start(ROWS).finish()
    np.testing.assert_allclose(scored.logits, expected, rtol=1e-5, atol=1e-5)
    backend.pass_tokens = 1_900
    scored = backend.start(ROWS).finish()
    np.testing.assert_allclose(scored.logits, expected, rtol=1e-5, atol=1e-5)
    assert scored.padding == sum(backend.computed(ROWS, chosen) for chosen in backend.groups(ROWS)) - ROWS.tokens > 0


@pytest.mark.usefixtures("with_graphs")
def test_the_next_pass_of_a_graph_leaves_the_logits_of_the_last_alone(bert: Path) -> None:
    backend = varlen(bert)
    graphs = Graphs(backend, SIZES[:1], again)
    with torch.inference_mode():
        first = graphs.run(backend.lay(ROWS, MIXED[:4]), SIZES[0])
        before = first.clone()
        second = graphs.run(backend.lay(ROWS, MIXED[4:8]), SIZES[0])
    assert torch.equal(first, before)
    assert not torch.equal(first, second)


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("family", FLAT)
def test_on_a_gpu_every_graph_gives_the_logits_of_the_same_pass_without(
    family: str, make_family: Callable[[str], Path]
) -> None:
    backend = load(make_family(family), device="cuda", dtype="float16")._backend
    assert isinstance(backend, TorchPackedCuda)
    assert backend.graphs is not None
    for size in SIZES:
        for chosen in (MIXED[-1:], MIXED[:4], _full(size)):
            laid = backend.lay(ROWS, chosen)
            with torch.inference_mode():
                found, expected = backend.graphs.run(laid, size), backend.encoder(backend.packed(laid))
            torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)


@pytest.mark.gpu
@needs_cuda
def test_on_a_gpu_batches_that_follow_each_other_through_one_graph_keep_their_logits(bert: Path) -> None:
    with_graphs, without = (
        load(bert, device="cuda", dtype="float16", cuda_graphs=graphs)._backend for graphs in (True, False)
    )
    batches = [rows_of_lengths(*lengths) for lengths in ([5, 9], [9, 5, 40], [7], [46] * 3)]
    expected = [without.start(batch).finish().logits for batch in batches]
    works = [with_graphs.start(batch) for batch in batches]
    for work, logits in zip(works, expected, strict=True):
        scored = work.finish()
        assert scored.padding > 0
        np.testing.assert_allclose(scored.logits, logits, rtol=1e-2, atol=1e-2)


@pytest.mark.gpu
@needs_cuda
def test_on_a_gpu_a_recording_that_fails_leaves_a_device_that_works() -> None:
    device = torch.device("cuda:0")
    numbers = torch.ones(3, device=device)
    before = torch.cuda.current_stream(device)

    def waits() -> torch.Tensor:
        return numbers * float(numbers.sum())

    with pytest.raises(RuntimeError):
        Recorder(device)(waits)
    assert torch.cuda.current_stream(device) == before
    torch.cuda.empty_cache()
    assert waits().tolist() == [3, 3, 3]
    recorded = Recorder(device)(lambda: numbers * 2)
    numbers.fill_(4)
    recorded.replay()
    assert recorded.logits.tolist() == [8, 8, 8]

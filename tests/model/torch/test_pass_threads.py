"""Passes side by side give what one after the other give, and keep all threads at work to the end of a batch."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.model.conftest import FLAT, load
from worker.model.rows import AS_LONG_AS_ROWS, any_rows, even_groups, groups_of
from worker.model.torch.packed_cpu import TorchPackedCpu
from worker.model.torch.pass_threads import PassThreads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.model.torch.packed_batch import PackedBatch

TWO, LONG = 2, st.lists(st.integers(1, 60), min_size=1, max_size=200)
PADDED = ("distilbert", "modernbert")


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Threads:
    """An encoder whose logit is a pair's first id, and which says on which threads it ran, and on how many each."""

    padding_position = None
    dtype = torch.float32

    def __init__(self, bad: int = -1) -> None:
        self.bad = bad
        self.ran: list[tuple[str, int]] = []

    def __call__(self, packed: PackedBatch) -> torch.Tensor:
        self.ran.append((threading.current_thread().name, torch.get_num_threads()))
        first = packed.ids[packed.cls_index]
        if (first == self.bad).any():
            raise ValueError("bad pair")
        return first.float()


def _flat(encoder: Threads, pass_tokens: int = 10_000) -> TorchPackedCpu:
    stand_in: Any = encoder
    return TorchPackedCpu(stand_in, token_types=True, pass_tokens=pass_tokens, threads=PassThreads(TWO))


@pytest.mark.parametrize("family", [*FLAT, *PADDED])
def test_logits_are_those_of_one_thread(family: str, make_family: Any) -> None:
    folder = make_family(family)
    rows = any_rows(np.random.default_rng(1).integers(3, 48, 200), 50)
    one, two = (load(folder, cpu_threads=threads)._backend for threads in (1, TWO))
    assert two.load_of(rows.lengths).passes == -(-one.load_of(rows.lengths).passes // TWO)
    expected = one.start(rows).finish()
    for _ in range(5):
        found = two.start(rows).finish()
        assert not found.failures
        np.testing.assert_allclose(found.logits, expected.logits, rtol=1e-4, atol=1e-5)


def test_each_pass_of_a_large_batch_has_a_thread_of_its_own() -> None:
    encoder = Threads()
    rows = any_rows(np.full(64, 20), 50)
    assert _flat(encoder).start(rows).finish().logits.tolist() == rows.ids[rows.starts].tolist()
    assert [threads for _, threads in encoder.ran] == [1, 1]
    assert all(name.startswith("pass") for name, _ in encoder.ran)


def test_there_is_room_as_soon_as_a_thread_has_nothing_to_do() -> None:
    first, second = threading.Event(), threading.Event()

    class Held(Threads):
        def __call__(self, packed: PackedBatch) -> torch.Tensor:
            (first if len(packed.ids) > 1_000 else second).wait(30)
            return super().__call__(packed)

    flat = _flat(Held())
    work = flat.start(any_rows(np.array([1_100, 600]), 50))
    second.set()
    assert work.wait_for_room()
    assert not work.is_done()
    first.set()
    assert not work.finish().failures
    assert work.is_done()
    assert work.wait_for_room()
    assert not flat.start(any_rows(np.array([100]), 50)).wait_for_room()


def test_a_small_batch_has_all_threads_for_one_pass() -> None:
    encoder = Threads()
    _flat(encoder).start(any_rows(np.full(16, 20), 50)).finish()
    assert encoder.ran == [(threading.current_thread().name, TWO)]


def test_threads_that_come_later_compute_on_all() -> None:
    PassThreads(TWO)
    found: list[int] = []
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert found == [TWO]


def test_without_them_passes_follow_each_other() -> None:
    threads = PassThreads(TWO)
    threads.stop()
    assert threads.at_once(100_000) == 1
    assert PassThreads(1).at_once(100_000) == 1
    with pytest.raises(ValueError, match="one"):
        PassThreads(1).submit(lambda *_: None, any_rows(np.array([1]), 5), np.array([0]))


def test_a_pair_that_fails_in_one_of_them_is_isolated() -> None:
    lengths = np.full(64, 20)
    rows = any_rows(lengths, 1_000_000)
    bad = int(rows.ids[rows.starts[5]])
    scored = _flat(Threads(bad)).start(rows).finish()
    assert scored.failures.keys() == {5}
    assert np.flatnonzero(np.isnan(scored.logits)).tolist() == [5]


@given(LONG, st.integers(200, 3_000))
def test_the_passes_of_a_large_batch_are_as_many_for_each_thread(lengths: list[int], most: int) -> None:
    rows, flat = any_rows(np.array(lengths), 50), _flat(Threads(), most)
    passes = list(flat.groups(rows))
    assert sorted(row for chosen in passes for row in chosen.tolist()) == list(range(len(lengths)))
    assert all(rows.lengths[chosen].sum() < most + rows.lengths.max() for chosen in passes)
    if sum(lengths) >= 512:
        assert len(passes) == TWO * flat.load_of(rows.lengths).passes


@given(LONG, st.integers(60, 2_000), st.integers(1, 5))
def test_groups_that_are_padded_come_out_even(lengths: list[int], limit: int, at_once: int) -> None:
    rows = np.array(lengths)
    groups = even_groups(rows, limit, AS_LONG_AS_ROWS, at_once=at_once)
    assert sorted(row for chosen in groups for row in chosen.tolist()) == list(range(len(lengths)))
    alone = len(list(groups_of(rows, limit)))
    assert len(groups) <= -(-alone // at_once) * at_once

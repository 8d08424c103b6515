"""A compiled model gives the same logits, is compiled a few times only, and without a compiler one line says so."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import torch._inductor.config as compiler
from torch._dynamo.utils import counters

from tests.model.conftest import load
from tests.model.torch.test_packed_cuda_passes import rows_of_lengths
from worker.exits import Exit, StopError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++, which torch's compiler uses"),
    pytest.mark.timeout(900),  # on a busy machine g++ takes its time
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch's compiler has some of its own
]


@pytest.fixture(autouse=True)
def _as_at_first() -> Iterator[None]:
    """Forget what was compiled before."""
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def test_logits_are_the_same_and_no_number_of_tokens_is_compiled_for_itself(
    bert: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain: Any = load(bert)._backend
    with caplog.at_level(logging.INFO):
        compiled: Any = load(bert, compile=True)._backend
    assert "torch has compiled the model" in caplog.text
    assert counters["stats"]["unique_graphs"] == 2
    for lengths in ([1], [46], [7] * 30, [40, 3], list(range(1, 47)), [16] * 8):
        rows = rows_of_lengths(*lengths)
        found, expected = (backend.start(rows).finish() for backend in (compiled, plain))
        assert found.failures == {}
        np.testing.assert_allclose(found.logits, expected.logits, rtol=1e-5, atol=1e-5)
    assert counters["stats"]["unique_graphs"] == 2


def test_a_model_whose_batches_are_padded_is_not_compiled_and_the_log_says_so(
    make_family: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    load(make_family("distilbert"), compile=True)
    assert "not compiled: the model's batches are padded" in caplog.text
    assert counters["stats"]["unique_graphs"] == 0


def test_without_a_compiler_one_line_says_what_is_missing(bert: Path) -> None:
    missing: dict[str, Any] = {"cpp.cxx": ("/nowhere/g++",), "force_disable_caches": True}
    with (
        compiler.patch(missing),
        pytest.raises(StopError, match=r"compile: .* needs a C\+\+ compiler") as stopped,
    ):
        load(bert, compile=True)
    assert stopped.value.code is Exit.USAGE

"""Tiny models, made once a session, and the reference that their scores are held against."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers

from tests.model import tiny
from tests.model.torch import varlen_emulation
from tests.support.make_events import tracked_offset
from worker.flow.job import Job, Pairs, Scoring, Slice
from worker.model.cross_encoder import CrossEncoder, load_model
from worker.model.options import ModelOptions
from worker.model.torch import choose as torch_backend
from worker.model.torch.attention_cuda import PackedAttention
from worker.model.torch.packed_cuda import TorchPackedCuda
from worker.model.torch.packed_encoder import PackedEncoder
from worker.records import Partition, Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.model.torch.packed_encoder import Attention
    from worker.model.torch.pass_threads import PassThreads
    from worker.model.torch.row_wise import RowWise

# Without a GPU Triton runs its kernels step by step on the CPU; it reads this when it is imported.
if not Path("/dev/nvidiactl").exists():
    os.environ["TRITON_INTERPRET"] = "1"

FLAT = ("bert", "electra", "roberta", "xlm-roberta")  # what runs without padding


@pytest.fixture(scope="session")
def make_family(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a tiny model of a family; it is made once, and no test writes into it."""
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    made: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in made:
            made[family] = tiny.save_family(family, tmp_path_factory.mktemp(family))
        return made[family]

    return make


@pytest.fixture(scope="session", params=tiny.FAMILIES)
def folder(request: pytest.FixtureRequest, make_family: Callable[[str], Path]) -> Path:
    """A tiny model's folder, of each family in turn."""
    return make_family(request.param)


@pytest.fixture(scope="session")
def bert(make_family: Callable[[str], Path]) -> Path:
    """A tiny BERT's folder, for what does not depend on the family."""
    return make_family("bert")


@pytest.fixture
def as_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let models on the CPU take the way of those on CUDA, with an emulation of torch's kernel for attention."""
    go_the_way_of_cuda(monkeypatch, lambda: PackedAttention(varlen_emulation.varlen_attn))


@pytest.fixture
def with_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with an emulation of the attention that graphs are kept for."""
    go_the_way_of_cuda(monkeypatch, varlen_emulation.ByPairs)


def go_the_way_of_cuda(
    monkeypatch: pytest.MonkeyPatch, attention: Callable[[], Attention], row_wise: RowWise | None = None
) -> None:
    """Let models on the CPU take the way of those on CUDA."""

    def varlen(
        model: Any, *, token_types: bool, pass_tokens: int | None, threads: PassThreads | None
    ) -> TorchPackedCuda:
        del threads  # a GPU has none
        encoder = PackedEncoder(model, attention(), row_wise)
        return TorchPackedCuda(encoder, torch.device("cpu"), token_types=token_types, pass_tokens=pass_tokens or 700)

    monkeypatch.setattr(torch_backend, "BlockAttention", lambda _: None)
    monkeypatch.setattr(torch_backend, "PackedEncoder", lambda model, _: model)
    monkeypatch.setattr(torch_backend, "TorchPackedCpu", varlen)


def load(folder: Path, **settings: Any) -> CrossEncoder:
    """Load a model into torch on the CPU in float32, on one thread."""
    options: dict[str, Any] = {"device": "cpu", "backend": "torch", "dtype": "float32", "cpu_threads": 1} | settings
    return load_model(ModelOptions(model=str(folder), **options))


def job(pairs: Pairs) -> Job:
    """Return a job that holds pairs and nothing else of interest."""
    partition = Partition("requests", 0)
    record = Record(partition, 0, 0, None, b"")
    return Job(
        record=record, tracked=tracked_offset(partition, 0), received_s=0.0, created_s=0.0, scoring=Scoring(pairs)
    )


def score(model: CrossEncoder, query: str, products: list[str]) -> np.ndarray:
    """Return the logits of one event's pairs, scored as one batch."""
    pairs = model.pair_encoder().encode(query, products)
    [logits] = model.launch([Slice(job(pairs), 0, len(products))]).wait()
    return logits


class Reference:
    """transformers itself, one pair at a time."""

    def __init__(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype).eval()

    def batch(self, query: str, products: list[str], **settings: Any) -> list[list[int]]:
        """Return the ids of each pair. For one pair that is not in a list, an empty product would be no second text."""
        ids: list[list[int]] = self.tokenizer([query] * len(products), products, verbose=False, **settings)["input_ids"]
        return ids

    def logits(self, query: str, products: list[str], **settings: Any) -> np.ndarray:
        """Return the logit of each pair, each from a forward pass of its own."""
        found = []
        with torch.inference_mode():
            for product in products:
                inputs = self.tokenizer([query], [product], return_tensors="pt", **settings)
                found.append(self.model(**inputs).logits[0, 0].float().item())
        return np.array(found, np.float32)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return float64 scores."""
    return np.asarray(1.0 / (1.0 + np.exp(-logits.astype(np.float64))))


def assert_neighbours_do_not_matter(model: CrossEncoder, query: str, products: list[str]) -> None:
    """Hold the logits and the order of a list in five batches against those of the list alone."""
    encoder = model.pair_encoder()
    wanted = Slice(job(encoder.encode(query, products)), 0, len(products))
    [alone] = model.launch([wanted]).wait()
    for seed in range(5):
        neighbour = encoder.encode("deck screw", tiny.texts(50, seed=seed, longest=40))
        batch = [Slice(job(neighbour), 0, 20), wanted, Slice(job(neighbour), 20, 50)]
        logits = model.launch(batch).wait()[1]
        np.testing.assert_array_equal(np.argsort(-logits, kind="stable"), np.argsort(-alone, kind="stable"))
        np.testing.assert_allclose(logits, alone, rtol=0, atol=2e-5)

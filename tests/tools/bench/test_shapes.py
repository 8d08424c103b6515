"""The bench of shapes on a small one: its pairs have the lengths that it says, its operations are counted, it runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from tests.tools.bench.conftest import named
from tests.tools.bench.names import undocumented
from worker.config.settings import load
from worker.model.cross_encoder import load_model
from worker.model.options import ModelOptions
from worker.model.random_model import SHAPES, Shape, save_random
from worker.tools.bench.scorer_options import ScorerOptions
from worker.tools.bench.shapes import bench_shapes
from worker.tools.bench.shapes_work import LENGTHS, make_work

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALL = Shape("small", 2, 32, 4, 64)


def test_it_measures_every_way_on_a_cpu(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    settings = load({"device": "cpu", "dtype": "float32", "cpu_threads": "1", "batch_tokens": "600"}, {})
    options = ScorerOptions(shapes=True, seconds=0.01, repeat=2, json=file)
    bench_shapes(settings, options, [SMALL], {name: LENGTHS[name] for name in ("tokens_128", "mixed")})
    report: dict[str, Any] = json.loads(file.read_text())
    results, ratios = named(report), named(report, "ratios")
    assert undocumented({*results, *ratios}) == set()
    assert ratios.keys() == {
        *(f"shapes.small.{lengths}.vs_{way}" for lengths in ("tokens_128", "mixed") for way in ("padded", _PEER)),
        "shapes.small.mixed_vs_uniform",
    }
    for way in ("unpadded", "padded", _PEER):
        assert results[f"shapes.small.mixed.{way}.pairs_per_second"] > 0
        share = results[f"shapes.small.mixed.{way}.tflops"] / results["shapes.matrix_tflops"]
        assert results[f"shapes.small.mixed.{way}.matrix_share"] == pytest.approx(share)
    assert results["shapes.small.mixed.padded.padding_share"] > 0
    assert (report["environment"]["lone_pairs"], report["environment"]["batch_tokens"]) == (4, 600)


_PEER = "sentence_transformers"


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model's folder."""
    folder = tmp_path_factory.mktemp("small-shape")
    save_random(SMALL, folder)
    return folder


@pytest.mark.parametrize("name", LENGTHS)
def test_pairs_have_the_lengths_that_were_drawn(name: str, small: Path) -> None:
    model = load_model(ModelOptions(model=str(small), device="cpu", backend="torch", dtype="float32", cpu_threads=1))
    work = make_work(model.pair_encoder(), LENGTHS[name], 4_000)
    assert work.lengths.tolist() == LENGTHS[name](4_000).tolist()
    assert work.lengths.sum() == pytest.approx(4_000, rel=0.2)
    assert len(work.texts) == len(work.lengths)
    [logits] = model.launch(work.batch()).wait()
    assert np.isfinite(logits).all()


def test_operations_are_those_that_torch_counts(small: Path) -> None:
    model = transformers.AutoModelForSequenceClassification.from_pretrained(small, attn_implementation="eager").eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counted:
        model(input_ids=torch.ones(3, 40, dtype=torch.int64))
    lengths = np.array([40] * 3)
    head = 3 * 2 * SMALL.width  # the classifier, of one label
    assert SMALL.flops(lengths, first_rows=False) + head == counted.get_total_flops()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape.name))
def test_the_first_rows_of_the_last_layer_are_a_part_of_it(shape: Shape) -> None:
    whole, first = (shape.flops(np.full(10, 128), first_rows=rows) for rows in (False, True))
    assert 1 - 1 / shape.layers < first / whole < 1


def test_what_it_does_not_take_is_refused(refused: Callable[..., str]) -> None:
    assert "--shapes: expected without" in refused("scorer", "--shapes", "--against", "sentence-transformers")

"""Scores are those of an unbatched transformers forward, whatever shares the batch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import transformers
from sentence_transformers import CrossEncoder as SentenceTransformer

from tests.model.conftest import Reference, assert_neighbours_do_not_matter, job, load, score, sigmoid
from tests.model.tiny import POSITIONS, save_family, texts
from worker import demo
from worker.events.ranking import ACTIVATIONS
from worker.exits import Exit, StopError
from worker.flow.job import Slice

if TYPE_CHECKING:
    from worker.model.cross_encoder import CrossEncoder

QUERY = "wireless mouse café"
PRODUCTS = [*texts(40, seed=3, longest=30), "", "mouse"]
REAL = Path(__file__).resolve().parents[3] / "shared" / "models" / "product-minilm-l6"
SHIPPED = Path(demo.__file__).parent / "model-minilm-l6"


def assert_equal_scores(model: CrossEncoder, logits: np.ndarray, expected: np.ndarray) -> None:
    activation = ACTIVATIONS[model.activation]
    assert np.ptp(expected) > 0.1, "the model gives all pairs one logit: nothing could differ"
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(activation(logits.astype(np.float64)), sigmoid(expected), rtol=0, atol=1e-5)


def test_float32_scores_are_those_of_an_unbatched_forward(folder: Path) -> None:
    model = load(folder, group_tokens=300)
    expected = Reference(folder).logits(QUERY, PRODUCTS, truncation="longest_first", max_length=POSITIONS)
    assert model.max_length == POSITIONS
    assert_equal_scores(model, score(model, QUERY, PRODUCTS), expected)


def test_float32_scores_agree_when_only_the_product_is_cut(folder: Path) -> None:
    model = load(folder, truncation="only_second", max_length=20)
    expected = Reference(folder).logits("mouse", PRODUCTS, truncation="only_second", max_length=20)
    assert_equal_scores(model, score(model, "mouse", PRODUCTS), expected)


def test_sentence_transformers_gives_the_same_scores(folder: Path) -> None:
    witness = SentenceTransformer(str(folder), device="cpu", max_length=POSITIONS)
    expected = witness.predict([(QUERY, text) for text in PRODUCTS], show_progress_bar=False)
    found = sigmoid(score(load(folder), QUERY, PRODUCTS))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_bfloat16_logits_are_as_near_to_float32_as_transformers_own(folder: Path) -> None:
    model = load(folder, dtype="bfloat16")
    assert model.dtype == "bfloat16"
    cut = {"truncation": True, "max_length": POSITIONS}
    exact = Reference(folder).logits(QUERY, PRODUCTS, **cut)
    theirs = Reference(folder, torch.bfloat16).logits(QUERY, PRODUCTS, **cut)
    # Random weights of this size make far larger logits, and errors, than a trained model's: 2e-2 is for that, below.
    assert np.abs(score(model, QUERY, PRODUCTS) - exact).mean() < 1.3 * np.abs(theirs - exact).mean() + 1e-3


def test_the_order_of_a_list_does_not_depend_on_its_neighbours(folder: Path) -> None:
    assert_neighbours_do_not_matter(load(folder), QUERY, PRODUCTS)


def test_logits_come_back_slice_by_slice_with_counts_of_tokens(bert: Path) -> None:
    model = load(bert)
    pairs = model.pair_encoder().encode(QUERY, PRODUCTS)
    [whole] = model.launch([Slice(job(pairs), 0, len(PRODUCTS))]).wait()
    pending = model.launch([Slice(job(pairs), 30, 42), Slice(job(pairs), 0, 1), Slice(job(pairs), 5, 30)])
    parts = pending.wait()
    assert [part.dtype for part in parts] == [np.float32] * 3
    np.testing.assert_allclose(parts[0], whole[30:42], atol=1e-5)
    np.testing.assert_allclose(parts[1], whole[:1], atol=1e-5)
    np.testing.assert_allclose(parts[2], whole[5:30], atol=1e-5)
    lengths = np.diff(pairs.offsets)
    assert pending.tokens == lengths[30:42].sum() + lengths[0] + lengths[5:30].sum()
    assert 0 < pending.padding < 64  # what fills a packed up
    assert pending.failures == {}


def test_an_empty_batch_has_no_logits(bert: Path) -> None:
    assert load(bert).launch([]).wait() == []


def test_two_flights_may_be_up_at_once(bert: Path) -> None:
    model = load(bert)
    pairs = model.pair_encoder().encode(QUERY, PRODUCTS)
    first, second = (model.launch([Slice(job(pairs), 0, len(PRODUCTS))]) for _ in range(2))
    np.testing.assert_allclose(second.wait()[0], first.wait()[0], rtol=1e-5)


def test_warm_up_times_real_shapes_up_to_a_long_pair(bert: Path) -> None:
    times = load(bert).warm_up()
    assert max(took.load.tokens // took.pairs for took in times) == POSITIONS
    assert all(took.load.squares * took.pairs == took.load.tokens**2 for took in times)
    assert all(took.seconds > 0 for took in times)


def test_warm_up_of_a_gpu_has_batches_that_fill_it(bert: Path) -> None:
    model = load(bert)
    model.overlaps = True
    assert max(took.pairs for took in model.warm_up()) == 256


def test_a_model_that_gives_nan_is_refused_by_its_warm_up(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_family("bert", tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["classifier.bias"].fill_(float("nan"))
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model = load(tmp_path)
    with pytest.raises(StopError, match=r"cannot score plain text: .+the model gave nan") as stopped:
        model.warm_up()
    assert stopped.value.code is Exit.MODEL


def test_weights_stored_in_half_precision_are_computed_in_the_asked_one(bert: Path, tmp_path: Path) -> None:
    reference = Reference(bert, torch.float16)
    reference.model.save_pretrained(tmp_path)
    reference.tokenizer.save_pretrained(tmp_path)
    model = load(tmp_path)
    expected = Reference(tmp_path).logits(QUERY, PRODUCTS, truncation=True, max_length=POSITIONS)
    assert_equal_scores(model, score(model, QUERY, PRODUCTS), expected)


def test_a_tokenizer_of_another_model_is_refused(bert: Path, tmp_path: Path) -> None:
    shutil.copytree(bert, tmp_path, dirs_exist_ok=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(bert)
    tokenizer.add_tokens(["brandnew", "brandnewer"])
    tokenizer.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    with pytest.raises(StopError, match=f"embeddings for {config['vocab_size']} of them") as stopped:
        load(tmp_path)
    assert stopped.value.code is Exit.MODEL


def test_a_maximum_length_beyond_the_positions_is_refused(folder: Path) -> None:
    with pytest.raises(StopError, match=f"positions for {POSITIONS} tokens, got {POSITIONS + 1}") as stopped:
        load(folder, max_length=POSITIONS + 1)
    assert stopped.value.code is Exit.MODEL


@pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/models/product-minilm-l6")
def test_a_real_product_model_scores_and_orders_as_transformers_does() -> None:
    model = load(REAL)
    products = ["12-gauge steel angle bracket", "deck screws, 5 lb", "", "white shelf bracket " * 60, "kitchen faucet"]
    expected = Reference(REAL).logits("angle bracket", products, truncation=True, max_length=model.max_length)
    logits = score(model, "angle bracket", products)
    assert_equal_scores(model, logits, expected)
    assert np.argmax(logits) == 0
    half = score(load(REAL, dtype="bfloat16"), "angle bracket", products)
    np.testing.assert_allclose(half, expected, rtol=2e-2, atol=2e-2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("bfloat16", 1e-1)])  # random weights: as above
def test_a_gpu_gives_the_scores_of_an_unbatched_forward(folder: Path, dtype: str, tolerance: float) -> None:
    model = load(folder, device="cuda", dtype=dtype)
    expected = Reference(folder).logits(QUERY, PRODUCTS, truncation=True, max_length=POSITIONS)
    np.testing.assert_allclose(score(model, QUERY, PRODUCTS), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_gpu_gives_the_scores_of_the_shipped_model(dtype: str) -> None:
    lists = [json.loads(line) for line in (SHIPPED.parent / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    exact, near = load(SHIPPED), load(SHIPPED, device="cuda", dtype=dtype)
    for each in lists:
        titles = [candidate["fields"]["title"] for candidate in each["candidates"]]
        expected, found = (1 / (1 + np.exp(-score(model, each["query"], titles))) for model in (exact, near))
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-2)

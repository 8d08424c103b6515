"""Without padding a model gives the logits that it gives with padding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from tests.model.conftest import FLAT, load
from worker.model.options import ModelOptions
from worker.model.rows import RaggedBatch
from worker.model.torch import attention_cpu as flat_attention
from worker.model.torch import choose as torch_backend
from worker.model.torch.attention_cpu import BlockAttention
from worker.model.torch.choose import make_backend
from worker.model.torch.packed_cpu import TorchPackedCpu
from worker.model.torch.packed_encoder import PackedEncoder
from worker.model.torch.padded import TorchPadded

if TYPE_CHECKING:
    from pathlib import Path

    from worker.model.torch.packed_batch import PackedBatch

VOCABULARY = 50
LENGTHS = st.lists(st.integers(1, 60), max_size=40)


def _rows(*lengths: int) -> RaggedBatch:
    counts = np.array(lengths, np.int64)
    ids = np.random.default_rng(0).integers(VOCABULARY, size=int(counts.sum()), dtype=np.int32)
    return RaggedBatch(ids, np.cumsum(counts) - counts, counts, np.maximum(1, counts // 3), np.array([0, len(counts)]))


class FirstIds:
    """An encoder whose logit is a pair's first id; it raises for a pair that begins with `bad`."""

    padding_position = None
    dtype = torch.float32

    def __init__(self, bad: int = -1) -> None:
        self.bad = bad
        self.packed_batches: list[PackedBatch] = []

    def __call__(self, packed: PackedBatch) -> torch.Tensor:
        self.packed_batches.append(packed)
        first = packed.ids[packed.cls_index]
        if (first == self.bad).any():
            raise ValueError("bad pair")
        return first.float()


def _flat(encoder: FirstIds, pass_tokens: int = 100) -> TorchPackedCpu:
    stand_in: Any = encoder
    return TorchPackedCpu(stand_in, token_types=True, pass_tokens=pass_tokens)


@given(LENGTHS, st.integers(1, 200))
def test_every_row_is_in_one_of_few_passes_of_like_size(lengths: list[int], most: int) -> None:
    rows = _rows(*lengths)
    passes = list(_flat(FirstIds(), most).groups(rows))
    assert sorted(row for chosen in passes for row in chosen.tolist()) == list(range(len(lengths)))
    assert all(rows.lengths[chosen].sum() < most + rows.lengths.max() for chosen in passes)
    assert len(passes) <= -(-sum(lengths) // most)


@given(LENGTHS.filter(bool))
def test_a_stream_holds_every_pair_with_its_types_and_positions(lengths: list[int]) -> None:
    rows, encoder = _rows(*lengths), FirstIds()
    scored = _flat(encoder, 10_000).start(rows).finish()
    assert scored.logits.tolist() == rows.ids[rows.starts].tolist()
    assert (scored.tokens, scored.padding) == (sum(lengths), len(encoder.packed_batches[0].ids) - sum(lengths))
    [packed] = encoder.packed_batches
    assert len(packed.ids) == len(packed.types) == len(packed.positions)
    begin = 0
    for start, pairs, length in packed.equal_length_runs:
        assert start == begin
        for first in range(start, start + pairs * length, length):
            pair = slice(first, first + length)
            assert packed.positions[pair].tolist() == list(range(length))
            split = max(1, length // 3)
            assert packed.types[pair].tolist() == [0] * split + [1] * (length - split)
        begin += pairs * length
    assert begin == sum(lengths)


def test_streams_have_few_sizes_since_each_has_kernels_of_its_own() -> None:
    encoder = FirstIds()
    for tokens in range(1, 2001):
        assert _flat(encoder, 10_000).start(_rows(tokens)).finish().tokens == tokens
    sizes = {len(packed.ids) for packed in encoder.packed_batches}
    assert len(sizes) < 50
    assert all(size - tokens < 64 for tokens, size in enumerate((len(each.ids) for each in encoder.packed_batches), 1))
    cls_index = {
        len(_flat(encoder).packed(rows, np.arange(len(rows))).cls_index) for rows in map(_pairs_of_two, range(1, 200))
    }
    assert len(cls_index) == 25


def _pairs_of_two(count: int) -> RaggedBatch:
    return _rows(*[2] * count)


def test_a_pair_that_fails_is_isolated() -> None:
    rows = _rows(5, 9, 3, 9)
    scored = _flat(FirstIds(bad=int(rows.ids[rows.starts[2]]))).start(rows).finish()
    failed = set(np.flatnonzero(rows.ids[rows.starts] == rows.ids[rows.starts[2]]).tolist())
    assert scored.failures.keys() == failed
    assert np.isnan(scored.logits).sum() == len(failed)


def _model(**settings: Any) -> Any:
    shape = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
    torch.manual_seed(1)
    config = transformers.BertConfig(
        vocab_size=VOCABULARY, num_labels=1, initializer_range=0.3, **shape, max_position_embeddings=64, **settings
    )
    return transformers.AutoModelForSequenceClassification.from_config(config).eval()


@pytest.mark.parametrize("block", [1, 20_000, flat_attention._BLOCK_WEIGHTS])
@pytest.mark.parametrize("activation", ["gelu", "relu", "gelu_new"])
def test_logits_are_those_of_padded_batches(block: int, activation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat_attention, "_BLOCK_WEIGHTS", block)  # long pairs only, blocks of a few pairs, one block
    model = _model(hidden_act=activation)
    rows = _rows(*([7] * 12 + [40] * 30 + list(range(1, 60))))
    padded = TorchPadded(model, pad_id=0, token_types=True).start(rows).finish()
    encoder = PackedEncoder(model, BlockAttention(torch.float32))
    flat = TorchPackedCpu(encoder, token_types=True, pass_tokens=700).start(rows).finish()
    np.testing.assert_allclose(flat.logits, padded.logits, rtol=1e-5, atol=1e-5)
    assert np.ptp(padded.logits) > 0.1


@pytest.mark.parametrize("family", FLAT)
def test_a_family_with_berts_layers_runs_without_padding(family: str, make_family: Any) -> None:
    assert isinstance(load(make_family(family))._backend, TorchPackedCpu)


def test_a_family_with_other_layers_is_padded(make_family: Any) -> None:
    assert isinstance(load(make_family("modernbert"))._backend, TorchPadded)


def test_a_model_whose_logits_differ_without_padding_is_padded(
    bert: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Wrong(PackedEncoder):
        def __call__(self, packed: PackedBatch) -> torch.Tensor:
            return super().__call__(packed) + 0.01

    monkeypatch.setattr(torch_backend, "PackedEncoder", Wrong)
    assert isinstance(load(bert)._backend, TorchPadded)
    assert "its batches are padded" in caplog.text


def test_a_decoder_is_padded() -> None:
    tokenizer: Any = type("Tokenizer", (), {"pad_id": 0, "token_types": True})
    model = _model()
    assert isinstance(make_backend(model, tokenizer, 64, ModelOptions()), TorchPackedCpu)
    assert isinstance(make_backend(_model(is_decoder=True), tokenizer, 64, ModelOptions()), TorchPadded)

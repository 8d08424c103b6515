"""A last layer that computes the first row alone gives the logits that all of it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
import transformers

from tests.model import tiny
from worker.model.openvino.cls_layer import skip_other_rows
from worker.model.torch.packed_encoder import is_flat

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["bert", "electra", "roberta", "xlm-roberta"])
def test_padded_rows_have_the_logits_of_the_whole_layer(family: str, attention: str, tmp_path: Path) -> None:
    folder = tiny.save_family(family, tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation=attention)
    model.eval()
    assert is_flat(model)
    inputs = tokenizer(
        tiny.texts(9, seed=1), tiny.texts(9, seed=2, longest=8), padding=True, truncation=True, return_tensors="pt"
    )
    with torch.inference_mode():
        expected = model(**inputs).logits
        skip_other_rows(model)
        assert model.base_model(**inputs)[0].shape[1] == 1
        assert torch.allclose(model(**inputs).logits, expected, rtol=0, atol=1e-5)

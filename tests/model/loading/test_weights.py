"""Whatever is not a trained one-label cross-encoder is refused at load, in one line, and nothing of it runs."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.model.conftest import load, score
from tests.model.tiny import POSITIONS, save_family, texts
from worker.exits import Exit, StopError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def copy(bert: Path, tmp_path: Path) -> Path:
    """A tiny model's folder to spoil."""
    return shutil.copytree(bert, tmp_path / "copy")


def change_config(folder: Path, **settings: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def change_weights(folder: Path, drop: str) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if not name.startswith(drop)}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def refusal(folder: Path, **settings: Any) -> str:
    with pytest.raises(StopError) as stopped:
        load(folder, **settings)
    assert stopped.value.code is Exit.MODEL
    message = str(stopped.value)
    assert "\n" not in message
    return message


def test_a_generative_model_is_refused(copy: Path) -> None:
    change_config(copy, architectures=["BertLMHeadModel"], is_decoder=True)
    assert "expected a cross-encoder" in refusal(copy)
    change_config(copy, architectures=None)
    assert "got none" in refusal(copy)


@pytest.mark.parametrize("drop", ["classifier", "bert.pooler", "bert.encoder.layer.1"])
def test_weights_that_are_missing_are_never_random(copy: Path, drop: str) -> None:
    change_weights(copy, drop)
    assert f"such as {drop}" in refusal(copy)


def test_a_model_with_more_than_one_label_is_refused(tmp_path: Path) -> None:
    save_family("bert", tmp_path, labels=3)
    assert "expected one label, a relevance, got 3" in refusal(tmp_path)


def test_weights_that_are_not_safetensors_are_refused(copy: Path) -> None:
    (copy / "model.safetensors").write_bytes(b"not weights")
    assert "its weights cannot be loaded: SafetensorError" in refusal(copy)


def test_weights_of_another_shape_are_refused(copy: Path) -> None:
    change_config(copy, vocab_size=1_000)
    assert "its weights cannot be loaded" in refusal(copy)


def test_a_tokenizer_that_is_not_one_is_refused(copy: Path) -> None:
    (copy / "tokenizer.json").write_text('{"version": "1.0"}')
    assert "its tokenizer cannot be loaded" in refusal(copy)


def test_an_unknown_activation_is_refused(copy: Path) -> None:
    change_config(copy, sentence_transformers={"activation_fn": "os.system"})
    assert "names the activation 'os.system'" in refusal(copy)


def test_code_that_a_model_brings_along_is_never_run(copy: Path) -> None:
    trap = copy / "trap"
    (copy / "theirs.py").write_text(f"import pathlib\npathlib.Path({str(trap)!r}).touch()\nclass Theirs: pass\n")
    names = ("AutoConfig", "AutoModelForSequenceClassification", "AutoTokenizer")
    change_config(copy, auto_map=dict.fromkeys(names, "theirs.Theirs"))
    # A model type of the library is loaded by the library's own code.
    assert np.isfinite(score(load(copy), "mouse", ["wireless mouse"])).all()
    change_config(copy, model_type="theirs")
    assert "not one that transformers can use" in refusal(copy)
    assert not trap.exists()


def test_a_pickle_of_weights_is_read(copy: Path, bert: Path) -> None:
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    products = texts(5)
    expected = score(load(bert), "mouse", products)
    # Not to the last bit: that hangs on where in memory the library finds the numbers.
    np.testing.assert_allclose(score(load(copy), "mouse", products), expected, rtol=1e-5)


def test_a_pickle_that_holds_anything_else_is_not_run(copy: Path) -> None:
    trap = copy / "trap"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(trap),)

    (copy / "model.safetensors").unlink()
    torch.save({"weight": Trap()}, copy / "pytorch_model.bin")
    assert "its weights cannot be loaded" in refusal(copy)
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    assert "its weights cannot be loaded" in refusal(copy)
    assert not trap.exists()


def test_token_types_that_a_batch_cannot_say_are_refused(copy: Path) -> None:
    path = copy / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    first = {"Sequence": {"id": "A", "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 0}}
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}],
        "pair": list(first),
        "special_tokens": {},
    }
    path.write_text(json.dumps(tokenizer))
    settings = copy / "tokenizer_config.json"
    # The generic class takes the file as it is; BERT's own would write its template over it.
    names = json.loads(settings.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    names["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    settings.write_text(json.dumps(names))
    assert "expected token types 0 for the query, then 1" in refusal(copy)


def test_a_maximum_length_without_room_for_text_is_refused(tmp_path: Path, make_family: Any) -> None:
    shutil.copytree(make_family("bert"), tmp_path, dirs_exist_ok=True)
    settings = tmp_path / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"model_max_length": 4}))
    assert "expected at least 5 tokens, got 4" in refusal(tmp_path)


def test_the_maximum_length_is_the_smaller_of_the_tokenizers_and_the_positions(copy: Path) -> None:
    settings = copy / "tokenizer_config.json"
    saved = json.loads(settings.read_text())
    for limit, expected in ((30, 30), (10**30, POSITIONS)):
        settings.write_text(json.dumps(saved | {"model_max_length": limit}))
        assert load(copy).max_length == expected

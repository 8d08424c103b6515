"""Cutting the vocabulary of a tiny model that the test makes."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from worker.training.cut_vocabulary import UnsuitableModelError, choose, cut_weights, main, read_texts

LETTERS = "abcdehilnorsw7"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["hose", "saw", "drill", "##rill", "##ose", "nails", "##ails"]
PIECES = [*SPECIAL[:1], "[unused0]", *SPECIAL[1:], *LETTERS, *(f"##{letter}" for letter in LETTERS), *WORDS]
EMBEDDINGS = "bert.embeddings.word_embeddings.weight"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "uncut"
    folder.mkdir()
    tokenizer = Tokenizer(models.WordPiece({p: i for i, p in enumerate(PIECES)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    ends = [(name, PIECES.index(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ends)
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.enable_truncation(3)
    tokenizer.save(str(folder / "tokenizer.json"))
    rows = np.arange(len(PIECES), dtype=np.float32)[:, None] * np.ones((1, 4), dtype=np.float32)
    save_file({EMBEDDINGS: rows, "classifier.weight": np.ones((1, 4), np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"vocab_size": len(PIECES), "pad_token_id": 0, "hidden_size": 4}))
    calls = {"pad_token": "[PAD]", "tokenizer_class": "BertTokenizer", "max_length": 3}
    (folder / "tokenizer_config.json").write_text(json.dumps(calls))
    return folder


def run(model: Path, text: str, pieces: int) -> Path:
    lines, out = model.parent / "text.txt", model.parent / "cut"
    lines.write_text(text)
    arguments: dict[str, Any] = {"--model": model, "--text": lines, "--out": out, "--pieces": pieces}
    main([str(part) for pair in arguments.items() for part in pair])
    return out


def tokens(folder: Path, text: str) -> list[str]:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    return list(tokenizer.encode(text).tokens)


def test_words_of_the_text_stay_whole_and_others_fall_back_to_letters(model: Path) -> None:
    out = run(model, "hose\nhose saw\nsaw hose", pieces=35)
    assert tokens(out, "Hose saw") == ["[CLS]", "hose", "saw", "[SEP]"]
    assert tokens(out, "nail") == ["[CLS]", "n", "##a", "##i", "##l", "[SEP]"]


def test_what_was_unknown_stays_unknown_and_nothing_else_becomes_it(model: Path) -> None:
    out = run(model, "hose", pieces=0)
    for text in ("drill", "nails", "sawdrills", "7 hoses", "saw.", "zebra"):
        assert ("[UNK]" in tokens(out, text)) == ("[UNK]" in tokens(model, text)), text


def test_each_piece_keeps_its_own_row(model: Path) -> None:
    out = run(model, "hose", pieces=34)
    rows = load_file(out / "model.safetensors")[EMBEDDINGS]
    vocabulary = Tokenizer.from_file(str(out / "tokenizer.json")).get_vocab()
    assert rows.dtype == np.float16
    assert rows[:, 0].tolist() == [PIECES.index(piece) for piece in sorted(vocabulary, key=vocabulary.__getitem__)]


def test_ids_agree_in_every_file(model: Path) -> None:
    out = run(model, "hose", pieces=34)
    tokenizer = json.loads((out / "tokenizer.json").read_text())
    config = json.loads((out / "config.json").read_text())
    numbers = tokenizer["model"]["vocab"]
    assert config["vocab_size"] == len(numbers) == 34
    assert sorted(numbers.values()) == list(range(34))
    assert config["pad_token_id"] == numbers["[PAD]"]
    assert all(token["id"] == numbers[token["content"]] for token in tokenizer["added_tokens"])
    assert Tokenizer.from_file(str(out / "tokenizer.json")).encode("hose", "saw").ids[0] == numbers["[CLS]"]


def test_no_truncation_of_the_trainer_is_left(model: Path) -> None:
    out = run(model, "hose", pieces=34)
    assert json.loads((out / "tokenizer.json").read_text())["truncation"] is None
    assert "max_length" not in json.loads((out / "tokenizer_config.json").read_text())


def test_the_commonest_pieces_win_and_ties_go_by_the_old_id() -> None:
    vocabulary = {"[PAD]": 0, "a": 1, "##a": 2, "rare": 3, "often": 4, "tied": 5, "never": 6}
    counts = Counter({"rare": 1, "often": 9, "tied": 1})
    assert choose(vocabulary, {"[PAD]"}, counts, 5) == ["[PAD]", "a", "##a", "rare", "often"]
    assert choose(vocabulary, {"[PAD]"}, counts, 99) == ["[PAD]", "a", "##a", "rare", "often", "tied"]
    assert choose(vocabulary, {"[PAD]"}, counts, 0) == ["[PAD]", "a", "##a"]


def test_a_second_weight_with_a_row_a_piece_is_refused() -> None:
    weights = {EMBEDDINGS: np.ones((9, 2)), "cls.predictions.decoder.weight": np.ones((9, 2))}
    with pytest.raises(UnsuitableModelError, match=r"expected one word embedding of 9 rows, found .*decoder"):
        cut_weights(weights, [0, 1], 9)


def test_a_tokenizer_of_another_kind_is_refused(model: Path) -> None:
    content = json.loads((model / "tokenizer.json").read_text())
    content["model"]["type"] = "BPE"
    (model / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(UnsuitableModelError, match="expected a WordPiece tokenizer, found BPE"):
        run(model, "hose", pieces=34)


def test_json_lines_give_their_strings_and_not_their_field_names(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"query": "hose", "candidates": [{"fields": {"title": "Green hose"}, "score": 1.5}]}\n')
    assert read_texts(path) == {"hose", "Green hose"}


def test_the_text_columns_of_a_parquet_file_are_read(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"title": ["hose", "hose", None], "stars": [1, 2, 3]}), tmp_path / "rows.parquet")
    assert read_texts(tmp_path / "rows.parquet") == {"hose"}

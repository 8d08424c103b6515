"""The shipped model: it loads, it is small, it reads any text and it orders products sensibly."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import worker.demo
from worker.events.codec import USUAL_PRODUCT_FIELDS, Decoder, EventOptions
from worker.model.loading.source import find_source
from worker.records import Partition, Record
from worker.training.quality import ndcg

FOLDER = Path(worker.demo.__file__).parent / "model-minilm-l6"
QUERIES = FOLDER.parent / "queries.jsonl"
UNCUT = Path(__file__).parents[3] / "shared/models/product-minilm-l6"
TEXTS = (
    "3/4-in. x 50 ft. garden hose, 5/8\" & 'soft' #8 @ $9.99 (2-pack) [new] {a} <b> 100% ~ ^ | \\ ` _ = +",
    "Café crème jalapeño naïve Düsseldorf Ångström smörgåsbord",
    "Größe 12 – “quality” … ½ ¼ ² ³ ° ± µ × ÷ € £ ¥ © ® ™",  # noqa: RUF001 - such signs are what the test is about
    "сверло по металлу", "τρυπάνι", "מקדחה", "مثقاب", "コードレスドリル", "无绳电钻", "무선 드릴", "ड्रिल", "สว่าน",
    "zyxwvutsrq qwertzuiop a1b2c3 XK-9000/Z supercalifragilistic",
    "emoji 🔨 👩‍🔧 tab\tnewline\nnull\x00 zero\u200bwidth ﬁligree",
)  # fmt: skip


@cache
def parts() -> tuple[Any, Any]:
    model = AutoModelForSequenceClassification.from_pretrained(FOLDER, dtype=torch.float32, local_files_only=True)
    return AutoTokenizer.from_pretrained(FOLDER, local_files_only=True), model.eval()


def logits(query: str, texts: list[str]) -> np.ndarray:
    tokenizer, model = parts()
    batch = tokenizer([query] * len(texts), texts, padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        return np.asarray(model(**batch).logits[:, 0].numpy())


def test_the_folder_is_complete_and_at_most_30_megabytes() -> None:
    names = {path.name for path in FOLDER.iterdir()}
    assert names == {"README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 30_000_000


def test_the_model_has_one_label_and_a_row_for_every_piece() -> None:
    tokenizer, model = parts()
    assert model.config.num_labels == 1
    rows = model.get_input_embeddings().weight
    assert rows.shape[0] == model.config.vocab_size == len(tokenizer)
    assert model.config.pad_token_id == tokenizer.pad_token_id == 0
    assert torch.isfinite(rows).all()


def test_every_single_character_has_both_of_its_forms() -> None:
    vocabulary = Tokenizer.from_file(str(FOLDER / "tokenizer.json")).get_vocab()
    single = {piece for piece in vocabulary if len(piece) == 1}
    inside = {piece[2:] for piece in vocabulary if piece.startswith("##") and len(piece) == 3}
    assert single == inside
    assert len(single) == 997
    assert set("abcdefghijklmnopqrstuvwxyz0123456789") <= single


def test_english_product_text_has_no_unknown_piece() -> None:
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    for text in (*TEXTS[:3], TEXTS[-2], "brobdingnagian flibbertigibbet"):
        assert "[UNK]" not in tokenizer.encode(text).tokens, text


@pytest.mark.skipif(not UNCUT.exists(), reason="needs ../shared/models/product-minilm-l6")
@pytest.mark.parametrize(
    "text", [*TEXTS, "".join(map(chr, range(0x20, 0x3000))), " ".join(map(chr, range(0x20, 0x3000)))]
)
def test_the_same_words_are_unknown_as_to_the_uncut_model(text: str) -> None:
    cut, uncut = (Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (FOLDER, UNCUT))
    uncut.no_truncation()
    found, expected = (
        [place for place, token in zip(code.offsets, code.tokens, strict=True) if token == "[UNK]"]
        for code in (cut.encode(text), uncut.encode(text))
    )
    assert found == expected


@pytest.mark.parametrize(
    ("query", "better", "worse"),
    [
        ("cordless drill", "18V Cordless Drill/Driver Kit with Battery", "Cordless Cellular Shade, White"),
        ("4 burner gas grill", "4-Burner Propane Gas Grill in Black", "Grill Cover, 65 in."),
        ("ceiling fan", "52 in. Ceiling Fan with Light", "Bathroom Exhaust Fan, 80 CFM"),
        ("toilet seat", "Elongated Toilet Seat in White", "Office Chair, Black"),
    ],
)
def test_the_product_asked_for_scores_above_another(query: str, better: str, worse: str) -> None:
    first, second = logits(query, [better, worse])
    assert first > second + 0.5


def test_the_model_names_the_title_as_all_that_it_reads() -> None:
    assert find_source(str(FOLDER), None).product_fields == ("title",)


@pytest.mark.parametrize(
    ("fields", "first_stage", "keyword_search", "reranked"),
    [(("title",), "title_score", 0.686, 0.899), (USUAL_PRODUCT_FIELDS, "score", 0.348, 0.685)],
    ids=["titles", "all attributes"],
)
def test_the_pairs_of_figures_that_belong_together_are_those_of_the_card(
    fields: tuple[str, ...], first_stage: str, keyword_search: float, reranked: float
) -> None:
    decoder, before, after = Decoder(EventOptions(), fields), [], []
    for line in QUERIES.read_bytes().splitlines():
        request = decoder.decode(Record(Partition("", 0), 0, timestamp_ms=0, key=None, value=line))
        candidates = json.loads(line)["candidates"]
        judged = np.array([product["relevance"] for product in candidates])
        before.append(ndcg(judged, np.array([product[first_stage] for product in candidates])))
        after.append(ndcg(judged, logits(request.query, request.texts)))
    assert np.mean(before) == pytest.approx(keyword_search, abs=0.001)
    assert np.mean(after) == pytest.approx(reranked, abs=0.001)

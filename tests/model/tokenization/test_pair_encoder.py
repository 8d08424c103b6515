"""Pairs put together from cached ids are the tokenizer's own pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import NormalizedString, Tokenizer, models, pre_tokenizers, processors

from tests.model.conftest import Reference, load
from tests.model.tiny import POSITIONS, texts
from worker.model.tokenization.pair_encoder import PairEncoder
from worker.model.tokenization.token_cache import TokenCache
from worker.model.tokenization.tokenizer import PairTokenizer, load_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from worker.flow.job import Pairs
    from worker.model.loading.source import Source
    from worker.model.options import Truncation

MIB = 1 << 20
SPECIAL = st.sampled_from(["[SEP]", "[CLS]", "</s>", "<s>", "<mask>", "[PAD]", " ", "\t", "mouse"])
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TEXT = st.lists(st.one_of(SPECIAL, WORDS), max_size=4).map("".join)


def rows(pairs: Pairs) -> list[list[int]]:
    return [pairs.ids[start:stop].tolist() for start, stop in zip(pairs.offsets, pairs.offsets[1:], strict=False)]


@pytest.fixture(scope="session")
def both(folder: Path) -> tuple[PairEncoder, Reference]:
    model = load(folder)
    assert model.joins_pairs
    return model.pair_encoder(), Reference(folder)


def test_after_a_panic_the_tokenizer_is_opened_anew(both: tuple[PairEncoder, Reference]) -> None:
    encoder, _ = both
    expected = rows(encoder.encode("mouse", ["cat"]))

    class Panicking:
        def encode(self, *_: object, **__: object) -> None:
            NormalizedString("x").filter(lambda character: 1 // (ord(character) - ord("x")))

    encoder._tokenizer = Panicking()  # type: ignore[assignment]
    with pytest.raises(BaseException, match="filter") as caught:
        encoder.encode("mouse", ["cat"])
    assert not isinstance(caught.value, Exception)
    assert rows(encoder.encode("mouse", ["cat"])) == expected


@given(query=TEXT, products=st.lists(TEXT, min_size=1, max_size=3))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ids_are_those_of_the_reference_tokenizer(
    both: tuple[PairEncoder, Reference], query: str, products: list[str]
) -> None:
    encoder, reference = both
    expected = reference.batch(query, products, truncation=True, max_length=POSITIONS)
    assert rows(encoder.encode(query, products)) == expected


@pytest.mark.parametrize("limit", [8, 9, 17, 32])
def test_the_longest_text_is_cut_first_as_the_reference_does(folder: Path, limit: int) -> None:
    model = load(folder, max_length=limit)
    reference, encoder = Reference(folder), model.pair_encoder()
    # Not much longer than the limit: the reference makes an encoding for every piece that it cuts off.
    products = [*texts(30, seed=limit, longest=limit // 2), ""]
    for query in ["mouse", *texts(8, seed=1, longest=limit // 2)]:
        pairs = encoder.encode(query, products)
        assert rows(pairs) == reference.batch(query, products, truncation=True, max_length=limit)
        assert pairs.truncated == sum(len(ids) > limit for ids in reference.batch(query, products))


def test_only_the_product_is_cut_as_the_reference_does(folder: Path) -> None:
    encoder, reference = load(folder, max_length=20, truncation="only_second").pair_encoder(), Reference(folder)
    products = texts(30, longest=20)
    expected = reference.batch("mouse", products, truncation="only_second", max_length=20)
    assert rows(encoder.encode("mouse", products)) == expected


def test_a_query_that_leaves_no_room_is_cut_to_half_of_it(bert: Path) -> None:
    encoder, reference = load(bert, max_length=13, truncation="only_second").pair_encoder(), Reference(bert)
    query, product = "mouse " * 40, "keyboard " * 40
    pairs = encoder.encode(query, [product])
    mouse, keyboard = (reference.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (query, product))
    cls, sep = reference.tokenizer.cls_token_id, reference.tokenizer.sep_token_id
    assert rows(pairs) == [[cls, *mouse[:5], sep, *keyboard[:5], sep]]
    assert pairs.truncated == 1


def test_splits_say_where_token_type_one_begins(bert: Path) -> None:
    for limit in (POSITIONS, 12):
        encoder, reference = load(bert, max_length=limit).pair_encoder(), Reference(bert)
        products = texts(20)
        query = "wireless mouse café"
        expected = reference.tokenizer([query] * 20, products, truncation=True, max_length=limit)["token_type_ids"]
        assert encoder.encode(query, products).splits.tolist() == [types.count(0) for types in expected]


def test_a_text_seen_before_is_not_tokenized_again(bert: Path) -> None:
    model = load(bert)
    first, second = model.pair_encoder(), model.pair_encoder()
    products = [*texts(20), *texts(20)]
    cold = first.encode("mouse", products)
    assert (model.cache.hits, model.cache.misses) == (0, 40)
    warm = second.encode("mouse", products)
    assert (model.cache.hits, model.cache.misses) == (40, 40)
    assert len(model.cache) == 20
    np.testing.assert_array_equal(cold.ids, warm.ids)


def test_an_encoder_without_a_cache_gives_the_same_pairs(bert: Path) -> None:
    model = load(bert, token_cache_mb=0)
    products = texts(20)
    twice = [rows(model.pair_encoder().encode("mouse", products)) for _ in range(2)]
    assert twice[0] == twice[1] == rows(load(bert).pair_encoder().encode("mouse", products))
    assert len(model.cache) == 0


def test_arrays_have_the_promised_types_and_shapes(bert: Path) -> None:
    encoder = load(bert).pair_encoder()
    for products in ([], ["mouse"], texts(30, longest=60)):
        pairs = encoder.encode("mouse", products)
        arrays = (pairs.ids, pairs.offsets, pairs.splits)
        assert [array.dtype.name for array in arrays] == ["int32", "int64", "int32"]
        assert (len(pairs), len(pairs.offsets)) == (len(products), len(products) + 1)
        assert pairs.offsets[-1] == len(pairs.ids)


def contrary_tokenizer(template: str, side: str = "right") -> transformers.PreTrainedTokenizerFast:
    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "mouse", "keyboard", "cable", "usb"]
    raw = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=template, special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw, truncation_side=side, **names)


def saved(tokenizer: transformers.PreTrainedTokenizerFast, folder: Path, bert: Path) -> Source:
    from worker.model.loading.source import find_source

    tokenizer.save_pretrained(folder)
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes((bert / name).read_bytes())
    return find_source(str(folder), None)


REVERSED = "[CLS] $B [SEP] $A [SEP]"


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("truncation", ["longest_first", "only_second"])
@pytest.mark.parametrize("template", ["[CLS] $A [SEP] $B [SEP]", REVERSED])
def test_pairs_that_cannot_be_joined_are_encoded_as_pairs(
    bert: Path, tmp_path: Path, template: str, truncation: Truncation, side: str
) -> None:
    tokenizer = contrary_tokenizer(template, side)
    opened: PairTokenizer = load_tokenizer(saved(tokenizer, tmp_path, bert), 1)
    assert (opened.template is None) == (template == REVERSED)
    assert bool(opened.reason) == (template == REVERSED)
    encoder = PairEncoder(opened, TokenCache(MIB), 10, truncation)
    products = ["usb cable", "", "keyboard cable usb " * 4]
    cut = {"truncation": truncation, "max_length": 10}
    pairs = encoder.encode("mouse cable", products)
    assert rows(pairs) == tokenizer(["mouse cable"] * 3, products, **cut)["input_ids"]
    assert pairs.truncated == 1


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_endless_query_is_cut_alike_however_pairs_are_made(bert: Path, tmp_path: Path, side: str) -> None:
    lengths = []
    for number, template in enumerate(["[CLS] $A [SEP] $B [SEP]", REVERSED]):
        source = saved(contrary_tokenizer(template, side), tmp_path / str(number), bert)
        encoder = PairEncoder(load_tokenizer(source, 1), TokenCache(MIB), 10, "only_second")
        [ids] = rows(encoder.encode("mouse cable usb " * 9, ["keyboard " * 9]))
        lengths.append((len(ids), ids.count(5)))
    assert lengths == [(10, 4), (10, 4)]

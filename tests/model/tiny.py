"""Tiny random cross-encoders of every proven family, with tokenizers trained on a few product texts."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAMILIES = ("bert", "distilbert", "electra", "roberta", "xlm-roberta", "deberta-v2", "modernbert")
POSITIONS = 48
_LINE = (
    "wireless wired mouse keyboard steel angle bracket 12-gauge deck screw 2x4 white black matte kitchen faucet led "
    "usb-c charger café crème straße зарядка 充电器 이어폰 outdoor paint gallon (2nd gen.) 5-1/2in. cordless drill 18v"
)
_WORDS = _LINE.split()
_SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_BERT_NAMES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROBERTA_NAMES = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def texts(count: int, seed: int = 0, longest: int = 24) -> list[str]:
    """Return product-like texts of 1 to `longest` words."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(_WORDS, k=draw.randint(1, longest))) for _ in range(count)]


def _wordpiece() -> transformers.PreTrainedTokenizerFast:
    raw = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    raw.normalizer = normalizers.BertNormalizer()
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    raw.train_from_iterator(texts(200), trainers.WordPieceTrainer(vocab_size=300, special_tokens=list(_BERT_NAMES)))
    return transformers.BertTokenizer(vocab=raw.get_vocab(), model_max_length=POSITIONS)


def _byte_bpe(names: tuple[str, ...]) -> Tokenizer:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=list(names), initial_alphabet=alphabet)
    raw.train_from_iterator(texts(200), trainer)
    return raw


def _roberta() -> transformers.PreTrainedTokenizerFast:
    import json

    trained = json.loads(_byte_bpe(_ROBERTA_NAMES).to_str())["model"]
    return transformers.RobertaTokenizer(
        vocab=trained["vocab"], merges=[tuple(merge) for merge in trained["merges"]], model_max_length=POSITIONS
    )


def _modernbert() -> transformers.PreTrainedTokenizerFast:
    raw = _byte_bpe(_BERT_NAMES)
    cls, sep = raw.token_to_id("[CLS]"), raw.token_to_id("[SEP]")
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", cls), ("[SEP]", sep)]
    )
    return _wrapped(raw, model_max_length=POSITIONS, model_input_names=["input_ids", "attention_mask"])


def _wrapped(raw: Tokenizer, **settings: Any) -> transformers.PreTrainedTokenizerFast:
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), _BERT_NAMES, strict=True))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw, **names, **settings)


def _unigram(names: tuple[str, ...], unknown: str) -> list[tuple[str, float]]:
    import json

    raw = Tokenizer(models.Unigram())
    raw.normalizer = normalizers.NFKC()
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    raw.train_from_iterator(
        texts(200), trainers.UnigramTrainer(vocab_size=300, special_tokens=list(names), unk_token=unknown)
    )
    return [(piece, score) for piece, score in json.loads(raw.to_str())["model"]["vocab"]]


def _xlm_roberta() -> transformers.PreTrainedTokenizerFast:
    vocab = _unigram(_ROBERTA_NAMES, "<unk>")
    return transformers.XLMRobertaTokenizer(vocab=vocab, model_max_length=POSITIONS)


def _deberta() -> transformers.PreTrainedTokenizerFast:
    return transformers.DebertaV2Tokenizer(vocab=_unigram(_BERT_NAMES, "[UNK]"), model_max_length=POSITIONS)


def _configurations() -> dict[str, tuple[Callable[[], Any], Callable[..., Any], dict[str, Any]]]:
    roberta = {"max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1, **_SHAPE}
    bert = {"max_position_embeddings": POSITIONS, **_SHAPE}
    distil = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": POSITIONS}
    relative = {
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 16,
        "type_vocab_size": 0,
    }
    modern = {"global_attn_every_n_layers": 2, "local_attention": 16, "classifier_pooling": "mean"}
    return {
        "bert": (_wordpiece, transformers.BertConfig, bert),
        "distilbert": (_wordpiece, transformers.DistilBertConfig, distil),
        "electra": (_wordpiece, transformers.ElectraConfig, {**bert, "embedding_size": 32}),
        "roberta": (_roberta, transformers.RobertaConfig, roberta),
        "xlm-roberta": (_xlm_roberta, transformers.XLMRobertaConfig, roberta),
        "deberta-v2": (_deberta, transformers.DebertaV2Config, {**bert, **relative}),
        "modernbert": (_modernbert, transformers.ModernBertConfig, {**bert, **modern}),
    }


def save_family(family: str, folder: Path, labels: int = 1) -> Path:
    """Save a random model of the family with its tokenizer, as save_pretrained leaves them."""
    make_tokenizer, make_config, settings = _configurations()[family]
    tokenizer = make_tokenizer()
    special = {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.cls_token_id}
    if family == "modernbert":
        special |= {"cls_token_id": tokenizer.cls_token_id, "sep_token_id": tokenizer.sep_token_id}
    config = make_config(vocab_size=len(tokenizer), num_labels=labels, **settings, **special)
    torch.manual_seed(7)
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # Fresh weights of 0.02 would give every pair the same logit, and nothing could fail.
            if weight.dim() == 2:
                weight.mul_(0.25 / weight.std())
            elif "classifier" in name:
                weight.normal_()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

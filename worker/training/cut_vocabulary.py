"""Cut the vocabulary of a BERT-like WordPiece model to the pieces that a body of text uses.

python -m worker.training.cut_vocabulary --model DIR --text FILE ... --out DIR --pieces N

Kept are the special pieces, every single character in both of its forms (`x` and `##x`), and the pieces that the text
uses most. WordPiece falls back to shorter pieces where a longer one is gone, so a word is split further but no text
becomes [UNK] that was not before.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np

CONTINUATION = "##"
EMBEDDINGS = "embeddings.word_embeddings.weight"
# What a tokenizer's config says about the text; the rest records how the tokenizer was called while training.
TOKENIZER_KEYS = (
    "tokenizer_class",
    "do_lower_case",
    "strip_accents",
    "tokenize_chinese_chars",
    "model_max_length",
    "padding_side",
    "truncation_side",
)
SPECIAL_KEYS = ("unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class UnsuitableModelError(ValueError):
    """The model is not one whose vocabulary this script can cut."""


def strings(value: Any) -> Iterator[str]:
    """Yield every string inside a JSON value; names of fields are not text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


def read_texts(path: Path) -> set[str]:
    """Return the distinct texts of a file: cells of a parquet file, strings of JSON lines (.jsonl), else its lines."""
    if path.suffix != ".parquet":
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return {text for line in lines for text in strings(json.loads(line))} if path.suffix == ".jsonl" else set(lines)
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    columns = [f.name for f in table.schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
    return {cell for name in columns for cell in table[name].unique().to_pylist() if cell}


def count_pieces(tokenizer_file: Path, texts: Iterable[str]) -> Counter[str]:
    """Return how often each piece of the uncut vocabulary occurs in the texts."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_truncation()
    counts: Counter[str] = Counter()
    for encoding in tokenizer.encode_batch(sorted(texts), add_special_tokens=False):
        counts.update(encoding.tokens)
    return counts


def is_single_character(piece: str) -> bool:
    """Say whether the piece is one character, at the start of a word or inside it."""
    return len(piece.removeprefix(CONTINUATION)) == 1 or len(piece) == 1


def choose(vocabulary: dict[str, int], special: set[str], counts: Counter[str], pieces: int) -> list[str]:
    """Return the `pieces` pieces to keep, in the order of their old ids.

    More are kept when the special pieces and single characters alone are more. Equal counts go by the old id, which in
    BERT's vocabulary is the order of frequency in general text.
    """
    by_id = sorted(vocabulary, key=vocabulary.__getitem__)
    kept = {piece for piece in by_id if piece in special or is_single_character(piece)}
    wanted = sorted((p for p in by_id if p not in kept and counts[p] > 0), key=lambda p: (-counts[p], vocabulary[p]))
    kept.update(wanted[: max(0, pieces - len(kept))])
    return [piece for piece in by_id if piece in kept]


def cut_tokenizer(tokenizer: dict[str, Any], kept: Sequence[str]) -> dict[str, Any]:
    """Return tokenizer.json's content with only the kept pieces, numbered from 0, and no truncation of its own.

    Length limits are the server's business: one left in the file would cut texts without a word.
    """
    numbers = {piece: number for number, piece in enumerate(kept)}
    cut = json.loads(json.dumps(tokenizer))
    cut["model"]["vocab"] = numbers
    cut["truncation"] = cut["padding"] = None
    for token in cut["added_tokens"]:
        token["id"] = numbers[token["content"]]
    for name, token in (cut["post_processor"] or {}).get("special_tokens", {}).items():
        token["ids"] = [numbers[name]]
    return dict(cut)


def cut_weights(weights: dict[str, np.ndarray], old_ids: Sequence[int], old_size: int) -> dict[str, np.ndarray]:
    """Return the weights in float16, with only the kept rows of the word embeddings (old_size, hidden).

    Raises UnsuitableModelError unless exactly one weight has a row a piece, and is the word embedding.
    """
    import numpy as np

    tables = [name for name, weight in weights.items() if weight.ndim > 0 and weight.shape[0] == old_size]
    if len(tables) != 1 or not tables[0].endswith(EMBEDDINGS):
        raise UnsuitableModelError(f"expected one word embedding of {old_size} rows, found {tables or 'none'}")
    rows = {tables[0]: weights[tables[0]][list(old_ids)]}
    return {name: np.ascontiguousarray((weights | rows)[name].astype(np.float16)) for name in sorted(weights)}


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise UnsuitableModelError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object as a JSON file a person can read."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def cut(model: Path, texts: Iterable[str], out: Path, pieces: int) -> int:
    """Write the model of one folder into another with a smaller vocabulary, and return how many pieces it has.

    Written are config.json, model.safetensors (float16), tokenizer.json and tokenizer_config.json.
    """
    from safetensors.numpy import load_file, save_file

    tokenizer = read_json(model / "tokenizer.json")
    if tokenizer["model"]["type"] != "WordPiece":
        raise UnsuitableModelError(f"expected a WordPiece tokenizer, found {tokenizer['model']['type']}")
    vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
    special = {token["content"] for token in tokenizer["added_tokens"]}
    kept = choose(vocabulary, special, count_pieces(model / "tokenizer.json", texts), pieces)
    config, calls = read_json(model / "config.json"), read_json(model / "tokenizer_config.json")
    numbers = {"vocab_size": len(kept), "pad_token_id": kept.index(calls["pad_token"]), "dtype": "float16"}

    out.mkdir(parents=True, exist_ok=True)
    weights = cut_weights(load_file(model / "model.safetensors"), [vocabulary[p] for p in kept], len(vocabulary))
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)  # written as 0600, which a package would carry to its users
    write_json(out / "config.json", config | numbers)
    write_json(out / "tokenizer.json", cut_tokenizer(tokenizer, kept))
    write_json(out / "tokenizer_config.json", {k: calls[k] for k in (*TOKENIZER_KEYS, *SPECIAL_KEYS) if k in calls})
    return len(kept)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(prog="python -m worker.training.cut_vocabulary", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="Folder of the uncut model.")
    parser.add_argument("--text", type=Path, nargs="+", required=True, help="Parquet files, or files of lines.")
    parser.add_argument("--out", type=Path, required=True, help="Folder to write.")
    parser.add_argument("--pieces", type=int, required=True, help="How many pieces to keep.")
    options = parser.parse_args(arguments)
    texts = set().union(*(read_texts(path) for path in options.text))
    size = cut(options.model, texts, options.out, options.pieces)
    megabytes = (options.out / "model.safetensors").stat().st_size / 1e6
    print(f"{options.out}: {size} pieces of {len(texts)} texts, model.safetensors {megabytes:.1f} MB")


if __name__ == "__main__":
    main()

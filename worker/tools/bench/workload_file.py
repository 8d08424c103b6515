"""Reads the pairs of a workload from a file: requests as JSON lines, or a table of queries and products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from worker.events.codec import Decoder, InvalidEvent
from worker.exits import Exit, StopError
from worker.records import Partition, Record

if TYPE_CHECKING:
    from pathlib import Path

    from worker.events.codec import EventOptions

# A query and a product's text.
Pair = tuple[str, str]

# Column names of published data sets, by what they mean; a product's text is `text`, or these joined.
_QUERY = ("query", "search_term")
_PRODUCT = ("title", "product_title", "bullets", "bullet_points", "description", "product_description")


class Least(NamedTuple):
    """How many different product texts a file must have, and the subject of the sentence that says so."""

    texts: int
    who: str


def read_texts_once(file: Path, options: EventOptions, least: Least) -> list[Pair]:
    """Return the first pair of each product text. Raises as `read_pairs` does, and for too few texts."""
    found: dict[str, Pair] = {}
    for pair in read_pairs(file, options):
        found.setdefault(pair[1], pair)
    if len(found) < least.texts:
        raise StopError(
            Exit.USAGE,
            f"--input: {least.who} need at least {least.texts:,} different product texts, {file} has {len(found):,}; "
            "give a larger file, or none for synthetic products",
        )
    return list(found.values())


def read_pairs(file: Path, options: EventOptions) -> list[Pair]:
    """Return the pairs of query and product text in a .jsonl file of requests or in a .parquet table.

    A table has a column `query` or `search_term`, and `text` or a product's attributes. Raises StopError(Exit.USAGE).
    """
    if not file.is_file():
        raise StopError(Exit.USAGE, f"--input: cannot read {file}: no such file")
    if file.suffix == ".jsonl":
        return _read_requests(file, options)
    if file.suffix == ".parquet":
        return _read_table(file)
    raise StopError(Exit.USAGE, f"--input: expected a .parquet or .jsonl file, got {file}")


def _read_requests(file: Path, options: EventOptions) -> list[Pair]:
    decoder = Decoder(options)
    found: list[Pair] = []
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise StopError(Exit.USAGE, f"--input: cannot read {file}: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        if value := line.strip():
            try:
                request = decoder.decode(Record(Partition(str(file), 0), number, timestamp_ms=0, key=None, value=value))
            except InvalidEvent as error:
                raise StopError(Exit.USAGE, f"--input: {file}: line {number}: {error}") from error
            found += [(request.query, text) for text in request.texts]
    if not found:
        raise StopError(Exit.USAGE, f"--input: {file}: expected a request a line, got none")
    return found


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

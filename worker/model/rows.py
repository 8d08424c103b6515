"""The pairs of a batch as rows of one flat array, and the groups of them that one forward pass takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from worker.scheduling.cost_model import Load, packed_load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from worker.flow.job import Slice


@dataclass(frozen=True, slots=True)
class RaggedBatch:
    """The n pairs of a batch: row i is `ids[starts[i]:starts[i] + lengths[i]]`, its first `splits[i]` the query's.

    `bounds` int64 (slices + 1,): slice k of the batch is the rows `bounds[k]` to `bounds[k + 1]`.
    """

    ids: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    splits: np.ndarray
    bounds: np.ndarray

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.lengths)

    @property
    def tokens(self) -> int:
        """Return the number of real tokens."""
        return int(self.lengths.sum())


class Padded(NamedTuple):
    """Rows as rectangles (rows, width): ids and token types int64, mask bool; `full` where no row is padded."""

    ids: np.ndarray
    mask: np.ndarray
    types: np.ndarray
    full: bool


@dataclass(frozen=True, slots=True)
class Widths:
    """How wide a group of rows is: its longest row, up to a multiple, but no wider than `most` or its longest row.

    oneDNN makes kernels for every shape that it has not seen, on the way to results in bfloat16 above all: with the
    widths of real texts a fifth of the time went there.
    """

    multiple: int = 1
    most: int = 0

    def of(self, longest: int) -> int:
        """Return the width of a group whose longest row is this long."""
        return max(longest, min(self.most, -(-longest // self.multiple) * self.multiple))


AS_LONG_AS_ROWS = Widths()
_ROUND = 16


def widths_for(dtype: str, positions: int) -> Widths:
    """Return the widths that are the fastest on a CPU, of a model with so many positions; dtype as in "bfloat16"."""
    return Widths(_ROUND, positions) if dtype == "bfloat16" else AS_LONG_AS_ROWS


def rows_of(batch: list[Slice]) -> RaggedBatch:
    """Lay the slices of a batch end to end; their jobs must hold their pairs."""
    ids, lengths, splits, counts = [], [], [], [0]
    for job, start, stop in batch:
        pairs = job.scoring.pairs
        if pairs is None:
            raise ValueError("expected a job with its pairs encoded, got one without pairs")
        offsets = pairs.offsets[start : stop + 1]
        ids.append(pairs.ids[offsets[0] : offsets[-1]])
        lengths.append(offsets[1:] - offsets[:-1])
        splits.append(pairs.splits[start:stop])
        counts.append(stop - start)
    long = np.concatenate(lengths) if lengths else np.zeros(0, np.int64)
    return RaggedBatch(
        ids=np.concatenate(ids) if ids else np.zeros(0, np.int32),
        starts=np.cumsum(long) - long,
        lengths=long,
        splits=np.concatenate(splits) if splits else np.zeros(0, np.int32),
        bounds=np.cumsum(counts),
    )


def any_rows(lengths: np.ndarray, vocabulary: int) -> RaggedBatch:
    """Return rows of these lengths, of any ids, to hold one way of computing against another."""
    ids = np.random.default_rng(0).integers(vocabulary, size=int(lengths.sum()), dtype=np.int32)
    return RaggedBatch(ids, np.cumsum(lengths) - lengths, lengths, lengths // 3, np.array([0, len(lengths)]))


def groups_of(lengths: np.ndarray, limit: int, widths: Widths = AS_LONG_AS_ROWS) -> Iterator[np.ndarray]:
    """Yield the row numbers of each group: rows of like length, at most `limit` padded tokens, at least one row.

    The longest come first, so that what does not fit into memory shows before the work is done.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        rows = max(1, limit // max(1, widths.of(int(lengths[order[start]]))))
        yield order[start : start + rows]
        start += rows


def even_groups(lengths: np.ndarray, limit: int, widths: Widths, *, at_once: int) -> list[np.ndarray]:
    """Return such groups for threads that compute so many at once: none of them stands idle in the last round."""
    groups = list(groups_of(lengths, limit, widths))
    if at_once == 1:
        return groups
    passes = -(-len(groups) // at_once) * at_once
    each = -(-padded_load(lengths, groups, widths).tokens // passes)
    while len(groups := list(groups_of(lengths, each, widths))) > passes:
        each += 1 + each // 16
    return groups


def padded_load(
    lengths: np.ndarray, groups: Iterable[np.ndarray], widths: Widths = AS_LONG_AS_ROWS, *, at_once: int = 1
) -> Load:
    """Return what is computed of rows of these lengths in these groups, the longest row of each first."""
    tokens = squares = passes = 0
    for chosen in groups:
        width = widths.of(int(lengths[chosen[0]]))
        tokens, squares, passes = tokens + len(chosen) * width, squares + len(chosen) * width**2, passes + 1
    return Load(tokens, squares, max(1, -(-passes // at_once)))


def packed_passes(lengths: np.ndarray, limit: int, *, at_once: int = 1) -> Load:
    """Return what is computed of rows of these lengths without padding, in passes of about so many tokens.

    Passes that are computed at the same time count as one.
    """
    load = packed_load(lengths)
    return load._replace(passes=max(1, -(-load.tokens // (limit * at_once))))


def pad(rows: RaggedBatch, chosen: np.ndarray, pad_id: int, widths: Widths = AS_LONG_AS_ROWS) -> Padded:
    """Lay the chosen rows into rectangles, padded on the right."""
    lengths = rows.lengths[chosen]
    steps = np.arange(widths.of(int(lengths.max())))
    mask = steps < lengths[:, None]
    # Past a row's end the index runs into the next row, and past the last into nothing: both are masked.
    index = np.minimum(rows.starts[chosen][:, None] + steps, len(rows.ids) - 1)
    ids = np.where(mask, rows.ids[index], pad_id).astype(np.int64)
    types = (mask & (steps >= rows.splits[chosen][:, None])).astype(np.int64)
    return Padded(ids, mask, types, bool(mask.all()))

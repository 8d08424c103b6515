"""What runs on the device, in Triton: Python's grammar, but a language of its own. triton_ops launches it.

A block of threads has the numbers that a program here works on. Sums are in float32, and rounded once at the end.
"""

import triton
import triton.language as tl


@triton.jit
def _normed(rows, norm, bias, columns, inside, width, eps):
    """Return the LayerNorm of rows, (ROWS, BLOCK), in float32; what is not inside is zero."""
    centred = tl.where(inside, rows - tl.sum(rows, 1)[:, None] / width, 0.0)
    scale = 1 / tl.sqrt(tl.sum(centred * centred, 1) / width + eps)
    weights = tl.load(norm + columns, mask=columns < width, other=0.0).to(tl.float32)
    biases = tl.load(bias + columns, mask=columns < width, other=0.0).to(tl.float32)
    return centred * scale[:, None] * weights[None, :] + biases[None, :]


@triton.jit
def _row_of(table, indices, numbers, columns, inside, count, width):
    """Return the rows of a table that the indices name, (ROWS, BLOCK), in float32; what is not inside is zero."""
    index = tl.load(indices + numbers, mask=numbers < count, other=0).to(tl.int64)
    return tl.load(table + index[:, None] * width + columns[None, :], mask=inside, other=0.0).to(tl.float32)


@triton.jit(do_not_specialize=["count"])
def add_norm(rows, added, norm, bias, count, width, eps, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """Put the LayerNorm of a sum of two rows in the place of the first, ROWS at a time."""
    numbers = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, BLOCK)
    inside = (numbers < count)[:, None] & (columns < width)[None, :]
    where = numbers[:, None] * width + columns[None, :]
    total = tl.load(rows + where, mask=inside, other=0.0).to(tl.float32)
    total += tl.load(added + where, mask=inside, other=0.0).to(tl.float32)
    normed = _normed(total, norm, bias, columns, inside, width, eps)
    tl.store(rows + where, normed.to(rows.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["count", "ids", "types", "positions"])
def embed(
    ids, types, positions, words, kinds, places, norm, bias, found, count, width, eps,
    ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Find the LayerNorm of the sum of a token's three embeddings, ROWS tokens at a time."""
    numbers = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, BLOCK)
    inside = (numbers < count)[:, None] & (columns < width)[None, :]
    total = _row_of(words, ids, numbers, columns, inside, count, width)
    total += _row_of(kinds, types, numbers, columns, inside, count, width)
    total += _row_of(places, positions, numbers, columns, inside, count, width)
    normed = _normed(total, norm, bias, columns, inside, width, eps)
    where = numbers.to(tl.int64)[:, None] * width + columns[None, :]
    tl.store(found + where, normed.to(found.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["pairs", "cu_seqlens", "count"])
def attend(
    query, key, value, found, pairs, cu_seqlens, count, scale,
    HEADS: tl.constexpr, WIDTH: tl.constexpr, QUERIES: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    """Let a block of queries see, of all the keys of their pairs, those of its own pair each."""
    columns = tl.program_id(0) * WIDTH + tl.arange(0, WIDTH)
    first = tl.program_id(1) * QUERIES
    rows = first + tl.arange(0, QUERIES)
    inside = rows < count
    own = tl.load(pairs + rows, mask=inside, other=-1)
    start = tl.load(cu_seqlens + tl.load(pairs + first))
    end = tl.load(cu_seqlens + tl.load(pairs + tl.minimum(first + QUERIES, count) - 1) + 1)
    row = rows.to(tl.int64)[:, None] * (HEADS * WIDTH)
    asked = tl.load(query + 3 * row + columns[None, :], mask=inside[:, None], other=0.0)
    highest = tl.full((QUERIES,), -1e30, tl.float32)
    total = tl.zeros((QUERIES,), tl.float32)
    attended = tl.zeros((QUERIES, WIDTH), tl.float32)
    for begin in range(start, end, KEYS):
        others = begin + tl.arange(0, KEYS)
        known = others < end
        where = others.to(tl.int64)[:, None] * (3 * HEADS * WIDTH) + columns[None, :]
        seen = tl.load(key + where, mask=known[:, None], other=0.0)
        given = tl.load(value + where, mask=known[:, None], other=0.0)
        theirs = tl.load(pairs + others, mask=known, other=-2)
        likeness = tl.where(own[:, None] == theirs[None, :], tl.dot(asked, seen.T) * scale, float("-inf"))
        higher = tl.maximum(highest, tl.max(likeness, 1))
        weights = tl.exp2(likeness - higher[:, None])
        shrunk = tl.exp2(highest - higher)
        total = total * shrunk + tl.sum(weights, 1)
        attended = tl.dot(weights.to(given.dtype), given, attended * shrunk[:, None])
        highest = higher
    whole = attended / tl.maximum(total, 1.0)[:, None]  # the nearest key has a weight of one
    tl.store(found + row + columns[None, :], whole.to(found.dtype.element_ty), mask=inside[:, None])


@triton.jit(do_not_specialize=["cu_seqlens"])
def attend_once(
    asked, key, value, found, cu_seqlens, scale,
    HEADS: tl.constexpr, WIDTH: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    """Let the one query of a pair see its keys."""
    pair = tl.program_id(1)
    columns = tl.program_id(0) * WIDTH + tl.arange(0, WIDTH)
    start, end = tl.load(cu_seqlens + pair), tl.load(cu_seqlens + pair + 1)
    if start == end:
        return
    at = pair.to(tl.int64) * (HEADS * WIDTH) + columns
    query = tl.load(asked + at).to(tl.float32) * scale
    highest = tl.max(tl.full((KEYS,), -1e30, tl.float32), 0)
    total = tl.sum(tl.zeros((KEYS,), tl.float32), 0)
    attended = tl.zeros((WIDTH,), tl.float32)
    for begin in range(start, end, KEYS):
        others = begin + tl.arange(0, KEYS)
        known = others < end
        where = others.to(tl.int64)[:, None] * (2 * HEADS * WIDTH) + columns[None, :]
        seen = tl.load(key + where, mask=known[:, None], other=0.0).to(tl.float32)
        given = tl.load(value + where, mask=known[:, None], other=0.0).to(tl.float32)
        likeness = tl.where(known, tl.sum(seen * query[None, :], 1), float("-inf"))
        higher = tl.maximum(highest, tl.max(likeness, 0))
        weights = tl.exp2(likeness - higher)
        shrunk = tl.exp2(highest - higher)
        total = total * shrunk + tl.sum(weights, 0)
        attended = attended * shrunk + tl.sum(weights[:, None] * given, 0)
        highest = higher
    tl.store(found + at, (attended / total).to(found.dtype.element_ty))

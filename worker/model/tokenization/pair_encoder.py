"""Turns a query and its products into pairs of token ids, each text tokenized once."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from worker.exits import ENDS
from worker.flow.job import Pairs
from worker.model.tokenization.template import first_segment
from worker.model.tokenization.truncation import keep

if TYPE_CHECKING:
    from worker.model.options import Truncation
    from worker.model.tokenization.template import Template
    from worker.model.tokenization.token_cache import TokenCache
    from worker.model.tokenization.tokenizer import PairTokenizer

_ID = 4  # bytes of one int32 id


class PairEncoder:
    """Encodes events for one thread; encoders of one model share `cache`.

    `joins` says whether pairs are put together from cached ids; where the tokenizer's own pairs differ, they are
    encoded as pairs, which is some hundred times slower.
    """

    def __init__(self, tokenizer: PairTokenizer, cache: TokenCache, max_length: int, truncation: Truncation) -> None:
        self._open = tokenizer.open
        self._tokenizer = self._open()
        self._cache = cache
        self._max_length = max_length
        self._room = max_length - tokenizer.special
        self._truncation: Truncation = truncation
        self._left = tokenizer.left
        self._template = tokenizer.template
        self.joins = self._template is not None
        if self._template is not None:
            parts = (self._template.prefix, self._template.middle, self._template.suffix)
            self._prefix, self._middle, self._suffix = map(_bytes, parts)

    def encode(self, query: str, texts: list[str]) -> Pairs:
        """Return the pairs of the query with each of n texts, cut to the maximum length.

        The ids are those of transformers' `tokenizer([query] * n, texts, truncation=...)`. May be called again after
        whatever it raised.
        """
        try:
            return self._encode(query, texts)
        except (Exception, *ENDS):
            raise
        except BaseException:  # a panic may leave locks behind that make every later call panic too
            self._tokenizer = self._open()
            raise

    def _encode(self, query: str, texts: list[str]) -> Pairs:
        if self._template is None:
            return self._encode_pairs(query, texts)
        head = _bytes(self._tokenizer.encode(query, add_special_tokens=False).ids)
        return self._join(self._template, head, self._look_up(texts))

    def _look_up(self, texts: list[str]) -> list[bytes]:
        found = self._cache.get(texts)
        if None not in found:
            return found  # type: ignore[return-value]
        # A dictionary keeps the order and drops what one list holds twice.
        cold = list(dict.fromkeys(text for text, ids in zip(texts, found, strict=True) if ids is None))
        encodings = self._tokenizer.encode_batch_fast(cold, add_special_tokens=False)
        fresh = {text: _bytes(encoding.ids) for text, encoding in zip(cold, encodings, strict=True)}
        self._cache.put(fresh)
        return [fresh[text] if ids is None else ids for text, ids in zip(texts, found, strict=True)]

    def _join(self, template: Template, query: bytes, products: list[bytes]) -> Pairs:
        prefix, middle, suffix = self._prefix, self._middle, self._suffix
        n, asked = len(products), len(query) // _ID
        lengths = np.fromiter(map(len, products), np.int64, n) // _ID
        fixed = len(template.prefix) + template.first
        if not n or int(lengths.max()) + asked <= self._room:
            # The separator of the join is what lies between two products: no Python runs for a pair.
            head = prefix + query + middle
            flat = head + (suffix + head).join(products) + suffix if n else b""
            return _pairs(flat, lengths + asked + len(template), np.full(n, fixed + asked, np.int32), 0)
        long = np.flatnonzero(lengths + asked > self._room)
        asked_kept, lengths_kept = keep(asked, lengths, self._room, self._truncation)
        pieces = [prefix, query, middle, b"", suffix] * n
        pieces[3::5] = products
        for at in long.tolist():
            pieces[5 * at + 1] = self._cut(query, int(asked_kept[at]))
            pieces[5 * at + 3] = self._cut(products[at], int(lengths_kept[at]))
        splits = (fixed + asked_kept).astype(np.int32)
        return _pairs(b"".join(pieces), asked_kept + lengths_kept + len(template), splits, len(long))

    def _cut(self, ids: bytes, kept: int) -> bytes:
        return ids[len(ids) - kept * _ID :] if self._left else ids[: kept * _ID]

    def _encode_pairs(self, query: str, texts: list[str]) -> Pairs:
        tokenizer, side = self._tokenizer, "left" if self._left else "right"
        tokenizer.no_truncation()
        if self._truncation == "only_second":
            query = self._shorten(query)
        encodings = tokenizer.encode_batch_fast([(query, text) for text in texts])
        truncated = sum(len(encoding) > self._max_length for encoding in encodings)
        if truncated:
            tokenizer.enable_truncation(self._max_length, strategy=self._truncation, direction=side)
            encodings = tokenizer.encode_batch_fast([(query, text) for text in texts])
        lengths = np.fromiter(map(len, encodings), np.int64, len(encodings))
        splits = [first_segment(encoding.type_ids) or 0 for encoding in encodings]
        flat = b"".join(_bytes(encoding.ids) for encoding in encodings)
        return _pairs(flat, lengths, np.array(splits, np.int32), truncated)

    def _shorten(self, query: str) -> str:
        """Return a query whose tokens leave room for a product's, cut to half of the room where they do not."""
        encoding = self._tokenizer.encode(query, add_special_tokens=False)
        if len(encoding) < self._room:
            return query
        half = self._room // 2
        return query[encoding.offsets[-half][0] :] if self._left else query[: encoding.offsets[half - 1][1]]


def _bytes(ids: list[int] | tuple[int, ...]) -> bytes:
    return array("i", ids).tobytes()


def _pairs(flat: bytes, lengths: np.ndarray, splits: np.ndarray, truncated: int) -> Pairs:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return Pairs(np.frombuffer(flat, np.int32), offsets, splits, truncated)

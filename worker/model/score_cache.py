"""Remembers the logits of pairs, least recently used out first, within a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from worker.model.tokenization.duplicate_pairs import bytes_of

if TYPE_CHECKING:
    from worker.flow.job import Job, ModelName

# The dictionary's entry with its two links, a key of 16 bytes with its header, and a float.
ENTRY_BYTES = 200
_KEY_BYTES = 16


class ScoreCache:
    """Pairs of query and product to their logit; shared by the tokenizer threads and the scorer.

    The key is a hash of the model and of the pair's token ids, which are all that the model sees of the texts. `hits`
    and `misses` only grow.
    """

    def __init__(self, capacity_bytes: int, model: ModelName) -> None:
        self.hits = 0
        self.misses = 0
        self._capacity = capacity_bytes // ENTRY_BYTES
        self._entries: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()
        self._start = blake2b(f"{model.id}\0{model.revision}\0".encode(), digest_size=_KEY_BYTES)

    def __len__(self) -> int:
        return len(self._entries)

    def look_up(self, job: Job) -> None:
        """Take the pairs whose logit is remembered out of those that a job expects."""
        pairs = job.scoring.pairs
        if pairs is None:
            raise ValueError("expected a job with its pairs encoded, got one without pairs")
        keys = [self._key(ids, split) for ids, split in zip(bytes_of(pairs), pairs.splits.tolist(), strict=True)]
        logits = self._get(keys)
        missing = np.flatnonzero(np.isnan(logits))
        job.scoring.keys = [keys[number] for number in missing.tolist()]
        if len(missing) == len(keys):
            return
        old = np.arange(len(keys)) if pairs.places is None else pairs.places
        new = np.full(len(keys), -1)
        new[missing] = np.arange(len(missing))
        job.scoring.known = logits[old]
        job.scoring.expect(pairs.take(missing, new[old]))

    def remember(self, keys: list[bytes], logits: np.ndarray) -> None:
        """Remember the logits (n,) of pairs, by the keys that look_up gave their job; NaN is not remembered."""
        with self._lock:
            for key, logit in zip(keys, logits.tolist(), strict=True):
                if logit == logit:  # noqa: PLR0124 - NaN is the one number that differs from itself
                    self._entries[key] = logit
                    self._entries.move_to_end(key)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)

    def _get(self, keys: list[bytes]) -> np.ndarray:
        with self._lock:
            entries = self._entries
            found = [entries.get(key, np.nan) for key in keys]
            for key, logit in zip(keys, found, strict=True):
                if logit == logit:  # noqa: PLR0124
                    entries.move_to_end(key)
            logits = np.array(found, np.float32)
            missing = int(np.isnan(logits).sum())
            self.misses += missing
            self.hits += len(keys) - missing
        return logits

    def _key(self, ids: bytes, split: int) -> bytes:
        key = self._start.copy()
        key.update(split.to_bytes(4, "little"))
        key.update(ids)
        return key.digest()

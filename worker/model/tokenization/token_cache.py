"""Remembers the token ids of product texts, least recently used out first, within a number of bytes."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict

# The dictionary's entry with its two links, and the string's header.
_ENTRY_BYTES = 240


class TokenCache:
    """Texts to their ids (int32 as bytes: a pair is then one bytes.join); shared by the tokenizer threads.

    The key is the text itself, so two texts never share an entry. `hits` and `misses` only grow.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, texts: list[str]) -> list[bytes | None]:
        """Return the ids of each text, None where they are not known."""
        with self._lock:
            entries = self._entries
            found = [entries.get(text) for text in texts]
            for text, ids in zip(texts, found, strict=True):
                if ids is not None:
                    entries.move_to_end(text)
            missing = found.count(None)
            self.misses += missing
            self.hits += len(texts) - missing
        return found

    def put(self, fresh: dict[str, bytes]) -> None:
        """Remember the ids of texts; what was not used for longest is forgotten first."""
        with self._lock:
            for text, ids in fresh.items():
                if text not in self._entries:  # another thread may have been faster
                    self._entries[text] = ids
                    self.bytes += _size(text, ids)
            while self.bytes > self.capacity_bytes and self._entries:
                text, ids = self._entries.popitem(last=False)
                self.bytes -= _size(text, ids)


def _size(text: str, ids: bytes) -> int:
    # Not sys.getsizeof(text): it grows when somebody asks a string for its UTF-8, and what is added must be what is
    # taken away. A character outside ASCII takes at most 4 bytes, and 4 more once its UTF-8 is kept beside it.
    return len(text) * (1 if text.isascii() else 8) + sys.getsizeof(ids) + _ENTRY_BYTES

"""Keeps converted models on the disk, so that they are converted once and the torch weights need not be loaded."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from worker.model.loading.source import digest, first_line
from worker.model.openvino.model import core, library
from worker.model.openvino.proof import Reference
from worker.model.rows import RaggedBatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.model.loading.source import Source

log = logging.getLogger(__name__)

_FORMAT = 1  # of an entry
_MADE_BY = ("openvino", "transformers", "torch")
_MODEL, _PROOF = "model.xml", "proof.npz"


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted model (an openvino.Model), what proves it, and how many tokens a pair may have."""

    model: Any
    reference: Reference
    positions: int


class ConversionCache:
    """One model's place in the cache: a folder `ID-KEY`.

    The key is made of all that decides the conversion, the content of the model's files above all: a folder's
    revision may be a mere label.
    """

    def __init__(self, folder: str | None, source: Source) -> None:
        made_of = [_FORMAT, source.name.id, source.name.revision, digest(source.folder), *map(version, _MADE_BY)]
        key = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]
        self._folder = Path(folder).expanduser() if folder else user_cache(os.environ)
        self._entry = self._folder / f"{re.sub(r'[^A-Za-z0-9.-]+', '-', source.name.id)}-{key}"

    def read(self) -> Conversion | None:
        """Return what is kept; None where nothing is, or nothing that can be used."""
        if not self._entry.exists():
            return None
        try:
            with np.load(self._entry / _PROOF, allow_pickle=False) as proof:
                ids, lengths, splits = proof["ids"], proof["lengths"], proof["splits"]
                logits, positions = proof["logits"], int(proof["positions"])
            rows = RaggedBatch(ids, np.cumsum(lengths) - lengths, lengths, splits, np.array([0, len(lengths)]))
            # The weights are mapped, not read: replicas of one machine share their pages.
            return Conversion(core().read_model(self._entry / _MODEL), Reference(rows, logits), positions)
        except Exception as error:
            self.discard(first_line(error))
            return None

    def discard(self, reason: str) -> None:
        """Take away what is kept and cannot be used."""
        log.warning(
            "the converted model in %(place)s cannot be used and is made anew: %(reason)s",
            {"place": self._entry, "reason": reason},
            extra={"event": "conversion_unusable"},
        )
        # Out of the way in one step, so that nobody finds half of it; who has mapped it keeps it.
        with suppress(OSError), tempfile.TemporaryDirectory(prefix=".", dir=self._folder) as passing:
            self._entry.rename(Path(passing) / self._entry.name)

    def write(self, conversion: Conversion) -> None:
        """Keep a conversion; where that cannot be, say so and go on."""
        rows = conversion.reference.rows
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".", dir=self._folder) as passing:
                made = Path(passing) / self._entry.name
                made.mkdir()
                library().save_model(conversion.model, made / _MODEL, compress_to_fp16=False)
                np.savez(
                    made / _PROOF,
                    ids=rows.ids,
                    lengths=rows.lengths,
                    splits=rows.splits,
                    logits=conversion.reference.logits,
                    positions=conversion.positions,
                )
                # All or nothing, also for those who look now.
                made.rename(self._entry)
        except (OSError, RuntimeError) as error:
            if isinstance(error, OSError) and error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                return  # another replica was first
            log.warning(
                "the converted model cannot be kept in %(place)s: %(error)s",
                {"place": self._folder, "error": first_line(error)},
                extra={"event": "conversion_not_kept"},
            )


def user_cache(environ: Mapping[str, str]) -> Path:
    """Return the folder for converted models in the user's cache, as the XDG base directory specification has it."""
    root = Path(environ.get("XDG_CACHE_HOME", ""))
    if not root.is_absolute():  # the specification says to ignore it then
        # A user without a home has none in the root folder, where only root may write.
        root = Path(environ.get("HOME") or "/") / ".cache"
    return root / "rerank-worker" / "openvino"

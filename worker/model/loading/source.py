"""Finds a model's folder, on disk or through the hub, and names what is in it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.exits import Exit, StopError
from worker.flow.job import ModelName

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
_SMALL_FILES = ["*.json", "*.txt", "*.model"]
_SAFETENSORS = ["model.safetensors", "model-*.safetensors"]
_PICKLES = ["pytorch_model.bin", "pytorch_model-*.bin"]
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """A model folder that has a configuration, a tokenizer and weights.

    `config` is config.json as it stands; nothing it names has been imported.
    """

    folder: Path
    name: ModelName
    config: dict[str, Any]

    @property
    def product_fields(self) -> tuple[str, ...] | None:
        """The attributes of a product that the model was trained to read, where its config.json names them.

        Raises StopError where that is no list of names.
        """
        found = self.config.get("product_fields")
        if found is None:
            return None
        if not isinstance(found, list) or not found or not all(isinstance(name, str) for name in found):
            shown = json.dumps(found)
            raise refuse(self.name.id, f"config.json: product_fields: expected a list of attributes, got {shown:.100}.")
        return tuple(found)


def refuse(model: str, problem: str) -> StopError:
    """Return the error that ends the worker because of its model, on one line."""
    return StopError(Exit.MODEL, f"model {model!r}: {' '.join(problem.split())}")


def first_line(error: BaseException) -> str:
    """Return what an error of a library says, cut to its first line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def find_source(model: str, revision: str | None) -> Source:
    """Find a model by its folder or hub id; a hub id is downloaded, or taken from the hub's local cache.

    Raises StopError where there is no such folder or hub model, or where the folder lacks a file.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        config = _check_files(model, path)
        return Source(path, ModelName(path.resolve().name, revision or digest(path)), config)
    if path.exists():
        raise refuse(model, "expected a folder with config.json, tokenizer.json and model.safetensors, got a file.")
    if not _HUB_ID.fullmatch(model) or model.startswith("."):
        raise refuse(model, "no such folder. Give a folder, or a hub id such as owner/name.")
    path = _download(model, revision)
    # A snapshot's folder is named by its commit.
    return Source(path, ModelName(model, path.name), _check_files(model, path))


def _download(model: str, revision: str | None) -> Path:
    # Imported late: --help answers without it.
    from huggingface_hub import snapshot_download

    try:
        path = Path(snapshot_download(model, revision=revision, allow_patterns=_SMALL_FILES + _SAFETENSORS))
        if not any(_matches(path, _SAFETENSORS)):
            path = Path(snapshot_download(model, revision=revision, allow_patterns=_SMALL_FILES + _PICKLES))
    except Exception as error:
        at = f" at revision {revision!r}" if revision else ""
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
        raise refuse(
            model,
            f"no such folder here, and it could not be had from the hub{at}{offline}: {first_line(error)} "
            "Download the model where the hub can be reached, and give its folder.",
        ) from error
    return path


def _check_files(model: str, folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except FileNotFoundError:
        raise refuse(model, f"expected a model folder, but {folder} has no config.json.") from None
    except ValueError as error:
        raise refuse(model, f"config.json cannot be read: {first_line(error)}") from error
    if not isinstance(config, dict):
        raise refuse(model, f"config.json: expected an object, got {type(config).__name__}.")
    if not (folder / "tokenizer.json").is_file():
        raise refuse(
            model,
            f"{folder} has no tokenizer.json, the fast tokenizer. Make it with "
            "AutoTokenizer.from_pretrained(folder).save_pretrained(folder).",
        )
    if not any(_matches(folder, _SAFETENSORS + _PICKLES)):
        raise refuse(model, f"{folder} has no weights: expected model.safetensors or pytorch_model.bin.")
    return config


def _matches(folder: Path, patterns: list[str]) -> list[Path]:
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


def digest(folder: Path) -> str:
    """Return 12 hex digits that change when the weights, the tokenizer or the configuration change."""
    found = hashlib.sha256()
    weights = _matches(folder, _SAFETENSORS) or _matches(folder, _PICKLES)
    settings = [folder / name for name in ("config.json", "tokenizer.json", "tokenizer_config.json")]
    for path in [*settings, *weights]:
        if not path.is_file():
            continue
        found.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                found.update(block)
    return found.hexdigest()[:12]

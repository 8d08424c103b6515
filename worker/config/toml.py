"""The settings as a TOML file: read, and written."""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from worker.config.validation import Given
from worker.exits import Exit, StopError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from _typeshed import DataclassInstance

    from worker.config.options import Option


def read_file(path: Path, known: Mapping[str, Option]) -> dict[str, Given]:
    """Return what a file gives, by option. Raises StopError(Exit.USAGE) where it cannot be read or names no option."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StopError(Exit.USAGE, f"--config: cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StopError(Exit.USAGE, f"--config: {path} is not TOML: {error}") from error
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise StopError(Exit.USAGE, f"{path}: {name} is not an option{hint}")
    return {name: Given(value, f"{name} in {path}") for name, value in values.items()}


def to_toml(settings: DataclassInstance) -> str:
    """Return groups of options as the TOML file that would give them; of secrets only that they are set."""
    lines = []
    for group in dataclasses.fields(settings):
        lines.append(f"# {group.name}")
        values = getattr(settings, group.name)
        lines.extend(_toml_line(field.name, getattr(values, field.name)) for field in dataclasses.fields(values))
        lines.append("")
    return "\n".join(lines)


def _toml_line(name: str, value: Any) -> str:
    if value is None:
        return f"# {name} is not set"
    if isinstance(value, SecretStr):
        return f"# {name} is set, and not shown"
    return f"{name} = {_toml(value)}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    # TOML knows both of JSON's escapes and this one; a control character that JSON leaves as it is, it does not take.
    letters = json.dumps(str(value), ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in letters)

"""Makes option groups of the values that were given, or one line that names each wrong one and where it was set."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from worker.config.options import Option
from worker.exits import Exit, StopError


@dataclass(frozen=True, slots=True)
class Given:
    """A value and where it came from, for the error that names the place."""

    value: Any
    source: str

    @classmethod
    def of(cls, option: Option, value: Any, source: str) -> Self:
        """Return a value of an option, split at its commas where it is a list."""
        if option.is_list and isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        return cls(value, source)


def build_groups(groups: Mapping[str, type], given: Mapping[str, Given]) -> dict[str, Any]:
    """Return each group, an instance of its dataclass, made of the values that are given for its options.

    Raises StopError(Exit.USAGE) with one line that names each wrong option, where it was set, and what was expected.
    """
    built: dict[str, Any] = {}
    troubles: list[str] = []
    for name, kind in groups.items():
        try:
            built[name] = _build(kind, given)
        except ValidationError as error:
            troubles.extend(_explain(found, given) for found in error.errors())
    if troubles:
        raise StopError(Exit.USAGE, "; ".join(troubles))
    return built


def in_our_words(message: str) -> str:
    """Return what pydantic says of a wrong value as everything else says it."""
    words = re.sub(r"\b[A-Z]\w+ should (be|have)\b", "expected", message).replace("Value error, ", "")
    return re.split(", unable| after validation", words)[0]


def _build(kind: type, given: Mapping[str, Given]) -> Any:
    names = {field.name for field in dataclasses.fields(kind)}
    # No option means anything as nan or infinity, and few lines of code would survive it.
    finite = with_config(ConfigDict(allow_inf_nan=False))(kind)
    return TypeAdapter(finite).validate_python({name: one.value for name, one in given.items() if name in names})


def _explain(found: Any, given: Mapping[str, Given]) -> str:
    name = str(found["loc"][0]) if found["loc"] else ""
    expected = in_our_words(found["msg"])
    one = given.get(name)
    if one is None:
        return expected
    shown = "" if "password" in name else f", got {one.value!r}"
    return f"{one.source}: {expected}{shown}"

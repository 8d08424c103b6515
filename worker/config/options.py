"""What options there are: each is declared once, as an annotated field of a dataclass beside what it configures."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typing_extensions import Doc

PREFIX = "RERANK_"


@dataclass(frozen=True, slots=True)
class Option:
    """One option, as its dataclass field declares it: the only place that names, explains and defaults it."""

    name: str
    group: str
    type: Any
    help: str
    default: Any

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return PREFIX + self.name.upper()

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off."""
        return self.type is bool

    @property
    def is_list(self) -> bool:
        """Whether it takes several values, written with commas."""
        return any(typing.get_origin(kind) is tuple for kind in self._kinds)

    @property
    def choices(self) -> tuple[str, ...]:
        """What it may be, where that is a fixed list."""
        return tuple(
            word for kind in self._kinds if typing.get_origin(kind) is typing.Literal for word in typing.get_args(kind)
        )

    @property
    def _kinds(self) -> tuple[Any, ...]:
        """The types it may have, of which None is one where it may be left unset."""
        return typing.get_args(self.type) if isinstance(self.type, types.UnionType) else (self.type,)


def options(groups: Mapping[str, type]) -> list[Option]:
    """Return every option of the groups, in the order they are declared."""
    found = []
    for group, kind in groups.items():
        hints = typing.get_type_hints(kind, include_extras=True)
        for field in dataclasses.fields(kind):
            annotated = hints[field.name]
            meaning = next(part.documentation for part in annotated.__metadata__ if isinstance(part, Doc))
            found.append(Option(field.name, group, annotated.__origin__, meaning, field.default))
    return found

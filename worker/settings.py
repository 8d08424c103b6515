"""Gathers every option group; reads a TOML file, RERANK_… variables and flags, the later over the earlier."""

import dataclasses
import difflib
import json
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, SecretStr, TypeAdapter, ValidationError, with_config
from typing_extensions import Doc

from worker.costs import CostOptions
from worker.dead_letter_limits import DeadLetterLimits
from worker.delivery import DeliveryOptions
from worker.door import DoorLimits
from worker.events import EventOptions
from worker.exits import Exit, StopError
from worker.kafka_io import KafkaOptions
from worker.logs import LogOptions
from worker.loop import LoopOptions
from worker.model.options import ModelOptions
from worker.scheduler import BatchLimits
from worker.server import ServerOptions
from worker.stages import StageOptions
from worker.traces import TraceOptions
from worker.watchdog import WatchdogOptions

G = TypeVar("G")
PREFIX = "RERANK_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All options of a worker, by the part that they configure."""

    kafka: KafkaOptions
    delivery: DeliveryOptions
    events: EventOptions
    model: ModelOptions
    batch: BatchLimits
    costs: CostOptions
    door: DoorLimits
    dead_letters: DeadLetterLimits
    stages: StageOptions
    loop: LoopOptions
    watchdog: WatchdogOptions
    server: ServerOptions
    logs: LogOptions
    traces: TraceOptions

    def __post_init__(self) -> None:
        """Refuse combinations across the parts that cannot work. Raises ValueError, which names the options."""
        linger_s, timeout_s = self.kafka.linger_s, self.delivery.transaction_timeout_s
        if self.delivery.delivery == "exactly-once" and linger_s >= timeout_s:
            raise ValueError(f"linger_s {linger_s:g} needs a larger transaction_timeout_s, got {timeout_s:g}")


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
        return typing.get_origin(self.type) is tuple

    @property
    def choices(self) -> tuple[str, ...]:
        """What it may be, where that is a fixed list."""
        kinds = typing.get_args(self.type) if isinstance(self.type, types.UnionType) else (self.type,)
        return tuple(
            word for kind in kinds if typing.get_origin(kind) is typing.Literal for word in typing.get_args(kind)
        )


def group_types() -> dict[str, type]:
    """Return the option groups by name."""
    hints = typing.get_type_hints(Settings)
    return {field.name: hints[field.name] for field in dataclasses.fields(Settings)}


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


@dataclass(frozen=True, slots=True)
class _Given:
    """A value and where it came from, for the error that names the place."""

    value: Any
    source: str


def load(flags: Mapping[str, Any], environ: Mapping[str, str], defaults: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings: defaults, under the TOML file that `config` names, under the environment, under the flags.

    `defaults` are those of a command that chooses others than the options' own.
    Raises StopError(Exit.USAGE) with one line that names each wrong option, where it was set, and what was expected.
    """
    groups = group_types()
    known = {option.name: option for option in options(groups)}
    given = {name: _Given(value, known[name].flag) for name, value in (defaults or {}).items()}
    file = flags.get("config") or environ.get(PREFIX + "CONFIG")
    if file:
        given.update(_from_file(Path(file), known))
    for option in known.values():
        if (value := environ.get(option.variable)) is not None:
            given[option.name] = _Given(_split(option, value), option.variable)
        if (value := flags.get(option.name)) is not None:
            given[option.name] = _Given(_split(option, value), option.flag)
    built: dict[str, Any] = {}
    troubles: list[str] = []
    for name, kind in groups.items():
        try:
            built[name] = _build(kind, given)
        except ValidationError as error:
            troubles.extend(_explain(found, given) for found in error.errors())
    if troubles:
        raise StopError(Exit.USAGE, "; ".join(troubles))
    try:
        return Settings(**built)
    except ValueError as error:
        raise StopError(Exit.USAGE, str(error)) from None


def build(kind: type[G], flags: Mapping[str, Any]) -> G:
    """Return a dataclass of options that only flags set; None is for a flag that was not given.

    Raises StopError(Exit.USAGE) with one line that names each wrong flag, and what was expected.
    """
    known = {option.name: option for option in options({"": kind})}
    given = {
        name: _Given(_split(known[name], value), known[name].flag) for name, value in flags.items() if value is not None
    }
    try:
        return _build(kind, given)
    except ValidationError as error:
        raise StopError(Exit.USAGE, "; ".join(_explain(found, given) for found in error.errors())) from None


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return the RERANK_… variables that are no option. Not an error: Kubernetes makes such names for a Service."""
    known = {option.variable for option in options(group_types())} | {PREFIX + "CONFIG"}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


def to_toml(settings: Settings) -> str:
    """Return the settings as the TOML file that would give them; of secrets only that they are set."""
    lines = []
    for group in dataclasses.fields(settings):
        lines.append(f"# {group.name}")
        values = getattr(settings, group.name)
        lines.extend(_toml_line(field.name, getattr(values, field.name)) for field in dataclasses.fields(values))
        lines.append("")
    return "\n".join(lines)


def in_our_words(message: str) -> str:
    """Return what pydantic says of a wrong value as everything else says it."""
    words = re.sub(r"\b[A-Z]\w+ should (be|have)\b", "expected", message).replace("Value error, ", "")
    return re.split(", unable| after validation", words)[0]


def _from_file(path: Path, known: Mapping[str, Option]) -> dict[str, _Given]:
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
    return {name: _Given(value, f"{name} in {path}") for name, value in values.items()}


def _split(option: Option, value: Any) -> Any:
    if option.is_list and isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _build(kind: type[G], given: Mapping[str, _Given]) -> G:
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    # No option means anything as nan or infinity, and few lines of code would survive it.
    finite = with_config(ConfigDict(allow_inf_nan=False))(kind)
    return TypeAdapter(finite).validate_python({name: one.value for name, one in given.items() if name in names})


def _explain(found: Any, given: Mapping[str, _Given]) -> str:
    name = str(found["loc"][0]) if found["loc"] else ""
    expected = in_our_words(found["msg"])
    one = given.get(name)
    if one is None:
        return expected
    shown = "" if "password" in name else f", got {one.value!r}"
    return f"{one.source}: {expected}{shown}"


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
    return json.dumps(str(value), ensure_ascii=False)

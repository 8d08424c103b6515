"""Gives a command its options as flags: those of the option groups it takes, and those of its own."""

from __future__ import annotations

import dataclasses
import inspect
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.config.options import Option, options
from worker.config.settings import build, group_types, load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PANELS = {
    "kafka": "Kafka",
    "delivery": "Delivery",
    "events": "Events",
    "model": "Model",
    "batch": "Batches and deadlines",
    "costs": "Batches and deadlines",
    "in_flight_limit": "Limits",
    "dead_letters": "Limits",
    "stages": "Threads",
    "loop": "Commits and stopping",
    "watchdog": "Commits and stopping",
    "server": "HTTP",
    "logs": "Logs",
    "traces": "Traces",
}

ConfigFile = Annotated[
    str | None, typer.Option("--config", metavar="FILE", help="TOML file with options.", show_default=False)
]


def takes(
    *groups: str, own: type | None = None, defaults: Mapping[str, Any] | None = None, without: Sequence[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command `(settings, …)` the options of these groups as flags, except those in `without`.

    `own` is a dataclass of further options, declared as the groups' are, which only the command line sets: the command
    is then called as `(settings, own, …)`. `defaults` are what the command chooses where its user does not.
    """
    preset = dict(defaults or {})
    extra = options({"": own}) if own is not None else []
    chosen = [
        dataclasses.replace(option, default=preset.get(option.name, option.default))
        for option in options({name: kind for name, kind in group_types().items() if name in groups})
        if option.name not in without
    ]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def wrapped(**given: Any) -> None:
            flags = {name: given.pop(name) for name in ["config", *(option.name for option in chosen)]}
            arguments: list[Any] = [load(flags, os.environ, preset)]
            if own is not None:
                arguments.append(build(own, {option.name: given.pop(option.name) for option in extra}))
            command(*arguments, **given)

        _show_as(wrapped, command, _parameters(command, 1 if own is None else 2, extra, chosen))
        return wrapped

    return decorate


def _parameters(
    command: Callable[..., None], filled: int, extra: Sequence[Option], chosen: Sequence[Option]
) -> list[inspect.Parameter]:
    """Return the parameters that typer sees: the command's own behind the first, which are filled, then the options."""
    signature = list(inspect.signature(command, eval_str=True).parameters.values())[filled:]
    return [
        *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in signature),
        *map(_parameter, extra),
        inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=ConfigFile),
        *map(_parameter, chosen),
    ]


def _show_as(wrapped: Any, command: Callable[..., None], parameters: Sequence[inspect.Parameter]) -> None:
    """Have typer see a function as the command, with these parameters."""
    wrapped.__signature__ = inspect.Signature(parameters)
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    wrapped.__name__ = command.__name__
    wrapped.__doc__ = command.__doc__


def _parameter(option: Option) -> inspect.Parameter:
    names = [option.flag]
    if option.is_switch:
        names = [f"{option.flag}/--no-{option.flag.removeprefix('--')}"]
    metavar = {int: "N", float: "X"}.get(option.type, "LIST" if option.is_list else "TEXT")
    kind: Any = bool | None if option.is_switch else str | None
    annotation = Annotated[
        kind,
        typer.Option(
            *names,
            help=_explained(option),
            metavar=None if option.is_switch else metavar,
            rich_help_panel=PANELS.get(option.group),
            show_default=False,
        ),
    ]
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _explained(option: Option) -> str:
    """Return the help of an option with what it may be, where that is not said, and its default."""
    text = option.help
    if option.choices and not all(choice in text for choice in option.choices):
        text += f" One of {', '.join(option.choices)}."
    default = option.default
    shown = (
        ",".join(map(str, default)) if isinstance(default, tuple) else "" if default is None else str(default).strip()
    )
    return rf"{text} \[default: {shown.lower() if option.is_switch else shown}]" if shown else text

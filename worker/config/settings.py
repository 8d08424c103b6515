"""Gathers every option group; reads a TOML file, RERANK_… variables and flags, the later over the earlier."""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from worker.admission.dead_letter_guard import DeadLetterLimits
from worker.admission.in_flight_limit import InFlightOptions
from worker.config.options import PREFIX, options
from worker.config.toml import read_file
from worker.config.validation import Given, build_groups
from worker.delivery import DeliveryOptions
from worker.events.codec import EventOptions
from worker.exits import Exit, StopError
from worker.kafka_io import KafkaOptions
from worker.main_loop.loop import LoopOptions
from worker.model.options import ModelOptions
from worker.observe.logs import LogOptions
from worker.observe.watchdog import WatchdogOptions
from worker.scheduling.cost_model import CostOptions
from worker.scheduling.limits import BatchLimits
from worker.server import ServerOptions
from worker.stages import StageOptions
from worker.traces import TraceOptions

G = TypeVar("G")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All options of a worker, by the part that they configure."""

    kafka: KafkaOptions
    delivery: DeliveryOptions
    events: EventOptions
    model: ModelOptions
    batch: BatchLimits
    costs: CostOptions
    in_flight_limit: InFlightOptions
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
        self._check_topics()

    def _check_topics(self) -> None:
        # Here and not in KafkaOptions: a client that only publishes names its one topic for all three.
        kafka, named = self.kafka, dict[str, str]()
        for option in ("request_topic", "result_topic", "dead_letter_topic"):
            topic = getattr(kafka, option)
            if (other := named.setdefault(topic, option)) != option:
                raise ValueError(
                    f"{other} and {option}: expected different topics, got {topic!r} for both; a worker would read "
                    "what it has written"
                )


def group_types() -> dict[str, type]:
    """Return the option groups by name."""
    hints = typing.get_type_hints(Settings)
    return {field.name: hints[field.name] for field in dataclasses.fields(Settings)}


def load(flags: Mapping[str, Any], environ: Mapping[str, str], defaults: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings: defaults, under the TOML file that `config` names, under the environment, under the flags.

    `defaults` are those of a command that chooses others than the options' own.
    Raises StopError(Exit.USAGE) with one line that names each wrong option, where it was set, and what was expected.
    """
    groups = group_types()
    known = {option.name: option for option in options(groups)}
    given = {name: Given(value, known[name].flag) for name, value in (defaults or {}).items()}
    if file := flags.get("config") or environ.get(PREFIX + "CONFIG"):
        given.update(read_file(Path(file), known))
    for option in known.values():
        if (value := environ.get(option.variable)) is not None:
            given[option.name] = Given.of(option, value, option.variable)
        if (value := flags.get(option.name)) is not None:
            given[option.name] = Given.of(option, value, option.flag)
    built = build_groups(groups, given)
    try:
        return Settings(**built)
    except ValueError as error:
        raise StopError(Exit.USAGE, str(error)) from None


def build(kind: type[G], flags: Mapping[str, Any]) -> G:
    """Return a dataclass of options that only flags set; None is for a flag that was not given.

    Raises StopError(Exit.USAGE) with one line that names each wrong flag, and what was expected.
    """
    given = {
        option.name: Given.of(option, value, option.flag)
        for option in options({"": kind})
        if (value := flags.get(option.name)) is not None
    }
    made: G = build_groups({"": kind}, given)[""]
    return made


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return the RERANK_… variables that are no option. Not an error: Kubernetes makes such names for a Service."""
    known = {option.variable for option in options(group_types())} | {PREFIX + "CONFIG"}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)

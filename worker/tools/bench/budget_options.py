"""What `bench budget` takes beside the options of all benches."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen
from typing_extensions import Doc

from worker.exits import Exit, StopError
from worker.tools.bench.options import ServedOptions

ArrivalProcess = Literal["poisson", "bursty"]
Load = Annotated[float, Gt(0), Le(5)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetOptions(ServedOptions):
    """The traffic, and the loads at which it comes."""

    seconds: Annotated[float, Gt(0), Doc("Seconds of traffic of one run; overload shows only after some.")] = 20.0
    repeat: Annotated[int, Gt(0), Doc("Runs of each load, process and schedule; the median share counts.")] = 1
    input: Annotated[Path | None, Doc("File of pairs, .parquet or .jsonl; synthetic products if not given.")] = None
    mean_tokens: Annotated[float, Ge(12), Le(200), Doc("Mean tokens of a synthetic pair, about.")] = 40.0
    loads: Annotated[tuple[Load, ...], Doc("Shares of the measured capacity at which events come, with commas.")] = (
        0.5,
        0.85,
        1.2,
        2.0,
        4.0,
    )
    processes: Annotated[tuple[ArrivalProcess, ...], Doc("How events arrive, with commas: poisson, bursty.")] = (
        "poisson",
        "bursty",
    )
    budgets: Annotated[
        tuple[str, ...],
        Doc(
            "Budgets in ms with their shares, as 100:0.7,300:0.3; if not given, 5 and 15 times a lone event's latency."
        ),
    ] = ()
    lists: Annotated[tuple[str, ...], MinLen(1), Doc("Candidates of an event with their shares.")] = (
        "5:0.4",
        "10:0.4",
        "20:0.2",
    )
    fifo: Annotated[bool, Doc("Measure a worker that scores everything in order of arrival, too, in turns.")] = True
    quality: Annotated[
        bool,
        Doc(
            "Send judged queries, the shipped ones or those of --input (.jsonl, candidates with a relevance), and "
            "report NDCG@10 of what was published."
        ),
    ] = False
    lone_events: Annotated[int, Gt(0), Doc("Events that are sent one at a time first, for the added latency.")] = 100
    tolerance_ms: Annotated[
        float,
        Ge(0),
        Doc("By how much a result may be wrong about its deadline, met or missed, before it counts as mislabelled."),
    ] = 10.0
    seed: Annotated[int, Ge(0), Doc("Seed of arrivals and mixes.")] = 0

    def check(self) -> None:
        """Raise StopError(Exit.USAGE) for what would fail only later."""
        ServedOptions.check(self)
        # MinLen would count a wrong value as none, and complain of both.
        for flag, values in (("--loads", self.loads), ("--processes", self.processes)):
            if not values:
                raise StopError(Exit.USAGE, f"{flag}: expected at least one, several with commas, got nothing")

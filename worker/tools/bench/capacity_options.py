"""What `bench capacity` takes beside the options of all benches."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt
from typing_extensions import Doc

from worker.tools.bench.options import ServedOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityOptions(ServedOptions):
    """What must be held, for which events, and how much of it comes."""

    seconds: Annotated[float, Gt(0), Doc("Seconds of traffic of one run.")] = 20.0
    repeat: Annotated[int, Gt(2), Doc("Most runs of the search; two of them run the rate that was found again.")] = 8
    input: Annotated[Path | None, Doc("File of pairs, .parquet or .jsonl; synthetic products if not given.")] = None
    mean_tokens: Annotated[float, Ge(12), Le(200), Doc("Mean tokens of a synthetic pair, about.")] = 40.0
    budget_ms: Annotated[float, Gt(0), Le(600_000), Doc("Latency budget of every event.")] = 500.0
    candidates: Annotated[int, Gt(0), Le(1000), Doc("Candidates of an event.")] = 20
    share: Annotated[float, Gt(0), Lt(1), Doc("Share of the events that must be in their budget.")] = 0.99
    lone_events: Annotated[int, Gt(0), Doc("Lists that are sent one at a time first, for what one takes alone.")] = 60
    traffic: Annotated[
        float | None, Gt(0), Doc("Events a second that must be served; says how many replicas that takes.")
    ] = None
    headroom: Annotated[float, Ge(0), Doc("What is added to the traffic, as a share of it, for peaks.")] = 0.3
    seed: Annotated[int, Ge(0), Doc("Seed of the arrivals.")] = 0

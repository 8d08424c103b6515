"""What `bench stream` takes beside the options of all benches."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le
from typing_extensions import Doc

from worker.tools.bench.options import ServedOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions(ServedOptions):
    """The events that go through the worker, and what it is compared with."""

    input: Annotated[Path | None, Doc("File of pairs, .parquet or .jsonl; synthetic products if not given.")] = None
    mean_tokens: Annotated[float, Ge(12), Le(200), Doc("Mean tokens of a synthetic pair, about.")] = 80.0
    candidates: Annotated[int, Gt(0), Le(1000), Doc("Candidates of an event.")] = 20
    partitions: Annotated[int, Gt(0), Doc("Partitions of the topics.")] = 1
    known_texts: Annotated[
        bool,
        Doc("Measure lists of texts that scorer and worker have seen once: their token caches know them."),
    ] = False
    rivals: Annotated[
        bool, Doc("Measure in turns what a user would write instead: a loop of kafka-python, and quixstreams.")
    ] = True

"""What `bench scorer` takes beside the options of all benches."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le
from typing_extensions import Doc

from worker.exits import Exit, StopError
from worker.tools.bench.options import BenchOptions
from worker.tools.bench.peers import require_sentence_transformers

Peer = Literal["sentence-transformers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerOptions(BenchOptions):
    """What is scored, and what it is compared with."""

    input: Annotated[Path | None, Doc("File of pairs, .parquet or .jsonl; synthetic products if not given.")] = None
    mean_tokens: Annotated[float, Ge(12), Le(200), Doc("Mean tokens of a synthetic pair, about.")] = 80.0
    pairs: Annotated[int, Gt(0), Doc("Most pairs that are used; a run scores as many of them as it has time for.")] = (
        20_000
    )
    against: Annotated[
        Peer | None, Doc("Measure a peer too, in turns with the worker's scorer: sentence-transformers.")
    ] = None

    shapes: Annotated[
        bool,
        Doc(
            "Measure models of well-known shapes with random weights instead, padded and not, against the rate of a "
            "matrix product and sentence-transformers."
        ),
    ] = False

    def check(self) -> None:
        """Raise StopError(Exit.USAGE) for what would fail only later."""
        BenchOptions.check(self)
        if self.shapes and (self.input or self.against or self.plot):
            raise StopError(Exit.USAGE, "--shapes: expected without --input, --against and --plot, got one of them")
        if self.against is not None:
            require_sentence_transformers()

"""What every bench takes: how long and how often it measures, and where its figures go."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt
from typing_extensions import Doc

from worker.config.settings import Settings
from worker.exits import Exit, StopError
from worker.tools.bench.plot import require_matplotlib


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """The options that all benches share; a bench with more of them adds its own in a class that inherits this one."""

    seconds: Annotated[float, Gt(0), Doc("Seconds that one run should last, about.")] = 5.0
    repeat: Annotated[int, Gt(0), Doc("Runs of each measurement; the median counts.")] = 5
    json: Annotated[Path | None, Doc("Write environment, results and ratios to this file.")] = None
    plot: Annotated[Path | None, Doc("Draw the figures into this .png file; needs the extra bench.")] = None

    def check(self) -> None:
        """Raise StopError(Exit.USAGE) for what would fail only after the measurement: call it first."""
        for flag, path in (("--json", self.json), ("--plot", self.plot)):
            if path is not None and (path.is_dir() or not path.resolve().parent.is_dir()):
                raise StopError(Exit.USAGE, f"{flag}: expected a file in a folder that exists, got {path}")
        if self.plot is not None:
            if self.plot.suffix != ".png":
                raise StopError(Exit.USAGE, f"--plot: expected a file that ends in .png, got {self.plot}")
            require_matplotlib()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedOptions(BenchOptions):
    """What the benches share that start workers."""

    score_cache_mb: Annotated[
        int,
        Ge(0),
        Doc("Memory of the measured workers for scores, in MiB, which only this flag sets here; 0: every pair anew."),
    ] = 0

    def measured(self, settings: Settings) -> Settings:
        """Return the settings of the workers. A score cache that is set for production would answer in their place."""
        return replace(settings, model=replace(settings.model, score_cache_mb=self.score_cache_mb))

    def facts(self, settings: Settings) -> dict[str, Any]:
        """Return what a report should say of how the workers are configured."""
        return {"delivery": settings.delivery.delivery, "score_cache_mb": self.score_cache_mb}

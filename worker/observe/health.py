"""What the probes ask, and where the worker is in its life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.flow.stage_threads import Heartbeat

State = Literal["starting", "ready", "not ready", "draining"]


class Awaited(NamedTuple):
    """Something that must happen: for how long it has not, and for how long it may not."""

    what: str  # reads on with "for 60 s"
    age_s: Callable[[], float]
    limit_s: float


class Health:
    """What the probes ask: pure memory, never the broker, so that a broken broker does not restart every worker."""

    def __init__(self, live_limit_s: float) -> None:
        self._limit_s = live_limit_s
        self._awaited: list[Awaited] = []
        self._is_ready: Callable[[], str | None] = lambda: "the model is loading"
        self._is_draining: Callable[[], bool] = lambda: False
        self._was_ready = False

    def watch(self, heartbeats: dict[str, Heartbeat], awaited: Sequence[Awaited] = ()) -> None:
        """Take these threads into /livez, and what else must happen."""
        threads = [
            Awaited(f"{name} has not advanced", heartbeat.age_s, self._limit_s)
            for name, heartbeat in heartbeats.items()
        ]
        self._awaited = [*threads, *awaited]

    def ready_when(self, is_ready: Callable[[], str | None], is_draining: Callable[[], bool] = lambda: False) -> None:
        """Ask these for what is still missing, None when the worker is ready, and whether it takes nothing more."""
        self._is_ready, self._is_draining = is_ready, is_draining

    def livez(self) -> str | None:
        """Return what has stopped advancing, None when all is well."""
        stuck = [
            f"{what} for {held_s:.1f} s" for what, age_s, limit_s in self._awaited if (held_s := age_s()) > limit_s
        ]
        return "; ".join(stuck) or None

    def readyz(self) -> str | None:
        """Return what is still missing, None when the worker is ready."""
        missing = self._is_ready()
        self._was_ready = self._was_ready or missing is None
        return missing

    def state(self) -> tuple[State, str | None]:
        """Return where the worker is in its life, and what it lacks, None when that is nothing."""
        missing = self.readyz()
        trouble = self.livez() or missing
        if self._is_draining():
            return "draining", trouble
        if missing is None:
            return "ready", trouble
        return "not ready" if self._was_ready else "starting", trouble

"""What the probes ask, and where the worker is in its life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.pipeline import Pulse

State = Literal["starting", "ready", "not ready", "draining"]


class Health:
    """What the probes ask: pure memory, never the broker, so that a broken broker does not restart every worker."""

    def __init__(self, live_limit_s: float) -> None:
        self._limit_s = live_limit_s
        self._pulses: dict[str, Pulse] = {}
        self._is_ready: Callable[[], str | None] = lambda: "the model is loading"
        self._is_draining: Callable[[], bool] = lambda: False
        self._was_ready = False

    def watch(self, pulses: dict[str, Pulse]) -> None:
        """Take these threads into /livez."""
        self._pulses = pulses

    def ready_when(self, is_ready: Callable[[], str | None], is_draining: Callable[[], bool] = lambda: False) -> None:
        """Ask these for what is still missing, None when the worker is ready, and whether it takes nothing more."""
        self._is_ready, self._is_draining = is_ready, is_draining

    def livez(self) -> str | None:
        """Return what has stopped advancing, None when all is well."""
        stuck = [
            f"{name} has not advanced for {age_s:.1f} s"
            for name, pulse in self._pulses.items()
            if (age_s := pulse.age_s()) > self._limit_s
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

"""Which lists are scored next, and how much of each: all that waits is looked at, as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from worker.scheduling.feasibility import Pace, late, let_go, targets

if TYPE_CHECKING:
    from collections.abc import Sequence

OnOverload = Literal["partial", "passthrough", "score"]

OVERLOADED = 1.1  # offered load above which it is not a burst that the next quiet second makes good
_BURST = 0.55  # of each list at least has time in a burst; with less there is no way back, and all are cut evenly
_LEAST_MORE = 0.1  # of a list: less than this is not worth another turn, once its share is scored
_MOST_LET_GO = 64  # lists that one call decides to let go; the others can wait for the next
_NOTHING_S = 1e-12


class Waiting(NamedTuple):
    """All that waits, as columns (n,): seconds to the deadlines, and seconds of the device at the rate of full batches.

    `whole_s` is a list's work, `done_s` what was taken of it, `least_s` what a cut leaves if possible; `needed_s` is
    the time below which nothing more is scored of it: that of its next pair at most, or of all that is left of it.
    """

    slack_s: np.ndarray
    whole_s: np.ndarray
    done_s: np.ndarray
    least_s: np.ndarray
    needed_s: np.ndarray
    priority: np.ndarray

    @property
    def left_s(self) -> np.ndarray:
        """Return the work that is not taken yet."""
        left_s: np.ndarray = self.whole_s - self.done_s
        return left_s

    def at(self, places: np.ndarray) -> Waiting:
        """Return only the lists at these places."""
        return Waiting(*(column[places] for column in self))


class Choice(NamedTuple):
    """What to score: `take` are places in the order of their turns, int64 (m,).

    `shares`, float64 (m,), say how much of each list's work; None: all of it. A batch that is `bounded` is back before
    the earliest deadline in it. `is_degraded` says that not everything can be scored in time. `let_go` are the places
    of which nothing more is scored.
    """

    take: np.ndarray
    shares: np.ndarray | None = None
    bounded: bool = True
    is_degraded: bool = False
    let_go: Sequence[int] = ()

    def middle_share(self) -> float:
        """Return the share of the list in the middle of those that are scored in part; 1 where none is."""
        return 1.0 if self.shares is None or not len(self.shares) else float(self.shares[len(self.shares) // 2])

    def among(self, places: np.ndarray) -> Choice:
        """Return the same choice where it was made among the lists at these places only."""
        gone = places[np.asarray(self.let_go, np.int64)].tolist()
        return self._replace(take=places[self.take], let_go=gone)


class Policy:
    """Decides by what waits now, how fast the device is, and how much work comes.

    `offered` is the offered load: work that comes in a second, in seconds. `spread` is how many times as long as
    expected a batch may take.
    """

    def __init__(self, on_overload: OnOverload, pace: Pace, offered: float, spread: float) -> None:
        self._on_overload = on_overload
        self._pace = pace
        self._is_overloaded = offered > OVERLOADED
        self._spread = spread

    def choose(self, waiting: Waiting) -> Choice:
        """Return what to score next."""
        if self._on_overload == "score":
            return self._everything(waiting)
        is_hopeless = waiting.needed_s > waiting.slack_s
        live = np.flatnonzero(~is_hopeless)
        chosen = self._among_live(waiting.at(live)).among(live)
        return chosen._replace(let_go=[*np.flatnonzero(is_hopeless).tolist(), *chosen.let_go])

    def _everything(self, waiting: Waiting) -> Choice:
        """Everything, however late; where not all can be in time, the higher priority first, and in full batches."""
        if self._is_calm(waiting):
            return Choice(np.arange(len(waiting.slack_s)))
        return Choice(np.argsort(-waiting.priority, kind="stable"), bounded=False)

    def _among_live(self, waiting: Waiting) -> Choice:
        if self._is_calm(waiting):
            return Choice(np.arange(len(waiting.slack_s)))
        is_urgent = self._pace.is_urgent(waiting.slack_s, waiting.left_s)
        urgent, others = np.flatnonzero(is_urgent), np.flatnonzero(~is_urgent)
        small = self._pace._replace(efficient_s=0.0, reserve_s=0.0)
        if not len(others):  # no batch can be efficient, and nothing else is held up
            return self._degrade(waiting, small)
        if len(urgent) and self._can_wait(waiting, urgent, others):
            return _followed_by(self._degrade(waiting.at(urgent), small).among(urgent), others)
        chosen = self._degrade(waiting.at(others), self._pace).among(others)
        return chosen._replace(let_go=[*urgent.tolist(), *chosen.let_go])

    def _is_calm(self, waiting: Waiting) -> bool:
        """Return whether all that waits can be in time as a whole.

        That is also so where those that have no reserve fit into one batch, which ends behind them.
        """
        work_s = waiting.left_s
        tight = late(self._pace.room(waiting.slack_s, work_s), work_s)
        if not len(tight):
            return True
        ahead = slice(int(tight[-1]) + 1)
        most_s = (self._pace.fixed_s + float(work_s[ahead].sum())) * self._spread
        return most_s <= float(waiting.slack_s[ahead].min())

    def _can_wait(self, waiting: Waiting, urgent: np.ndarray, others: np.ndarray) -> bool:
        """Return whether lists with little time can have a small batch of their own.

        That is so where it holds up none of the others that is no less important.
        """
        takes_s = self._pace.fixed_s + float(waiting.left_s[urgent].sum())
        takes_s = min(takes_s, float(waiting.slack_s[urgent].max()))
        held = waiting.at(others[waiting.priority[others] >= waiting.priority[urgent].max()])
        return not len(late(self._pace.room(held.slack_s - takes_s, held.left_s), held.left_s))

    def _degrade(self, waiting: Waiting, pace: Pace) -> Choice:
        """Return what is left of lists that cannot all be in time as a whole: by priority, then deadline.

        Where one of a higher priority is too large for its time in any case, by deadline alone: it must not keep the
        others waiting until it is over.
        """
        is_above = (waiting.priority > waiting.priority.min()) & (waiting.done_s == 0)
        is_too_large = is_above & (waiting.left_s > waiting.slack_s - pace.fixed_s)
        order = np.argsort(-waiting.priority * (not is_too_large.any()), kind="stable")
        return self._degrade_in_order(waiting.at(order), pace).among(order)

    def _degrade_in_order(self, waiting: Waiting, pace: Pace) -> Choice:
        if self._on_overload == "passthrough":
            gone = self._let_go(waiting, pace)
            return Choice(np.delete(np.arange(len(waiting.slack_s)), gone), is_degraded=True, let_go=gone)
        targets_s = self._targets(waiting, pace, waiting.priority)
        if not self._is_overloaded and (targets_s >= _BURST * waiting.whole_s).all():
            # As many lists as possible are scored as a whole, and come before the others of their priority.
            levels = 2 * waiting.priority + 1
            levels[self._let_go(waiting, pace)] -= 1
            targets_s = self._targets(waiting, pace, levels)
        return self._cut(waiting, targets_s)

    @staticmethod
    def _targets(waiting: Waiting, pace: Pace, levels: np.ndarray) -> np.ndarray:
        room_s = pace.room(waiting.slack_s, waiting.left_s)
        is_too_large = waiting.left_s > waiting.slack_s - pace.fixed_s
        columns = waiting.whole_s, waiting.done_s, waiting.least_s
        return targets(room_s, *columns, priority=levels, is_too_large=is_too_large)

    def _let_go(self, waiting: Waiting, pace: Pace) -> list[int]:
        may_go = waiting.done_s == 0
        return let_go(waiting.slack_s, pace, waiting.left_s, waiting.priority, may_go=may_go, most=_MOST_LET_GO)

    def _cut(self, waiting: Waiting, targets_s: np.ndarray) -> Choice:
        """Return the lists that have not reached their targets; those that were begun and have are let go."""
        more_s = targets_s - waiting.done_s
        was_begun = waiting.done_s > 0
        is_over = was_begun & (more_s <= _NOTHING_S)
        least_s = np.where(was_begun, _LEAST_MORE * waiting.whole_s, _NOTHING_S)
        is_worth = more_s >= np.minimum(least_s, waiting.left_s)
        take = np.flatnonzero(is_worth if is_worth.any() else ~is_over)
        shares = targets_s[take] / np.maximum(waiting.whole_s[take], _NOTHING_S)
        return Choice(take, shares, is_degraded=True, let_go=np.flatnonzero(is_over).tolist())


def _followed_by(chosen: Choice, others: np.ndarray) -> Choice:
    """Let the lists that were chosen be followed by others, as a whole."""
    shares = np.ones(len(chosen.take)) if chosen.shares is None else chosen.shares
    return chosen._replace(
        take=np.concatenate([chosen.take, others]), shares=np.concatenate([shares, np.ones(len(others))])
    )

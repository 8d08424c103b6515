"""EDF feasibility: what can be scored in time in full batches, in the order of the deadlines, and how it is shared out.

Columns are (n,), in the order of the effective deadlines; work is in seconds of the device at the rate of full batches.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_TOLERANCE = 1e-9
_FOREVER_S = 1e9


class Pace(NamedTuple):
    """How the device works through a queue: `fixed_s` of a batch beside its work, and the work of an efficient batch.

    A batch may take `caution` times as long as expected. `reserve_s` is kept free behind each list that is not in the
    next batch, so that it still has time for an efficient batch when its turn comes.
    """

    fixed_s: float
    efficient_s: float
    reserve_s: float
    caution: float = 1.0

    def room(self, slack_s: np.ndarray, work_s: np.ndarray) -> np.ndarray:
        """Return how much work may be done up to each list, that list included, for it to end in time.

        The largest of three: a batch ends behind it, with the reserve; it is in the next batch, which is efficient; or
        all that waits is cut to the same share and ends with it.
        """
        if not len(slack_s):
            return slack_s
        left_s = np.minimum(slack_s - self.fixed_s, _FOREVER_S)
        done_s = np.cumsum(work_s)
        together = left_s * (done_s / max(done_s[-1], _TOLERANCE))
        alone = np.maximum(left_s - self.reserve_s, np.minimum(left_s, self.efficient_s))
        room: np.ndarray = np.minimum(np.maximum(alone, together), left_s)
        return room

    def is_urgent(self, slack_s: np.ndarray, work_s: np.ndarray) -> np.ndarray:
        """Return which lists have too little time for an efficient batch, or for all that waits if that is less."""
        least_s = self.caution * (self.fixed_s + min(self.efficient_s, float(work_s.sum())))
        urgent: np.ndarray = slack_s < least_s
        return urgent


def late(room_s: np.ndarray, work_s: np.ndarray) -> np.ndarray:
    """Return the places of the lists that end late when all of this work is done in order, int64 (m,)."""
    return np.flatnonzero(np.cumsum(work_s) > room_s + _TOLERANCE)


def shared_out(room_s: np.ndarray, whole_s: np.ndarray, least_s: np.ndarray, done_s: np.ndarray) -> np.ndarray:
    """Return the share of each list that ends in time: the same for all that stand in each other's way, float64 (n,).

    A list of `whole_s` is scored up to max(share * whole_s, least_s), of which `done_s` is done. The share up to which
    all lists before k can be scored for k to be in time is f(k); each list has the smallest f of those from it on, so
    one with much time is not cut for one with little that comes before it.
    """
    floor_s = np.maximum(least_s, done_s)
    is_cut = whole_s >= floor_s
    while True:  # a round settles at least one list more, and a few rounds are enough
        settled = np.cumsum(np.where(is_cut, -done_s, np.maximum(least_s - done_s, 0.0)))
        up_to = (room_s - settled) / np.maximum(np.cumsum(np.where(is_cut, whole_s, 0.0)), 1e-12)
        share: np.ndarray = np.clip(np.minimum.accumulate(up_to[::-1])[::-1], 0.0, 1.0)
        was_cut, is_cut = is_cut, is_cut & (share * whole_s >= floor_s)
        if np.array_equal(was_cut, is_cut):
            return share


def targets(  # noqa: PLR0913 - the columns that it decides by
    room_s: np.ndarray,
    whole_s: np.ndarray,
    done_s: np.ndarray,
    least_s: np.ndarray,
    *,
    priority: np.ndarray,
    is_too_large: np.ndarray,
) -> np.ndarray:
    """Return up to how much of its work each list is scored, float64 (n,): the highest priority first.

    What a priority leaves over is shared out among the lists of the next one. Where not even `least_s` of each can be
    done, that is shared out; a lower priority is not begun then. A list that is too large to be in time whatever gives
    way to it leaves `least_s` to each list of lower priorities, up to half of the room.
    """
    target_s = np.zeros_like(whole_s)
    levels = np.unique(priority)[::-1]
    for level in levels:
        of = priority == level
        # What is less important holds nothing up, however little time it has.
        free_s = np.where(priority >= level, room_s, np.inf) - np.cumsum(np.maximum(target_s - done_s, 0.0))
        if is_too_large[of].any():
            below_s = np.cumsum(np.where(priority < level, np.maximum(least_s - done_s, 0.0), 0.0))
            free_s = free_s - np.minimum(below_s, 0.5 * np.clip(free_s, 0.0, _FOREVER_S))
        whole, least, done = (np.where(of, each, 0.0) for each in (whole_s, least_s, done_s))
        share = shared_out(free_s, whole, least, done)
        found = np.maximum(share * whole, least)
        if (share[of] <= 0).any():
            less = shared_out(free_s, least, np.zeros_like(least), done) * least
            found = np.where(share > 0, found, less if level == levels[0] else np.where(less > 0, less, done))
        target_s = np.where(of, found, target_s)
    return target_s


def let_go(  # noqa: PLR0913 - the columns that it decides by
    slack_s: np.ndarray,
    pace: Pace,
    work_s: np.ndarray,
    priority: np.ndarray,
    *,
    may_go: np.ndarray,
    most: int,
) -> list[int]:
    """Return the places of the lists to let go so that the largest number of the others are in time, whole.

    Moore and Hodgson's rule (1968): in the order of the deadlines, as soon as one would be late, the largest of those
    up to it goes; here one of the lowest priority. At most `most` of them: the earliest are decided first, and the rest
    can wait for the next call.
    """
    left_s = slack_s - pace.fixed_s
    room_s = np.maximum(left_s - pace.reserve_s, np.minimum(left_s, pace.efficient_s)) + _TOLERANCE
    work_s, may_go, done_s = work_s.copy(), may_go.copy(), np.cumsum(work_s)
    gone: list[int] = []
    at = 0  # all before are in time, and letting more of them go does not change that
    while len(gone) < most:
        is_late = done_s[at:] > room_s[at:]
        step = int(np.argmax(is_late)) if len(is_late) else 0
        if not len(is_late) or not is_late[step]:
            break
        at += step
        if left_s[at] + _TOLERANCE >= done_s[-1]:
            at += 1  # all that waits ends in time for it
            continue
        chosen = np.flatnonzero(may_go[: at + 1] & (priority[: at + 1] <= priority[at]))
        if not len(chosen):
            at += 1  # only what was begun, or is more important, is left before it
            continue
        chosen = chosen[priority[chosen] == priority[chosen].min()]
        largest = int(chosen[np.argmax(work_s[chosen])])
        gone.append(largest)
        done_s[largest:] -= work_s[largest]
        work_s[largest], may_go[largest] = 0.0, False
    return sorted(gone)

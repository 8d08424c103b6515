"""What travels through the worker: one job an event, and slices of jobs in a batch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from worker.offsets.tracker import TrackedOffset
    from worker.records import Outgoing, Record

# What a dead letter keeps of a record: all of it, all but the value, or nothing but where it came from.
Keep = Literal["all", "key_and_headers", "nothing"]


class ModelName(NamedTuple):
    """Which model scored: a hub id or a folder's name, and its revision (a commit, or a digest of the weights)."""

    id: str
    revision: str


@dataclass(frozen=True, slots=True)
class Request:
    """A valid request: a query and its n candidates, in the first stage's order."""

    request_id: str
    query: str
    candidate_ids: list[str]
    texts: list[str]
    top_k: int | None = None
    budget_ms: float | None = None
    priority: int = 0
    metadata: Any = None


@dataclass(frozen=True, slots=True)
class Pairs:
    """The token ids of an event's n pairs as one flat array.

    `ids` int32 (total tokens,); pair i is `ids[offsets[i]:offsets[i + 1]]`, special tokens included, no padding.
    `offsets` int64 (n + 1,). `splits` int32 (n,): how many of a pair's tokens are of the first segment (the query, with
    the special tokens before and after it), which is where token type 1 begins in models that have token types.
    `truncated` is the number of candidates whose text was cut to the maximum length. `places` int64 (candidates,):
    which pair each candidate is, -1 for one that needs no scoring; None where each has the pair of its own number.
    """

    ids: np.ndarray
    offsets: np.ndarray
    splits: np.ndarray
    truncated: int = 0
    places: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.splits)

    def take(self, kept: np.ndarray, places: np.ndarray) -> Pairs:
        """Return only the pairs with the numbers `kept`, (m,); `places` are the candidates' among those."""
        starts, stops = self.offsets[kept], self.offsets[kept + 1]
        offsets = np.concatenate(([0], np.cumsum(stops - starts)))
        pieces = [self.ids[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]
        ids = np.concatenate(pieces) if pieces else self.ids[:0]
        return Pairs(ids, offsets, self.splits[kept], self.truncated, places)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an event cannot be reranked; it travels on as a dead letter.

    `reason` is one of a few fixed words (a metric label), `stage` where it happened, `error` the error's class.
    """

    reason: str
    stage: str
    error: str
    message: str
    path: str | None = None


class Trace(Protocol):
    """The spans of an event whose trace is sampled."""

    def send(self, outgoing: Outgoing) -> Any:
        """Begin the span of sending its outcome, and return that span."""

    def refuse(self) -> None:
        """Note that the record was refused, so that another one is sent in its place."""

    def end(self, job: Job, at_s: float, error: Exception | None) -> None:
        """End the spans: the outcome is acknowledged, or failed with this error."""


@dataclass(slots=True)
class Scoring:
    """What is scored of an event.

    `logits` float32 (pairs,), filled slice by slice; `unscored` counts the pairs that are still to be scored. `known`
    float32 (candidates,): logits from the score cache, NaN if it has none; the others are remembered by their `keys`.
    """

    pairs: Pairs | None = None
    logits: np.ndarray | None = None
    known: np.ndarray | None = None
    keys: list[bytes] | None = None
    unscored: int = 0
    limit: int = 0  # how many of its first pairs are to be scored: all of them, unless time is short
    shed: str | None = None  # why not all of them
    left_out: int = 0  # how many candidates, the last ones, were not tokenized, since time is short

    def expect(self, pairs: Pairs) -> None:
        """Take the pairs that are to be scored."""
        self.pairs = pairs
        self.unscored = self.limit = len(pairs)
        self.logits = np.full(len(pairs), np.nan, dtype=np.float32)

    def leave_out(self, candidates: int) -> None:
        """Note that so many candidates more, the last ones, have no pair: they will not be scored."""
        assert self.pairs is not None
        self.left_out = candidates
        places = np.arange(len(self.pairs)) if self.pairs.places is None else self.pairs.places
        self.pairs = replace(self.pairs, places=np.append(places, np.full(candidates, -1)))
        if self.known is not None:
            self.known = np.append(self.known, np.full(candidates, np.nan, np.float32))

    def by_candidate(self, candidates: int) -> np.ndarray:
        """Return the logits of the event's candidates, float32 (candidates,), NaN for one that was not scored."""
        if self.pairs is None or self.logits is None:  # its time was over before it was tokenized
            return np.full(candidates, np.nan, dtype=np.float32)
        if self.pairs.places is None:
            return self.logits
        logits: np.ndarray = np.append(self.logits, np.float32(np.nan))[self.pairs.places]  # place -1 is the NaN
        return logits if self.known is None else np.where(self.pairs.places < 0, self.known, logits)

    def shed_to(self, limit: int, reason: str) -> None:
        """Score only the first `limit` pairs; the other candidates keep their order behind those."""
        self.unscored -= self.limit - limit
        self.limit = limit
        self.shed = reason


@dataclass(slots=True)
class Timeline:
    """Where an event's time went; times are seconds of the monotonic clock, 0 for what has not happened."""

    tokenized_s: float = 0.0  # when the tokenizer was through with it,
    dispatched_s: float = 0.0  # when its first pairs went to the model,
    scored_s: float = 0.0  # and when all that was to be scored was
    device_s: float = 0.0  # its share of the device's time
    spent_s: dict[str, float] = field(default_factory=dict)  # seconds by stage


@dataclass(slots=True, eq=False)
class Job:
    """One event on its way; the stage that holds it owns it.

    Times are seconds of the monotonic clock. It is `dropped` once it was put aside because its partition is given up or
    its transaction was aborted, and stays so: somebody reads it again.
    """

    record: Record
    tracked: TrackedOffset
    received_s: float
    created_s: float  # when the producer made the record, by the broker's timestamp, on this process's clock
    reserved_tokens: int = 0  # for it in the in-flight limit, until its tokens are known
    deadline_s: float = float("inf")
    after: Job | None = None  # the event of the same key that came before and was still inside
    inherited_deadline_s: float = float("inf")  # of those that must not be published before it; the scheduler's own
    inherited_priority: float = float("-inf")
    left: bool = False  # the publisher has let it go
    request: Request | None = None
    scoring: Scoring = field(default_factory=Scoring)
    timeline: Timeline = field(default_factory=Timeline)
    fault: Fault | None = None
    keep: Keep = "all"  # what its dead letter has of the record; less, where the topic refuses it
    dropped: bool = False
    outcome: tuple[str, str] | None = None  # outcome and reason, as published
    trace: Trace | None = None  # from the sending of its outcome on, if it is sampled

    def drop(self) -> None:
        """Put the event aside for good: it has no outcome here, and is read again."""
        self.dropped = True

    def candidate_logits(self) -> np.ndarray:
        """Return the logits by candidate, float32 (candidates,), NaN for one that was not scored."""
        assert self.request is not None, "only a decoded job has candidates"
        return self.scoring.by_candidate(len(self.request.candidate_ids))


class Slice(NamedTuple):
    """Pairs `start` to `stop` of a job."""

    job: Job
    start: int
    stop: int

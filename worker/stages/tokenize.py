"""The body of the tokenizer threads: bytes of a record to token ids, or to the fault of a dead letter."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Gt
from typing_extensions import Doc

from worker.dead_letters.corrupt_records import fault as corrupt_fault
from worker.events.codec import Decoder, InvalidEvent
from worker.exits import ENDS
from worker.flow.job import Fault, Job
from worker.model.tokenization.duplicate_pairs import without_repeats
from worker.scheduling.limits import NO_TIME, degrades
from worker.stages.faults import defect, where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from worker.flow.channel import Channel
    from worker.flow.job import Request
    from worker.model.score_cache import ScoreCache
    from worker.model.tokenization.pair_encoder import PairEncoder
    from worker.scheduling.limits import BatchLimits

log = logging.getLogger(__name__)

_IN_REACH = 2.0  # times the share of lists that is scored now: so much of one that comes is tokenized


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOptions:
    """How the stages are staffed."""

    tokenizer_threads: Annotated[int, Gt(0), Doc("Threads that decode and tokenize.")] = 3


class Tokenize:
    """Decodes and tokenizes; a bad event becomes a dead letter here, and only here."""

    def __init__(  # noqa: PLR0913 - what it reads with, and what it decides by
        self,
        decoder: Decoder,
        encoder: PairEncoder,
        default_budget_ms: float,
        limits: BatchLimits,
        score_cache: ScoreCache | None = None,
        *,
        expected_share: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self._decoder = decoder
        self._encoder = encoder
        self._score_cache = score_cache
        self._default_budget_ms = default_budget_ms
        self._limits = limits
        self._expected_share = expected_share

    def run(self, inbox: Iterable[Job], scoring: Channel[Job], publishing: Channel[Job]) -> None:
        """Take events one by one until the inbox ends."""
        for job in inbox:
            if job.tracked.wanted:
                self._prepare(job)
                job.timeline.tokenized_s = time.monotonic()
            else:
                job.drop()
            (publishing if job.fault or not job.scoring.unscored else scoring).put(job)

    def _prepare(self, job: Job) -> None:
        began_s = time.monotonic()
        job.timeline.spent_s["waiting"] = began_s - job.received_s
        job.fault = corrupt_fault(job.record) or self._decode(job)
        if job.fault is not None:
            return
        decoded_s = time.monotonic()
        if degrades(self._limits) and decoded_s >= job.deadline_s:
            job.timeline.spent_s["decode"] = decoded_s - began_s
            job.scoring.shed_to(0, NO_TIME)  # a backlog drains as fast as it can be read
            return
        job.fault = self._tokenize(job)
        if job.fault is None:
            job.timeline.spent_s["decode"] = decoded_s - began_s
            job.timeline.spent_s["tokenize"] = time.monotonic() - decoded_s

    def _decode(self, job: Job) -> Fault | None:
        """Read the request, and with it the deadline; return what is wrong with it, if anything."""
        try:
            job.request = self._decoder.decode(job.record)
        except InvalidEvent as error:
            return Fault(error.reason, "decode", type(error).__name__, str(error), error.path)
        except ENDS:
            raise
        except BaseException as error:
            return defect(job, "decode", error)
        budget_ms = job.request.budget_ms or self._default_budget_ms
        job.deadline_s = job.created_s + budget_ms / 1000
        return None

    def _tokenize(self, job: Job) -> Fault | None:
        """Make the pairs that are to be scored; return why that failed, if it did."""
        assert job.request is not None, "it was decoded"
        texts = self._in_reach(job.request)
        try:
            job.scoring.expect(without_repeats(self._encoder.encode(job.request.query, texts)))
            if self._score_cache is not None:
                self._score_cache.look_up(job)
        except ENDS:
            raise
        except BaseException as error:  # one event's text must not stop the stream
            log.exception("an event could not be tokenized", extra={"event": "not_tokenized", **where(job)})
            return Fault("tokenizer", "tokenize", type(error).__name__, str(error))
        if len(texts) < len(job.request.texts):
            job.scoring.leave_out(len(job.request.texts) - len(texts))
            job.scoring.shed = NO_TIME
        return None

    def _in_reach(self, request: Request) -> list[str]:
        """Return the texts that may be scored: in overload twice the share that lists get now, and `top_k` at least."""
        least = max(request.top_k or 1, math.ceil(_IN_REACH * self._expected_share() * len(request.texts)))
        return request.texts[:least]

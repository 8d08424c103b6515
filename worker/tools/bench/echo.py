"""The broker's own share of a latency: how long a record takes from a producer to a reader, with nothing in between."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from worker.exits import Exit, StopError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.tools.bench.post import Post

_PATIENCE_S = 10.0


def hops_s(post: Post, topic: str, values: Sequence[bytes], gaps_s: Sequence[float]) -> list[float]:
    """Return the seconds that each value took through `topic`, which the post reads, sent alone after its gap.

    A request and its result make two such hops. Raises StopError where a record does not come back.
    """
    took: list[float] = []
    for number, (value, gap_s) in enumerate(zip(values, gaps_s, strict=True)):
        time.sleep(gap_s)  # a pause that varies: else it may fall in step with somebody's poll
        key = b"echo-%d" % number
        sent_s = time.monotonic()
        post.send(key, value, topic=topic)
        came = post.read_until({key}, post.check, patience_s=_PATIENCE_S)
        if not came:
            raise StopError(Exit.DELIVERY, f"{topic}: a record did not come back within {_PATIENCE_S:.0f} s")
        took.append(came[0].came_s - sent_s)
    return took

"""The commands `rerank-worker bench …`: what each takes; the benches themselves are loaded when they run."""

from __future__ import annotations

import typer

from worker.config.settings import Settings  # noqa: TC001 - typer evaluates the annotations
from worker.config.typer_flags import takes
from worker.tools.bench.broker import OWN, OWN_TOPICS
from worker.tools.bench.budget_options import BudgetOptions
from worker.tools.bench.capacity_options import CapacityOptions
from worker.tools.bench.delivery_options import DeliveryBenchOptions
from worker.tools.bench.host_options import HostOptions
from worker.tools.bench.scorer_options import ScorerOptions
from worker.tools.bench.stopping import stoppable
from worker.tools.bench.stream_options import StreamOptions
from worker.tools.demo.place import MODEL

bench = typer.Typer(name="bench", help="Measure the worker and its parts on this machine.", no_args_is_help=True)

# What the benches choose where nobody else does: a broker of their own, and the shipped model.
DEFAULTS = {"bootstrap_servers": OWN, "model": str(MODEL)}

# What decides how a worker as a child process does.
OF_THE_WORKER = ("kafka", "delivery", "events", "model", "batch", "costs", "in_flight_limit", "stages")
# What of it a bench decides: its names on the broker, and the score cache, for which it has a flag of its own.
NOT_THE_WORKERS = (*OWN_TOPICS, "transactional_id", "score_cache_mb")


@bench.command()
@takes("events", "model", "batch", own=ScorerOptions, defaults=DEFAULTS)
def scorer(settings: Settings, own: ScorerOptions) -> None:
    """Measure pairs and tokens a second of the model alone, and of a peer beside it."""
    from worker.tools.bench.scorer import bench_scorer
    from worker.tools.bench.shapes import bench_shapes

    with stoppable():
        if own.shapes:
            bench_shapes(settings, own)
        else:
            bench_scorer(settings, own)


@bench.command()
@takes(
    "kafka",
    "events",
    "model",
    "batch",
    "in_flight_limit",
    "stages",
    own=HostOptions,
    defaults=DEFAULTS,
    without=OWN_TOPICS,
)
def host(settings: Settings, own: HostOptions) -> None:
    """Measure all that is not the model: the whole worker through a broker, with a scorer that costs nothing."""
    from worker.tools.bench.host import bench_host

    with stoppable():
        bench_host(settings, own)


@bench.command()
@takes(*OF_THE_WORKER, own=StreamOptions, defaults=DEFAULTS, without=NOT_THE_WORKERS)
def stream(settings: Settings, own: StreamOptions) -> None:
    """Measure the worker at saturation, through a broker, against the bare scorer and what a user would write."""
    from worker.tools.bench.stream import bench_stream

    with stoppable():
        bench_stream(own.measured(settings), own)


@bench.command()
@takes(*OF_THE_WORKER, own=BudgetOptions, defaults=DEFAULTS, without=NOT_THE_WORKERS)
def budget(settings: Settings, own: BudgetOptions) -> None:
    """Measure how many events end in their latency budget at given loads, with the scheduler and without (FIFO)."""
    from worker.tools.bench.budget import bench_budget

    with stoppable():
        bench_budget(own.measured(settings), own)


@bench.command()
@takes(*OF_THE_WORKER, own=CapacityOptions, defaults=DEFAULTS, without=NOT_THE_WORKERS)
def capacity(settings: Settings, own: CapacityOptions) -> None:
    """Find the highest rate at which the events stay in their budget, and the replicas that a traffic needs."""
    from worker.tools.bench.capacity import bench_capacity

    with stoppable():
        bench_capacity(own.measured(settings), own)


@bench.command()
@takes(*OF_THE_WORKER, own=DeliveryBenchOptions, defaults=DEFAULTS, without=("delivery", *NOT_THE_WORKERS))
def delivery(settings: Settings, own: DeliveryBenchOptions) -> None:
    """Measure what delivery exactly once costs beside at least once: pairs a second, and the latency of lone events."""
    from worker.tools.bench.delivery import bench_delivery

    with stoppable():
        bench_delivery(own.measured(settings), own)

"""What the demo prints of its round trips: lists before and after, figures, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from worker.terminal.printable import printable
from worker.tools import summary as figures
from worker.tools.ranked_table import side_by_side

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from worker.tools.demo.queries import JudgedLists
    from worker.tools.round_trips import Round, Trip


def show_lists(console: Console, rounds: Mapping[str, Round], lists: JudgedLists, queries: int, top: int) -> None:
    """Print the top of the first few queries' lists, before and after side by side."""
    if queries:
        console.print(f"\nbefore: in the order of {lists.first_stage}; after: reranked by {lists.model}.")
    for trip in _each_once(rounds)[:queries]:
        found = figures.quality([trip])
        gain = f"  NDCG@10 {found[0]:.2f} → {found[1]:.2f}" if found else ""
        console.print(f"\n[bold]{escape(printable(trip.event['query']))}[/bold]{gain}")
        console.print(side_by_side(trip.event, trip.result["ranking"], top))


def show_figures(console: Console, rounds: Mapping[str, Round], lists: JudgedLists, default_budget_ms: float) -> None:
    """Print the quality over all queries, and the figures of each round; every round has an answered trip."""
    trips = _each_once(rounds)
    if found := figures.quality(trips):
        before, after, judged = found
        console.print(
            "\nrel: judged relevance; 1 exact, 0.1 substitute, 0.01 complement, 0 irrelevant.\n"
            f"Mean NDCG@10 of {judged} queries: [bold]{before:.3f} by {lists.first_stage}, "
            f"{after:.3f} by {lists.model}[/bold].\n"
            "The lists were written for this demo, and one reader judged them: they show what a model does to a list, "
            "not what it would do in a shop."
        )
    if degraded := sum(trip.result["outcome"] != "reranked" for trip in trips):
        console.print(
            f"{degraded} of these {len(trips)} lists were not scored as a whole: this machine was too slow or too busy "
            "for their budgets. With RERANK_ON_OVERLOAD=score in the environment all are scored, however late."
        )
    console.print(figures.table(rounds, default_budget_ms))
    if burst := rounds.get("all at once"):
        console.print(
            f"All at once is a burst: {len(burst.trips)} lists in one moment show how much full batches score in a "
            "second, and what becomes of lists when their budgets leave no time for all candidates.\n"
        )


def troubles(rounds: Mapping[str, Round]) -> str:
    """Return what did not come back as it should, a line each; empty where everything did."""
    found = []
    for name, each in rounds.items():
        if each.missing:
            names = ", ".join(trip.event["request_id"] for trip in each.missing[:5])
            found.append(f"{name}: {len(each.missing)} of {len(each.trips)} results are missing, the first: {names}")
        found.extend(
            f"{name}: {trip.event['request_id']} is a dead letter: {trip.dead_letter}" for trip in each.refused
        )
    return "\n".join(found)


def _each_once(rounds: Mapping[str, Round]) -> list[Trip]:
    """Return the first answered trip of each query."""
    found: dict[str, Trip] = {}
    for each in rounds.values():
        for trip in each.answered:
            found.setdefault(trip.event["query"], trip)
    return list(found.values())

"""Shows ranked lists in a terminal: one list by itself, or the order before beside the order after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from worker.terminal.printable import printable
from worker.tools.screen import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RELEVANT = 0.5

Row = dict[str, Any]  # one entry of a result's `ranking`


def move(row: Row) -> Text:
    """Return how far a candidate has moved: ↑3 up three places, ↓2 down two, = none."""
    places = row["previous_rank"] - row["rank"]
    if places > 0:
        return Text(f"↑{places}", style="green")
    return Text(f"↓{-places}", style="red") if places < 0 else Text("=", style="dim")


def ranked(result: Mapping[str, Any], top: int) -> Table:
    """Return the first `top` of a result's list: rank, move, id, score."""
    table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    table.add_column(justify="right", width=5, style="dim")
    table.add_column(justify="right", width=5)
    table.add_column(overflow="fold")
    table.add_column(justify="right", width=8)
    for row in result["ranking"][:top]:
        score = "-" if row["score"] is None else f"{row['score']:.4f}"
        table.add_row(str(row["rank"]), move(row), plain(row["id"]), score)
    return table


def side_by_side(request: Mapping[str, Any], ranking: Sequence[Row], top: int) -> Table:
    """Return the first `top` of a request's list and of its result's, with titles, moves and judgements.

    `request` is the event; a judgement is a candidate's `relevance`, and the columns for it are there if any has one.
    """
    candidates = request["candidates"]
    judged = any("relevance" in candidate for candidate in candidates)
    table = Table(box=None, padding=(0, 1), pad_edge=False, expand=True, header_style="dim")
    table.add_column("", justify="right", width=2, style="dim")
    for heading in ("before", "after"):
        if heading == "after":
            table.add_column("moved", justify="right", width=5)
        if judged:
            table.add_column("rel", justify="right", width=4)
        table.add_column(heading, no_wrap=True, overflow="ellipsis", ratio=1)
    for place, (old, row) in enumerate(zip(candidates[:top], ranking[:top], strict=False), start=1):
        new = candidates[row["previous_rank"] - 1]
        cells: list[str | Text] = [str(place)]
        for candidate, moved in ((old, None), (new, move(row))):
            if moved is not None:
                cells.append(moved)
            if judged:
                cells.append(judgement(candidate.get("relevance")))
            cells.append(plain(title(candidate)))
        table.add_row(*cells)
    return table


def judgement(relevance: float | None) -> Text:
    """Return a judged relevance, from 0 to 1; what is relevant stands out."""
    if relevance is None:
        return Text("-", style="dim")
    return Text(f"{relevance:g}", style="bold green" if relevance >= _RELEVANT else "dim")


def title(candidate: Mapping[str, Any]) -> str:
    """Return what to call a candidate in a list: its title, else its text, else its id."""
    fields = candidate.get("fields") or {}
    return str(fields.get("title") or candidate.get("text") or candidate["id"])


def heading(result: Mapping[str, Any]) -> str:
    """Return the line above a result's list, in rich's markup."""
    total = result["timing_ms"].get("total")
    took = "" if total is None else f" · {total:.1f} ms"
    late = "" if result["deadline_met"] else " · [red]late[/red]"
    return (
        f"[bold]{escape(printable(result['query']))}[/bold]  {result['outcome']}{took}{late} · "
        f"{len(result['ranking'])} candidates · {escape(printable(result['request_id']))}"
    )

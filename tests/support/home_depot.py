"""Makes requests of real queries and products: `python -m tests.support.home_depot EVENTS.jsonl --events 5000`."""

from __future__ import annotations

import argparse
import json
from itertools import cycle, islice
from pathlib import Path
from typing import Any

SHARED = Path(__file__).parent.parent.parent.parent / "shared"
DATA = SHARED / "data" / "homedepot_train.parquet"
CANDIDATES = 30


def requests(count: int) -> list[dict[str, Any]]:
    """Group the products by query, and fill up to 30 with those of other queries."""
    import pyarrow.parquet as pq

    rows = pq.read_table(DATA, columns=["product_uid", "product_title", "search_term"]).to_pylist()
    titles = {row["product_uid"]: row["product_title"] for row in rows}
    wanted: dict[str, list[int]] = {}
    for row in rows:
        wanted.setdefault(row["search_term"], []).append(row["product_uid"])
    others = cycle(titles)
    made = []
    for number, (query, judged) in enumerate(islice(wanted.items(), count)):
        chosen = dict.fromkeys(judged)
        while len(chosen) < CANDIDATES:
            chosen.setdefault(next(others))
        products = [{"id": str(uid), "fields": {"title": titles[uid]}} for uid in list(chosen)[:CANDIDATES]]
        made.append({"request_id": f"h{number}", "query": query, "candidates": products, "budget_ms": 600_000})
    return made


def main() -> None:
    """Write one request a line."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.home_depot", description=__doc__)
    parser.add_argument("file", type=Path, metavar="EVENTS.jsonl")
    parser.add_argument("--events", type=int, default=5000, metavar="N")
    given = parser.parse_args()
    with given.file.open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(request)}\n" for request in requests(given.events))


if __name__ == "__main__":
    main()

"""Writes the dashboards' JSON: `python -m deploy.grafana [--budget-s 1.0] [--folder deploy/grafana/dashboards]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from deploy.grafana import device, kafka, overview
from deploy.grafana.json_model import to_json
from deploy.grafana.panels import DEFAULT_BUDGET_S, Board

FOLDER = Path(__file__).parent / "dashboards"


def boards(budget_s: float = DEFAULT_BUDGET_S) -> list[Board]:
    """Return all dashboards."""
    return [overview.board(budget_s), device.board(), kafka.board()]


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget-s", type=float, default=DEFAULT_BUDGET_S, help="the budget that is drawn in")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write them")
    given = parser.parse_args()
    for board in boards(given.budget_s):
        (given.folder / f"{board.name}.json").write_text(to_json(board), encoding="utf-8")


if __name__ == "__main__":
    main()

"""The dashboards' files: what the code makes, for any Grafana, with nothing in each other's place."""

from __future__ import annotations

import json
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from deploy.grafana.__main__ import FOLDER, boards
from deploy.grafana.json_model import to_json
from tests.deploy.expressions import DASHBOARDS, dashboards, panels
from tests.deploy.prometheus import DEPLOY

if TYPE_CHECKING:
    from deploy.grafana.panels import Board


def _uid(dashboard: dict[str, Any]) -> str:
    return str(dashboard["uid"])


@pytest.mark.parametrize("board", boards(), ids=lambda board: board.name)
def test_a_file_is_what_the_code_makes(board: Board) -> None:
    assert (FOLDER / f"{board.name}.json").read_text(encoding="utf-8") == to_json(board), "out of date: make docs"


def test_there_is_no_other_file() -> None:
    assert {path.stem for path in DASHBOARDS} == {board.name for board in boards()}


@pytest.mark.parametrize("dashboard", dashboards(), ids=_uid)
def test_a_dashboard_asks_the_data_source_that_is_chosen(dashboard: dict[str, Any]) -> None:
    assert dashboard.get("id") is None
    names = [variable["name"] for variable in dashboard["templating"]["list"]]
    assert names == ["datasource", "job", "instance"]
    for panel in panels(dashboard):
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        ids = [target["refId"] for target in panel["targets"]]
        assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("dashboard", dashboards(), ids=_uid)
def test_no_panel_covers_another(dashboard: dict[str, Any]) -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in dashboard["panels"]]
    for (first, one), (second, other) in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, f"{first} and {second}"


def test_the_budget_is_drawn_where_latency_is_shown() -> None:
    (board,) = [json.loads(to_json(board)) for board in boards(budget_s=0.25) if board.name == "overview"]
    limited = [
        panel["title"]
        for panel in panels(board)
        if any(
            step["value"] == 0.25 for step in panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
        )
    ]
    assert limited == ["Latency, p99", "Latency against the budget"]


@pytest.mark.parametrize(
    "path", sorted((DEPLOY / "grafana" / "provisioning").rglob("*.yaml")), ids=lambda path: path.stem
)
def test_a_provisioning_file_is_of_the_first_version_of_its_format(path: Any) -> None:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert found["apiVersion"] == 1
    assert found.get("datasources") or found.get("providers")

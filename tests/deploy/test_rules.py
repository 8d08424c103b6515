"""The rules: promtool finds them right, each alert is tried both ways and has its place in the runbook."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.expressions import rules
from tests.deploy.prometheus import RULES, promtool

TRIED = Path(__file__).parent / "rules"
RUNBOOK = Path(__file__).parent.parent.parent / "docs" / "runbook.md"
ALERTS = [rule for rule in rules() if "alert" in rule]


def _name(alert: dict[str, Any]) -> str:
    return str(alert["alert"])


def test_the_example_is_a_configuration_with_these_rules() -> None:
    promtool("check", "config", RULES / "prometheus.yml")


@pytest.mark.parametrize("name", ["alerts.yml", "recording_rules.yml"])
def test_the_rules_say_what_they_should(name: str) -> None:
    promtool("test", "rules", TRIED / name)


@pytest.mark.parametrize("alert", ALERTS, ids=_name)
def test_an_alert_is_tried_where_it_fires_and_where_it_does_not(alert: dict[str, Any]) -> None:
    trials = yaml.safe_load((TRIED / "alerts.yml").read_text(encoding="utf-8"))["tests"]
    fired = [
        bool(check.get("exp_alerts"))
        for trial in trials
        for check in trial["alert_rule_test"]
        if check["alertname"] == alert["alert"]
    ]
    assert set(fired) == {True, False}


@pytest.mark.parametrize("alert", ALERTS, ids=_name)
def test_an_alert_says_how_bad_it_is_how_much_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert "$value" in alert["annotations"]["summary"] or "absent(" in alert["expr"]
    assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{_name(alert).lower()}"
    section = RUNBOOK.read_text(encoding="utf-8").partition(f"\n## {_name(alert)}\n")[2].partition("\n## ")[0]
    for part in ("**Means.**", "**Look at.**", "**Do.**"):
        assert part in section, f"{_name(alert)}: no {part} in the runbook"


def test_the_runbook_has_no_heading_without_an_alert() -> None:
    headings = re.findall(r"^## (Rerank\w+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == [_name(alert) for alert in ALERTS]

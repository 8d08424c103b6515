"""Every metric that is named anywhere exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.deploy.expressions import DASHBOARDS, rules
from tests.deploy.prometheus import RULES
from worker.dead_letters import REASONS
from worker.observe.metrics import Metrics
from worker.records import Partition

ROOT = Path(__file__).parent.parent.parent
PLACES = [*DASHBOARDS, *sorted(RULES.glob("*.yml")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]

_RECORDED = re.compile(r"\b[a-z_]+:rerank_[a-z_]+:[a-z0-9_]+")
_EXPORTED = re.compile(r"\brerank_[a-z_]+")


def _exported() -> set[str]:
    metrics = Metrics(REASONS)
    metrics.partitions.begin([Partition("requests", 0)])
    samples = {sample.name for family in metrics.registry.collect() for sample in family.samples}
    return samples | {family.name for family in metrics.registry.collect()}


@pytest.mark.parametrize("path", PLACES, ids=lambda path: path.name)
def test_a_metric_that_is_named_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert set(_RECORDED.findall(text)) <= recorded
    assert set(_EXPORTED.findall(_RECORDED.sub("", text))) <= _exported()


def test_what_is_recorded_is_used() -> None:
    used = "".join(path.read_text(encoding="utf-8") for path in PLACES if path.name != "recording_rules.yml")
    chained = "".join(rule["expr"] for rule in rules())
    assert not [rule["record"] for rule in rules() if "record" in rule and rule["record"] not in used + chained]

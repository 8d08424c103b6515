"""The page of the metrics."""

from pathlib import Path

from worker.dead_letters import REASONS
from worker.observe.metrics import Metrics
from worker.tools.metrics_page import page, unit

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_the_page_says_what_the_code_exports() -> None:
    assert (DOCS / "metrics.md").read_text(encoding="utf-8") == page(), "docs/metrics.md is out of date: make docs"


def test_every_metric_has_a_unit_a_meaning_and_a_bounded_number_of_series() -> None:
    families = [each for each in Metrics(REASONS).registry.collect() if each.name.startswith("rerank_")]
    assert families
    for family in families:
        assert unit(family) or family.type == "info"
        assert family.documentation.endswith("."), family.name
        assert len(family.samples) <= 150, family.name

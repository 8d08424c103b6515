"""Every expression that is shipped: those of the dashboards' panels, of the recording rules and of the alerts."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import yaml

from tests.deploy.prometheus import DEPLOY, RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
_LIMIT = re.compile(r"(==|[<>]=?)\s*[\d.]+(\s*\*\s*[\d.]+)?")


def dashboards() -> list[dict[str, Any]]:
    """Return the dashboards, as they are committed."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS]


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a dashboard's panels, without the headings."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def targets(panel: dict[str, Any], interval: str) -> Iterator[tuple[str, str]]:
    """Yield a panel's expressions with everything chosen and a rate interval, and what names their series."""
    for target in panel["targets"]:
        expr = target["expr"].replace("$__rate_interval", interval)
        yield re.sub(r"\$(job|instance)\b", ".+", expr), target["legendFormat"]


def rules() -> list[dict[str, Any]]:
    """Return the recording rules, then the alerts."""
    files = [
        yaml.safe_load((RULES / name).read_text(encoding="utf-8")) for name in ("recording_rules.yml", "alerts.yml")
    ]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def without_limits(expr: str) -> str:
    """Return an alert's expression without what it is compared with: it has a value then also while all is well."""
    return _LIMIT.sub("", expr)

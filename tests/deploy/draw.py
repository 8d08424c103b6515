"""Draws the dashboards, the status page and `top` from live data: `make pictures`.

It is no Grafana: the panels' own expressions are asked of a real Prometheus that watches two workers under load, and
plotted with matplotlib where the dashboard's JSON places them.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from matplotlib.figure import Figure

from tests.deploy.expressions import dashboards, targets
from tests.deploy.scene import scene
from tests.deploy.screens import picture_status_page, picture_top
from tests.needs import lacking
from worker.tools.brokers import ApacheKafka

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.deploy.prometheus import Prometheus

DOCS = Path(__file__).parent.parent.parent / "docs"
_COLUMNS = 24
_UNIT_INCHES = (0.62, 0.34)  # of a column and of a row of the dashboard's grid
_DPI = 80
_INTERVAL = "15s"
_FACTORS = {"percentunit": (100, "%"), "bytes": (1 / 2**20, "MiB"), "s": (1, "s"), "reqps": (1, "/s"), "ops": (1, "/s")}
_LEGEND_ROWS = 7


def draw(prometheus: Prometheus, dashboard: dict[str, Any], since_s: float, path: Path) -> None:
    """Write a dashboard's picture as a PNG."""
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    width_in, row_in = _UNIT_INCHES
    figure = Figure(figsize=(_COLUMNS * width_in, (height + 2) * row_in), dpi=_DPI)
    figure.suptitle(f"{dashboard['title']} (its panels' expressions, drawn with matplotlib; not Grafana)", fontsize=11)
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        left, top = place["x"] / _COLUMNS, 1 - (place["y"] + 2) / (height + 2)
        if panel["type"] == "row":
            figure.text(left + 0.01, top - 0.6 / (height + 2), panel["title"], fontsize=11, weight="bold")
            continue
        box = (left + 0.035, top - (place["h"] - 0.9) / (height + 2))
        axes = figure.add_axes((*box, place["w"] / _COLUMNS - 0.05, (place["h"] - 2.3) / (height + 2)))
        (_number if panel["type"] == "stat" else _plot)(axes, panel, _series(prometheus, panel, since_s))
        axes.set_title(panel["title"], fontsize=9, loc="left")
    figure.savefig(path)


Series = tuple[str, list[float], list[float]]


def _series(prometheus: Prometheus, panel: dict[str, Any], since_s: float) -> list[Series]:
    """Return name, minutes and values of each."""
    factor, _ = _FACTORS.get(panel["fieldConfig"]["defaults"]["unit"], (1, ""))
    found = []
    now_s = time.time()
    for expr, legend in targets(panel, _INTERVAL):
        for series in prometheus.ask_range(expr, since_s, now_s, 2):
            labels = series["metric"]
            name = re.sub(r"\{\{(\w+)\}\}", lambda word: str(labels.get(word[1], "")), legend)  # noqa: B023 - called at once
            minutes = [(at_s - since_s) / 60 for at_s, _ in series["values"]]
            found.append(
                (name.replace("127.0.0.1:", ":"), minutes, [float(value) * factor for _, value in series["values"]])
            )
    return found


def _plot(axes: Any, panel: dict[str, Any], found: list[Series]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    factor, unit = _FACTORS.get(defaults["unit"], (1, ""))
    for name, minutes, values in found:
        axes.plot(minutes, values, label=name[:46], linewidth=1)
    for step in defaults.get("thresholds", {}).get("steps", []):
        if step["value"] is not None:
            axes.axhline(step["value"] * factor, color="tab:red", linestyle="--", linewidth=0.8)
    axes.tick_params(labelsize=7)
    axes.set_ylabel(unit, fontsize=7)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=6, loc="upper left", ncols=1 + len(found) // _LEGEND_ROWS)


def _number(axes: Any, panel: dict[str, Any], found: list[Series]) -> None:
    _, unit = _FACTORS.get(panel["fieldConfig"]["defaults"]["unit"], (1, ""))
    for _, minutes, values in found:
        axes.fill_between(minutes, values, alpha=0.15)
        axes.text(0.5, 0.35, f"{values[-1]:.3g} {unit}", transform=axes.transAxes, ha="center", fontsize=15)
    axes.set_axis_off()


def main() -> None:
    """Have two workers with the shipped model under load, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kafka-home", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=10.0, help="events a second, on average")
    given = parser.parse_args()
    if lack := lacking("pictures"):
        sys.exit(lack)
    with (
        tempfile.TemporaryDirectory() as folder,
        ApacheKafka(given.kafka_home, folder=Path(folder) / "broker") as broker,
    ):
        servers = broker.bootstrap_servers
        with scene(servers, _topics(servers), Path(folder), module="worker", rate=given.rate, candidates=10) as (
            prometheus,
            workers,
        ):
            since_s = time.time()
            time.sleep(given.minutes * 60)
            for dashboard in dashboards():
                draw(prometheus, dashboard, since_s, DOCS / f"dashboard-{dashboard['uid'].removeprefix('rerank-')}.png")
            picture_status_page(workers[0], Path(folder), DOCS / "status-page.png")
            picture_top(workers, DOCS / "top.svg")


def _topics(servers: str) -> Callable[..., str]:
    def make(stem: str, *, partitions: int = 1, settings: dict[str, str] | None = None) -> str:
        name = f"{stem}-{uuid.uuid4().hex[:6]}"
        with KafkaAdminClient(bootstrap_servers=servers) as admin:
            admin.create_topics(
                [NewTopic(name, num_partitions=partitions, replication_factor=1, topic_configs=settings)]
            )
            admin.wait_for_topics([name])
        return name

    return make


if __name__ == "__main__":
    main()

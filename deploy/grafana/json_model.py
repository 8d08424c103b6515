"""Turns a dashboard into Grafana's JSON, with Grafana's own builders."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    GraphThresholdsStyleMode,
    StackingMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)

if TYPE_CHECKING:
    from deploy.grafana.panels import Board, Limit, Panel

Made = TypeVar("Made", timeseries.Panel, stat.Panel)

_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_TAG = "rerank-worker"
_PLOT_ROWS, _NUMBER_ROWS = 8, 4


def to_json(board: Board) -> str:
    """Return the dashboard's JSON, as Grafana imports or provisions it."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(f"rerank-{board.name}")
        .description(board.meaning)
        .tags([_TAG])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("Reranker")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([_TAG])
            .keep_time(keep_time=True)
        )
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_choice("job", "Job", "label_values(rerank_poll_age_seconds, job)"))
        .with_variable(_choice("instance", "Worker", 'label_values(rerank_poll_age_seconds{job=~"$job"}, instance)'))
    )
    for row in board.rows:
        made = made.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            made = made.with_panel(_number(panel) if panel.kind == "number" else _plot(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


def _choice(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .query(query)
        .datasource(_SOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".+")
    )


def _plot(panel: Panel) -> timeseries.Panel:
    made = _filled(timeseries.Panel(), panel, _PLOT_ROWS).fill_opacity(20 if panel.stacked else 5)
    made = made.show_points(VisibilityMode.NEVER)
    if panel.stacked:
        made = made.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    if panel.limit:
        made = made.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    return made


def _number(panel: Panel) -> stat.Panel:
    made = _filled(stat.Panel(), panel, _NUMBER_ROWS).graph_mode(BigValueGraphMode.AREA)
    return made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))


def _filled(made: Made, panel: Panel, rows: int) -> Made:
    """Give a panel of either kind what all have."""
    made = made.title(panel.title).description(panel.meaning).unit(panel.unit).datasource(_SOURCE)
    made = made.span(panel.width).height(rows)
    if panel.limit:
        made = made.thresholds(_thresholds(panel.limit))
    for query in _queries(panel):
        made = made.with_target(query)
    return made


def _queries(panel: Panel) -> list[prometheus.Dataquery]:
    return [
        prometheus.Dataquery().ref_id(chr(ord("A") + number)).expr(query.expr).legend_format(query.legend).range()
        for number, query in enumerate(panel.queries)
    ]


def _thresholds(limit: Limit) -> dashboard.ThresholdsConfig:
    low, high = ("green", "red") if limit.bad == "above" else ("red", "green")
    steps = [Threshold(value=None, color=low), Threshold(value=limit.value, color=high)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)

"""What a real Prometheus sees of live workers under load: every expression that is shipped has a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.deploy.expressions import dashboards, panels, rules, targets, without_limits
from tests.deploy.prometheus import Prometheus, binary, promtool
from tests.deploy.scene import scene
from tests.integration.line import Worker, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.apache  # one of the workers publishes in transactions

Scene = tuple[Prometheus, list[Worker]]

_INTERVAL = "15s"  # in place of $__rate_interval: the scene is scraped every second


@pytest.fixture(scope="module")
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    binary("prometheus")
    broker: str = request.getfixturevalue("broker")
    topics: Callable[..., str] = request.getfixturevalue("topics")
    with scene(broker, topics, tmp_path_factory.mktemp("scene")) as made:
        yield made


def _until_all_have_data(prometheus: Prometheus, expressions: list[str]) -> None:
    missing = expressions

    def none_is_missing() -> bool:
        nonlocal missing
        missing = prometheus.without_data(missing)
        return not missing

    assert expressions
    wait_until("these have data: {}", none_is_missing, detail=lambda: "\n".join(missing))


@pytest.mark.broker
@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda dashboard: str(dashboard["uid"]))
def test_every_panel_shows_something(live: Scene, dashboard: dict[str, object]) -> None:
    prometheus, _ = live
    expressions = [expr for panel in panels(dashboard) for expr, _ in targets(panel, _INTERVAL)]
    _until_all_have_data(prometheus, expressions)


@pytest.mark.broker
def test_every_rule_is_about_something(live: Scene) -> None:
    prometheus, _ = live
    expressions = [
        without_limits(rule["expr"])
        for rule in rules()
        # Of kube-state-metrics, which is not here; and the one that says that there is nothing.
        if "kube_" not in rule["expr"] and "absent(" not in rule["expr"]
    ]
    _until_all_have_data(prometheus, expressions)
    _until_all_have_data(prometheus, [rule["record"] for rule in rules() if "record" in rule])


@pytest.mark.broker
def test_no_alert_of_absence_while_workers_are_there(live: Scene) -> None:
    prometheus, _ = live
    wait_until("the workers were scraped", lambda: prometheus.has_data("rerank_poll_age_seconds"))
    (absent,) = [rule["expr"] for rule in rules() if "absent(" in rule["expr"]]
    assert prometheus.ask(absent) == []


@pytest.mark.broker
def test_promtool_has_nothing_to_say_about_what_a_worker_exports(live: Scene) -> None:
    _, workers = live
    for worker in workers:
        status, text = worker.get("/metrics")
        assert status == 200
        assert promtool("check", "metrics", given=text.encode()) == ""

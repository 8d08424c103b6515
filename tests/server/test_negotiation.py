"""Which form of the metrics a client gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.server.exposition import FORMS
from worker.server.negotiation import chosen

TEXT, TEXT_1, OPENMETRICS = FORMS
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


@pytest.mark.parametrize("accept", [PROMETHEUS_2, PROMETHEUS_3, "application/openmetrics-text", "application/*"])
def test_who_asks_for_openmetrics_gets_it(accept: str) -> None:
    assert chosen(accept, FORMS) is OPENMETRICS


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "text/*", "text/plain", "text/plain;version=0.0.4", "text/html,application/xml;q=0.9,*/*;q=0.8"],
)
def test_who_asks_for_text_or_anything_gets_the_plain_form(accept: str) -> None:
    assert chosen(accept, FORMS) is TEXT


@pytest.mark.parametrize(
    "accept",
    [
        *("text/plain;version=x", "text/plain;version=", "text/plain;version=1.0.0.0", "text/plain;version=99"),
        *("application/openmetrics-text;version=2.0.0", "application/openmetrics-text;version=0.0.1"),
        *(
            "application/json",
            "text/plain;q=0",
            ";;,,/;q=",
            "text",
            "text/plain;q=x",
            'text/plain;version="',
            "\xff/\xff",
        ),
    ],
)
def test_what_there_is_not_or_is_no_media_range_gets_the_plain_form(accept: str) -> None:
    assert chosen(accept, FORMS) is TEXT


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3", TEXT_1),
        ("text/plain, application/openmetrics-text", TEXT),
        ("application/openmetrics-text, text/plain", OPENMETRICS),
        ("application/openmetrics-text;q=0.2, text/plain;q=0.3", TEXT),
        ("*/*, application/openmetrics-text;q=0.9", TEXT),
        ("*/*;q=0.9, application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text;q=0, */*", TEXT),
        ("text/*;q=0, */*", OPENMETRICS),
        ('Application/OpenMetrics-Text ; Version="1.0.0" ; q=1.0', OPENMETRICS),
        ('text/plain;version=x;note="a,b;q=0\\"", application/openmetrics-text', OPENMETRICS),
    ],
)
def test_the_best_quality_counts_then_the_closest_description_then_the_order(accept: str, form: object) -> None:
    assert chosen(accept, FORMS) is form


@given(st.text(alphabet='*/;,="\\ qtexplain.01version', max_size=60))
def test_every_header_has_a_form(accept: str) -> None:
    assert chosen(accept, FORMS) in FORMS

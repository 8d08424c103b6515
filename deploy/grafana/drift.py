"""The overview's last row: whether the model answers as it used to, and which model that is."""

from __future__ import annotations

from deploy.grafana.panels import Panel, Query, Row, chosen, quantile, quantiles


def row() -> Row:
    """Return the row."""
    logits = [
        Query(f"{place}, p50", quantile(0.5, "rerank_logits", where=f'candidate="{place}"'))
        for place in ("first", "middle", "last")
    ]
    build = "count by (model, revision, version, device, dtype) "
    return Row(
        "Drift",
        [
            Panel(
                title="How far lists are moved",
                meaning="Spearman's footrule of the lists that were scored as a whole: 0 as they came, 1 reversed.",
                unit="percentunit",
                queries=quantiles("rerank_rank_displacement", 0.5, 0.9),
            ),
            Panel(
                title="Logits",
                meaning="Median logit of the first, middle and last candidate of lists that were scored as a whole.",
                unit="none",
                queries=logits,
            ),
            Panel(
                title="What runs",
                meaning="Workers by model, version and device.",
                unit="short",
                queries=[
                    Query(
                        "{{model}} {{revision}}, {{version}}, {{device}} {{dtype}}",
                        build + f"({chosen('rerank_build_info')})",
                    )
                ],
                stacked=True,
            ),
        ],
    )

"""The device and its batches: utilisation, saturation and errors of what the model computes on."""

from __future__ import annotations

from deploy.grafana.panels import Board, Limit, Panel, Query, Row, chosen, quantile, quantiles, rate, share


def board() -> Board:
    """Return the dashboard."""
    return Board(
        "device",
        "Reranker: device and batches",
        "How busy the devices are, how well the batches fill them, and how well their time is predicted.",
        [_utilisation(), _saturation(), _batches(), _prediction(), _process()],
    )


def _utilisation() -> Row:
    padding = rate("rerank_tokens_total", "instance", 'kind="padding"')
    return Row(
        "Utilisation",
        [
            Panel(
                title="Device busy",
                meaning="Share of the time for which a batch was on the device. From 90% on, what waits grows quickly.",
                unit="percentunit",
                queries=[Query("{{instance}}", rate("rerank_device_busy_seconds_total", "instance"))],
                limit=Limit(0.9),
            ),
            Panel(
                title="Tokens",
                meaning="Tokens sent through the model: real ones, and padding.",
                unit="ops",
                queries=[Query("{{kind}}", rate("rerank_tokens_total", "kind"))],
                stacked=True,
            ),
            Panel(
                title="Padding",
                meaning="Share of the tokens that are padding: work for nothing.",
                unit="percentunit",
                queries=[Query("{{instance}}", share(padding, rate("rerank_tokens_total", "instance")))],
            ),
        ],
    )


def _saturation() -> Row:
    return Row(
        "Saturation",
        [
            Panel(
                title="Tokens inside",
                meaning="Tokens of the events inside each worker; at --max-in-flight-tokens it pauses its partitions.",
                unit="short",
                queries=[Query("{{instance}}", chosen("rerank_in_flight_tokens"))],
            ),
            Panel(
                title="Bytes inside",
                meaning="Bytes of the records inside each worker; at --max-in-flight-bytes it pauses its partitions.",
                unit="bytes",
                queries=[Query("{{instance}}", chosen("rerank_in_flight_bytes"))],
            ),
            Panel(
                title="Partitions paused",
                meaning="More work than the worker can hold.",
                unit="short",
                queries=[Query("{{instance}}", chosen("rerank_partitions_paused"))],
                limit=Limit(1),
            ),
        ],
    )


def _batches() -> Row:
    return Row(
        "Batches",
        [
            Panel(
                title="Tokens in a batch",
                meaning="Real tokens; --batch-tokens is the most.",
                unit="short",
                queries=quantiles("rerank_batch_tokens", 0.5, 0.95),
            ),
            Panel(
                title="Events and pairs in a batch, p50",
                meaning="How many lists share a batch, and how many pairs.",
                unit="short",
                queries=[
                    Query("events", quantile(0.5, "rerank_batch_events")),
                    Query("pairs", quantile(0.5, "rerank_batch_pairs")),
                ],
            ),
            Panel(
                title="Why batches were not larger",
                meaning="Nothing more waited (drained), the token budget was full, or a deadline came too soon.",
                unit="ops",
                queries=[Query("{{reason}}", rate("rerank_dispatch_total", "reason"))],
                stacked=True,
            ),
        ],
    )


def _prediction() -> Row:
    return Row(
        "Time of a batch, and caches",
        [
            _batch_time(0.5, "The prediction is a high quantile (--cost-quantile), so it should lie a little above."),
            _batch_time(0.99, "Where the actual one lies far above, deadlines are missed that were thought safe."),
            Panel(
                title="Cache hits",
                meaning="Share of the look-ups that found something: token ids of a product, logits of a pair.",
                unit="percentunit",
                queries=[
                    Query(
                        "{{cache}}",
                        share(
                            rate("rerank_cache_requests_total", "cache", 'result="hit"'),
                            rate("rerank_cache_requests_total", "cache"),
                        ),
                    )
                ],
            ),
        ],
    )


def _batch_time(level: float, meaning: str) -> Panel:
    return Panel(
        title=f"Batch time, p{level * 100:g}: predicted against actual",
        meaning=meaning,
        unit="s",
        queries=[
            Query("actual", quantile(level, "rerank_batch_seconds")),
            Query("predicted at most", quantile(level, "rerank_predicted_batch_seconds")),
        ],
    )


def _process() -> Row:
    return Row(
        "Errors and the process",
        [
            Panel(
                title="Events that the model failed on",
                meaning="Dead letters of scoring and tokenizing, and defects.",
                unit="reqps",
                queries=[
                    Query(
                        "{{reason}}",
                        rate("rerank_dead_letters_total", "reason", 'reason=~"model|tokenizer|defect"'),
                    )
                ],
            ),
            Panel(
                title="Processor",
                meaning="Cores that each worker uses.",
                unit="short",
                queries=[Query("{{instance}}", rate("process_cpu_seconds_total", "instance"))],
            ),
            Panel(
                title="Memory",
                meaning="What each worker holds.",
                unit="bytes",
                queries=[Query("{{instance}}", chosen("process_resident_memory_bytes"))],
            ),
        ],
    )

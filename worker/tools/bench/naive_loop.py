"""A rival: poll with kafka-python, predict for each message, produce the result, commit; ended by SIGTERM."""

from __future__ import annotations

import json
import sys
from typing import Any

from kafka import KafkaConsumer, KafkaProducer

from worker.tools.bench.plain_model import load


def main(config: dict[str, Any]) -> None:
    """Consume for ever. What a poll returned is committed together, once its results are acknowledged."""
    rerank = load(config)
    servers = config["bootstrap_servers"].split(",")
    consumer = KafkaConsumer(
        config["request_topic"],
        bootstrap_servers=servers,
        group_id=config["group_id"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=config["session_timeout_ms"],
    )
    producer = KafkaProducer(bootstrap_servers=servers)
    while True:
        polled = consumer.poll(timeout_ms=100)
        for records in polled.values():
            for record in records:
                result = rerank(json.loads(record.value))
                producer.send(config["result_topic"], json.dumps(result).encode(), record.key)
        if polled:
            producer.flush()
            consumer.commit()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

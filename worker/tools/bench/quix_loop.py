"""A rival: a quixstreams application that predicts for each message; ended by SIGTERM."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from quixstreams import Application

from worker.tools.bench.plain_model import load


def main(config: dict[str, Any]) -> None:
    """Run the application: it produces results and commits by itself."""
    application = Application(
        broker_address=config["bootstrap_servers"],
        consumer_group=config["group_id"],
        auto_offset_reset="earliest",
        consumer_extra_config={"session.timeout.ms": config["session_timeout_ms"]},
        state_dir=config["state_folder"],  # else it makes one where its user happens to be
        loglevel="WARNING",
    )
    requests = application.topic(config["request_topic"], value_deserializer="json")
    results = application.topic(config["result_topic"], value_serializer="json")
    stream = application.dataframe(requests).apply(load(config))
    # A result would else have its request's timestamp, and nobody could see when it was ready.
    stream.set_timestamp(lambda *_: int(time.time() * 1000)).to_topic(results)
    application.run()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

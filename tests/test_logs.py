"""Log lines."""

import json
import logging
import sys

import pytest

from worker.logs import JsonFormatter, LogOptions, TextFormatter, set_up


def _record(message: str = "partitions %s", *arguments: object, **extra: object) -> logging.LogRecord:
    record = logging.makeLogRecord({"name": "worker.loop", "levelname": "INFO", "msg": message, "args": arguments})
    record.__dict__.update(extra)
    return record


def test_a_json_line_carries_what_came_as_extra() -> None:
    line = json.loads(JsonFormatter().format(_record("partitions %s", "revoked", partitions=[3, 4])))
    assert line["message"] == "partitions revoked"
    assert line["partitions"] == [3, 4]
    assert (line["level"], line["logger"]) == ("info", "worker.loop")
    assert line["time"].endswith("+00:00")


def test_a_text_line_shows_what_came_as_extra_behind_the_message() -> None:
    assert TextFormatter().format(_record("ready", port=1)).endswith("INFO    worker.loop: ready port=1")


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_an_exception_is_in_the_line(formatter: logging.Formatter) -> None:
    try:
        raise ValueError("broken")  # noqa: TRY301 - an exception with a traceback is wanted
    except ValueError:
        record = _record("failed", exc_info=sys.exc_info())
    assert "ValueError: broken" in formatter.format(record)


def test_the_level_and_the_format_are_set_for_the_whole_process(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    try:
        set_up(LogOptions(log_level="warning", log_format="json"))
        logging.getLogger("kafka.somewhere").info("quiet")
        logging.getLogger("kafka.somewhere").warning("loud")
    finally:
        root.setLevel(before[0])
        root.handlers = before[1]
        logging.captureWarnings(capture=False)
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["loud"]

"""Log lines."""

import io
import json
import logging
import sys

import pytest

from worker.observe.logs import (
    JsonFormatter,
    LogOptions,
    Sparse,
    SparseHandler,
    TextFormatter,
    be_printable,
    say,
    set_up,
)


def _record(message: str = "partitions %s", *arguments: object, **extra: object) -> logging.LogRecord:
    record = logging.makeLogRecord(
        {"name": "worker.main_loop.loop", "levelname": "INFO", "msg": message, "args": arguments}
    )
    record.__dict__.update(extra)
    return record


def test_a_json_line_carries_what_came_as_extra() -> None:
    line = json.loads(JsonFormatter().format(_record("partitions %s", "revoked", partitions=[3, 4])))
    assert line["message"] == "partitions revoked"
    assert line["partitions"] == [3, 4]
    assert (line["level"], line["logger"]) == ("info", "worker.main_loop.loop")
    assert line["time"].endswith("+00:00")


def test_a_json_line_carries_what_its_message_names() -> None:
    record = logging.LogRecord(
        "worker", logging.INFO, "", 0, "commit refused: %(error)s", ({"error": KeyError("k")},), None
    )
    line = json.loads(JsonFormatter().format(record))
    assert (line["message"], line["error"]) == ("commit refused: 'k'", "'k'")


def test_what_a_line_quotes_steers_no_terminal_and_makes_no_line_of_its_own() -> None:
    record = _record("dead letter: %s", "got '\x1b[2J\n12:00 INFO all is well\x9b'", key="\u202e")
    text = TextFormatter().format(record)
    assert text.endswith("dead letter: got '\\x1b[2J\\n12:00 INFO all is well\\x9b' key=\\u202e")
    line = JsonFormatter().format(record)
    assert line.isprintable()
    assert json.loads(line)["key"] == "\u202e"


def test_a_line_where_no_log_was_set_up_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert logging.lastResort is not None
    before = logging.lastResort.formatter
    try:
        be_printable()
        logging.lastResort.handle(_record("got %s", "'\x1b[2J'"))
    finally:
        logging.lastResort.setFormatter(before)
    assert capsys.readouterr().err == "got '\\x1b[2J'\n"


def test_the_last_line_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("events.jsonl: 1 of 2\n  line 3: \x1b]0;owned\x07", 2)
    assert capsys.readouterr().err == "rerank-worker: events.jsonl: 1 of 2\n  line 3: \\x1b]0;owned\\x07\n"


def test_the_name_of_an_event_is_for_machines() -> None:
    record = _record("ready", event="ready")
    assert json.loads(JsonFormatter().format(record))["event"] == "ready"
    assert TextFormatter().format(record).endswith(": ready")


def test_of_a_flood_the_first_lines_come_through_and_then_one_in_a_while_with_the_count_of_the_others() -> None:
    sparse = Sparse(first=3, pause_s=1.0)
    assert [sparse.take(now_s=0.0) for _ in range(5)] == [0, 0, 0, None, None]
    assert [sparse.take(now_s=0.25 * quarter) for quarter in range(1, 9)] == [None, None, None, 5, None, None, None, 3]
    assert [sparse.take(now_s=60.0) for _ in range(4)] == [0, 0, 0, None]  # a calm, then the next flood


def test_a_flood_of_one_event_hides_neither_other_events_nor_what_is_no_warning() -> None:
    written = io.StringIO()
    logger = logging.Logger("worker")  # noqa: LOG001 - one that nobody else has
    logger.addHandler(handler := SparseHandler(written))
    handler.setFormatter(JsonFormatter())
    for _ in range(100):
        logger.warning("dead letter", extra={"event": "dead_letter"})
        logger.info("partitions", extra={"event": "rebalance"})
        logger.warning("of a library")
    logger.error("defect", extra={"event": "defect"})
    said = [json.loads(line)["message"] for line in written.getvalue().splitlines()]
    assert [said.count(each) for each in ("partitions", "of a library", "defect")] == [100, 100, 1]
    assert 10 <= said.count("dead letter") < 100


def test_a_text_line_shows_what_came_as_extra_behind_the_message() -> None:
    assert TextFormatter().format(_record("ready", port=1)).endswith("INFO    worker.main_loop.loop: ready port=1")


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

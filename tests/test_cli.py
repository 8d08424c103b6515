"""The command line, as a process: what it prints and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from worker import __version__
from worker.config.options import options
from worker.config.settings import group_types
from worker.exits import Exit

if TYPE_CHECKING:
    from pathlib import Path


def _run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "worker", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "COLUMNS": "100", **environ},
    )


def test_the_version_is_printed() -> None:
    done = _run("--version")
    assert (done.returncode, done.stdout) == (0, f"rerank-worker {__version__}\n")


def test_the_help_of_run_shows_every_option_and_its_default() -> None:
    shown = _run("run", "--help", COLUMNS="200").stdout
    for option in options(group_types()):
        assert option.flag in shown
    assert "rerank-requests" in shown


def test_the_effective_options_are_printed_as_a_file(tmp_path: Path) -> None:
    file = tmp_path / "worker.toml"
    file.write_text('group_id = "from-file"\n')
    done = _run("run", "--print-config", "--config", str(file), "--no-create-topics", RERANK_MAX_LENGTH="64")
    assert done.returncode == 0
    values = tomllib.loads(done.stdout)
    assert (values["group_id"], values["max_length"], values["create_topics"]) == ("from-file", 64, False)


def test_a_wrong_option_ends_in_one_line_and_status_2() -> None:
    done = _run("run", "--max-length", "long")
    assert done.returncode == Exit.USAGE
    assert done.stderr == "rerank-worker: --max-length: expected a valid integer, got 'long'\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--no-such-option"), "No such option: --no-such-option"),
        (("run", "--max-lenght", "64"), "--max-length"),
        (("run", "--max-length"), "--max-length"),
        (("run", "surplus"), "surplus"),
        (("publish",), "FILE"),
        (("wacth",), "'watch'"),
        (("bench", "nothing"), "nothing"),
        (("watch", "--top", "0"), "'--top': expected greater than or equal to 1"),
        (("watch", "--top", "many"), "'--top': expected a valid integer"),
        (("watch", "--format", "xml"), "'--format': 'xml' is not one of 'table', 'json'"),
        (("run", "--bootstrap-servers", "localhost:abc"), "--bootstrap-servers: expected host:port"),
        (("run", "--result-topic", "a", "--request-topic", "a"), "expected different topics, got 'a' for both"),
        (("replay", "--dead-letter-topic", "rerank-requests"), "expected different topics, got 'rerank-requests'"),
        (("watch", "--dead-letter-topic", "rerank-results"), "expected different topics, got 'rerank-results'"),
    ],
)
def test_a_wrong_command_line_ends_in_one_line_and_status_2(arguments: tuple[str, ...], said: str) -> None:
    done = _run(*arguments)
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert done.stderr.startswith("rerank-worker: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


@pytest.mark.parametrize("arguments", [(), ("bench",)])
def test_without_a_command_the_commands_are_shown(arguments: tuple[str, ...]) -> None:
    done = _run(*arguments)
    assert done.returncode == Exit.USAGE
    assert "Usage" in done.stdout + done.stderr
    assert "rerank-worker: " not in done.stderr


@pytest.mark.parametrize("command", ["run", "publish", "watch", "dead-letters", "replay", "demo"])
def test_every_command_explains_itself(command: str) -> None:
    done = _run(command, "--help")
    assert done.returncode == 0
    assert command in done.stdout


def test_an_address_where_no_broker_is_ends_in_one_line_and_a_status_of_its_own() -> None:
    done = _run("run", "--bootstrap-servers", "127.0.0.1:1", "--connect-timeout-s", "1", "--http-port", "0")
    assert done.returncode == Exit.UNREACHABLE
    assert done.stderr.splitlines()[-1].startswith("rerank-worker: 127.0.0.1:1: no connection within 1 s")
    assert "Traceback" not in done.stderr


def test_the_last_line_is_json_where_the_log_is() -> None:
    silent = ("run", "--bootstrap-servers", "127.0.0.1:1", "--connect-timeout-s", "0.5", "--http-port", "0")
    done = _run(*silent, "--log-format", "json")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == Exit.UNREACHABLE
    assert lines[-1]["level"] == "error"
    assert lines[-1]["message"].startswith("127.0.0.1:1: no connection within 0.5 s")


@pytest.mark.broker
def test_a_model_that_is_missing_ends_in_one_line_before_anything_is_read(broker: str) -> None:
    done = _run(
        *("run", "--bootstrap-servers", broker, "--model", "/no/such/model", "--http-port", "0", "--create-topics"),
        *(
            "--request-topic",
            "cli-requests",
            "--result-topic",
            "cli-results",
            "--dead-letter-topic",
            "cli-dead-letters",
        ),
    )
    assert done.returncode == Exit.MODEL
    assert "/no/such/model" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr

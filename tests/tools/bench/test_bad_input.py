"""What a bench cannot use ends it at once, in one line on standard error, with its status."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.tools.bench.conftest import ALL, WITH_A_BROKER, WITH_WORKERS
from tests.tools.conftest import environment
from worker.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BAD = (
    (("--seconds", "0"), "--seconds: expected greater than 0, got '0'"),
    (("--seconds", "soon"), "--seconds: expected a valid number, got 'soon'"),
    (("--repeat", "0"), "--repeat: expected greater than"),
    (("--json", "/no/such/folder/out.json"), "--json: expected a file in a folder that exists"),
    (("--plot", "out.pdf"), "--plot: expected a file that ends in .png, got out.pdf"),
    (("--max-length", "long"), "--max-length: expected a valid integer, got 'long'"),
)
FILES = (
    ("missing.jsonl", None, "no such file"),
    ("pairs.csv", "query,text\n", "expected a .parquet or .jsonl file, got"),
    ("empty.jsonl", "", "expected a request a line, got none"),
    ("broken.jsonl", "\n{}\n", "line 2: "),
)


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bench that starts a broker all the same says that it cannot."""
    monkeypatch.setenv("KAFKA_HOME", "/no/such/release")


def test_a_bad_option_is_all_that_a_user_sees() -> None:
    command = [sys.executable, "-m", "worker", "bench", "scorer", "--seconds", "soon"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=environment())
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert done.stderr == "rerank-worker: --seconds: expected a valid number, got 'soon'\n"


@pytest.mark.parametrize("command", ALL)
@pytest.mark.parametrize(("words", "said"), BAD, ids=lambda value: value[0] if isinstance(value, tuple) else "")
def test_a_bad_option_is_one_line(command: str, words: tuple[str, ...], said: str, refused: Callable[..., str]) -> None:
    assert said in refused(command, *words)


@pytest.mark.parametrize("command", ALL)
@pytest.mark.parametrize("bad", FILES, ids=lambda bad: bad[0])
def test_a_file_without_pairs_is_one_line(
    command: str, bad: tuple[str, str | None, str], refused: Callable[..., str], tmp_path: Path
) -> None:
    name, content, said = bad
    file = tmp_path / name
    if content is not None:
        file.write_text(content)
    line = refused(command, "--input", str(file))
    assert line.startswith("rerank-worker: --input: ")
    assert str(file) in line
    assert said in line


@pytest.mark.parametrize("command", ALL)
def test_a_table_without_a_column_that_is_known_is_one_line(
    command: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "pairs.parquet"
    parquet.write_table(pa.table({"query": ["hinge"], "price": [1]}), file)
    assert f"{file}: expected a column query or search_term and text or one of" in refused(
        command, "--input", str(file)
    )


@pytest.mark.parametrize("command", WITH_A_BROKER)
def test_a_file_with_too_few_texts_is_one_line(command: str, refused: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "pairs.parquet"
    parquet.write_table(pa.table({"query": ["hinge"] * 40, "text": ["a hinge", "another"] * 20}), file)
    line = refused(command, "--input", str(file))
    assert "different product texts" in line
    assert f"{file} has 2; " in line


@pytest.mark.parametrize("command", ALL)
def test_a_model_that_does_not_exist_is_one_line_and_no_broker_is_started(
    command: str, refused: Callable[..., str]
) -> None:
    line = refused(command, "--model", "/no/such", status=Exit.MODEL)
    assert line.startswith("rerank-worker: model '/no/such': no such folder")


def test_an_unknown_peer_is_one_line(refused: Callable[..., str]) -> None:
    line = refused("scorer", "--against", "magic")
    assert "--against: expected 'sentence-transformers', got 'magic'" in line


@pytest.mark.parametrize("command", WITH_A_BROKER)
def test_an_address_without_a_broker_is_one_line(command: str, refused: Callable[..., str], tiny_model: Path) -> None:
    address = ("--bootstrap-servers", "127.0.0.1:1", "--connect-timeout-s", "1")
    line = refused(command, *address, "--model", str(tiny_model), status=Exit.UNREACHABLE)
    assert "127.0.0.1:1: no connection within 1 s" in line


@pytest.mark.broker
@pytest.mark.parametrize("command", WITH_WORKERS[1:])
def test_a_worker_that_ends_ends_the_bench_with_its_line_and_its_status(
    command: str, refused: Callable[..., str], broker: str, tiny_model: Path
) -> None:
    # Only who has loaded the model knows that it has no such positions.
    words = ("--bootstrap-servers", broker, "--model", str(tiny_model), "--max-length", "9999")
    line = refused(command, *words, status=Exit.MODEL)
    said = "max_length: the model has positions for 48 tokens, got 9999."
    assert line == f"rerank-worker: the worker ended with status {Exit.MODEL:d}: {said}\n"

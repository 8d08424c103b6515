"""One tiny run of each bench: what it reports, never how fast."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.tools.bench.names import undocumented
from tests.tools.conftest import rerank_worker

if TYPE_CHECKING:
    from pathlib import Path

    from kafka import KafkaAdminClient

TINY = ("--seconds", "0.05", "--repeat", "2", "--max-length", "32")
PLAIN = ("--backend", "torch", "--dtype", "float32", "--cpu-threads", "1")


def _run(tmp_path: Path, *words: str) -> tuple[dict[str, Any], str]:
    file = tmp_path / "out.json"
    done = rerank_worker(None, "bench", *words, *TINY, "--json", str(file), timeout_s=110)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # progress is for terminals
    return json.loads(file.read_text()), done.stdout


def _names(report: dict[str, Any]) -> set[str]:
    names = {each["name"] for each in report["results"]}
    assert undocumented(names) == set()
    return names


def test_bench_scorer_measures_the_model_and_its_peer(tmp_path: Path) -> None:
    plot = tmp_path / "out.png"
    words = (*PLAIN, "--pairs", "64", "--mean-tokens", "20", "--against", "sentence-transformers")
    report, shown = _run(tmp_path, "scorer", *words, "--plot", str(plot))
    rates = {"scorer.torch.float32.pairs_per_second", "scorer.torch.float32.tokens_per_second"}
    others = {"scorer.torch.float32.padding_share", "scorer.sentence_transformers.float32.pairs_per_second"}
    assert _names(report) == rates | others
    assert [ratio["name"] for ratio in report["ratios"]] == ["scorer.vs_sentence_transformers"]
    assert all(len(each["runs"]) == 2 and each["value"] >= 0 for each in report["results"])
    environment = report["environment"]
    assert (environment["dtype"], environment["device"], environment["pairs_per_run"]) == ("float32", "cpu", 64)
    assert environment["model"]["id"] == "model-minilm-l6"
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "scorer.vs_sentence_transformers" in shown


def test_bench_scorer_reads_pairs_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    candidates = [{"id": f"p{at}", "text": f"steel hinge {at}"} for at in range(9)]
    file.write_text(json.dumps({"request_id": "r", "query": "hinge", "candidates": candidates}))
    report, _ = _run(tmp_path, "scorer", "--input", str(file), *PLAIN)
    assert report["environment"]["pairs_per_run"] == 9


@pytest.mark.broker
def test_bench_host_measures_every_stage_and_leaves_no_topic(
    tmp_path: Path, broker: str, admin: KafkaAdminClient
) -> None:
    small = ("--candidates", "4", "--partitions", "2", "--tokenizer-threads", "2")
    report, _ = _run(tmp_path, "host", "--bootstrap-servers", broker, *small)
    names = _names(report)
    for cache in ("cold", "warm"):
        rates = {f"host.{cache}.{unit}_per_second" for unit in ("pairs", "events", "megabytes")}
        stages = {f"host.{cache}.cpu.{stage}" for stage in ("main", "tokenize", "score", "publish", "broker")}
        assert rates | stages <= names
    assert {"host.tokenizer.pairs_per_second", "host.tokenizer.threads_2.pairs_per_second"} <= names
    ratios = [ratio["name"] for ratio in report["ratios"]]
    assert ratios == ["host.cold_vs_tokenizer", "host.cold_vs_tokenizer_threads_2"]
    assert all(each["value"] > 0 for each in report["results"] if each["name"].endswith("per_second"))
    assert not [topic for topic in admin.list_topics() if topic.startswith("rerank-bench-")]

"""The settings of a bench, as flags of the worker that it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import Mock

from worker.config.settings import load
from worker.kafka_io import KafkaOptions
from worker.tools.bench import served as module
from worker.tools.bench.served import flags_of, served

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SECURE = {
    "RERANK_SECURITY_PROTOCOL": "SASL_SSL",
    "RERANK_SASL_MECHANISM": "PLAIN",
    "RERANK_SASL_USERNAME": "ann",
    "RERANK_SASL_PASSWORD": "dark",
}


def test_the_flags_give_the_same_settings() -> None:
    settings = load({"product_fields": "title,brand", "batch_tokens": "512", "create_topics": True}, {})
    assert load(flags_of(settings), {}) == settings


def test_a_secret_is_no_flag_since_everybody_sees_those() -> None:
    settings = load({}, SECURE)
    flags = flags_of(settings)
    assert "dark" not in map(str, flags.values())
    assert load(flags, {"RERANK_SASL_PASSWORD": "dark"}) == settings


def test_a_bench_has_a_transactional_id_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started = Mock()
    monkeypatch.setattr(module, "LiveWorker", started)
    settings = load({}, {"RERANK_TRANSACTIONAL_ID": "the-one-in-production"})
    with served(settings, KafkaOptions(group_id="rerank-bench-1"), tmp_path, "worker"):
        flags = started.call_args.args[0]
    assert flags["transactional_id"] == "rerank-bench-1"

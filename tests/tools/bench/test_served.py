"""The settings of a bench, as flags of the worker that it starts."""

from __future__ import annotations

from worker.settings import load
from worker.tools.bench.served import flags_of

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

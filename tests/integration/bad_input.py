"""Bad input of every kind: its bytes, and the reason that its dead letter gives."""

from __future__ import annotations

import json

from tests.integration.line import event

BAD: dict[str, tuple[bytes | None, str]] = {
    "tombstone": (None, "tombstone"),
    "nothing": (b"", "not_json"),
    "not UTF-8": (b'{"query": "\xff"}', "not_utf8"),
    "not JSON": (b"{query: drill}", "not_json"),
    "NaN": (json.dumps(event(1, budget_ms=float("nan"))).encode(), "not_json"),
    "a list": (b"[]", "schema"),
    "wrong types": (json.dumps({**event(1), "query": 7}).encode(), "schema"),
    "no candidates": (json.dumps({**event(1), "candidates": []}).encode(), "schema"),
    "too many candidates": (json.dumps(event(1, candidates=1001)).encode(), "schema"),
    "empty query": (json.dumps({**event(1), "query": " "}).encode(), "schema"),
    "duplicate ids": (
        json.dumps({**event(1), "candidates": [{"id": "a", "text": "x"}, {"id": "a", "text": "y"}]}).encode(),
        "duplicate_ids",
    ),
    "oversize text": (json.dumps(event(1, words=10_000)).encode(), "text_too_long"),
    "deep nesting": (b'{"query":' + b"[" * 5000 + b"]" * 5000 + b"}", "too_deep"),
}

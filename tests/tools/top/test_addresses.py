"""Which addresses `rerank-worker top` takes."""

from __future__ import annotations

import pytest

from worker.exits import Exit, StopError
from worker.tools.top.addresses import addresses


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("http://10.0.0.1:9464", "http://10.0.0.1:9464"),
        ("http://10.0.0.1:9464/", "http://10.0.0.1:9464"),
        ("http://worker:9464/metrics", "http://worker:9464"),
        ("https://worker", "https://worker"),
        ("worker:9464", "http://worker:9464"),
        ("[::1]:9464", "http://[::1]:9464"),
    ],
)
def test_an_address_may_be_written_in_several_ways(given: str, address: str) -> None:
    assert addresses([given]) == [address]


def test_a_worker_that_is_named_twice_is_asked_once() -> None:
    assert addresses(["b:1", "a:1", "http://b:1/"]) == ["http://b:1", "http://a:1"]


@pytest.mark.parametrize(
    "given",
    [
        *("", "http://", "http://:9464", "ftp://worker:9464", "file:///etc/passwd", "worker:port", "worker:99999"),
        *("worker:0", "http://[::1", "http://user:secret@worker:9464", "http://worker:9464/x", "http://worker:9464/?x"),
        "http://worker name:9464",
    ],
)
def test_what_is_no_address_is_one_line_and_status_2(given: str) -> None:
    with pytest.raises(StopError, match="URL: expected the address of a worker, such as") as caught:
        addresses([given])
    assert caught.value.code is Exit.USAGE
    assert "secret" not in str(caught.value)

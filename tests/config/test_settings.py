"""Options from flags, environment and file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from worker.config.settings import load, unknown_variables
from worker.exits import StopError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_flag_goes_before_the_environment_and_the_environment_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "worker.toml"
    file.write_text('max_length = 64\nbatch_tokens = 1000\ngroup_id = "file"\nproduct_fields = ["title", "brand"]\n')
    environ = {"RERANK_CONFIG": str(file), "RERANK_BATCH_TOKENS": "2000", "RERANK_GROUP_ID": "environment"}
    settings = load({"group_id": "flag"}, environ)
    assert settings.model.max_length == 64
    assert settings.batch.batch_tokens == 2000
    assert settings.kafka.group_id == "flag"
    assert settings.events.product_fields == ("title", "brand")


@pytest.mark.parametrize("servers", ["a:1", "a_b-c.example.:9092, localhost", "127.0.0.1:65535", "[::1]:9092,[::1]"])
def test_brokers_are_named_by_host_and_port(servers: str) -> None:
    assert load({"bootstrap_servers": servers}, {}).kafka.bootstrap_servers == servers


@pytest.mark.parametrize(
    "servers",
    [
        *("", " ", ",", "a:1,", ":9092", "a b:1", "a..b:1", "x" * 64, "::1", "[::1", "[a]:1", "[::1]9092"),
        *("a:", "a:abc", "a:0", "a:99999", "a:1:2", "a:\u0661"),
    ],
)
def test_what_names_no_broker_is_refused(servers: str) -> None:
    with pytest.raises(StopError, match="--bootstrap-servers: expected host:port, several separated by commas"):
        load({"bootstrap_servers": servers}, {})


@pytest.mark.parametrize(
    ("given", "reads"),
    [
        ({}, "read_uncommitted"),
        ({"isolation_level": "read_committed"}, "read_committed"),
        ({"delivery": "exactly-once"}, "read_committed"),
        ({"delivery": "exactly-once", "isolation_level": "read_committed"}, "read_committed"),
    ],
)
def test_what_is_read_follows_from_the_delivery_where_it_is_not_said(given: dict[str, str], reads: str) -> None:
    assert load(given, {}).delivery.reads == reads


def test_a_variable_that_is_no_option_is_named() -> None:
    environ = {"RERANK_MAX_LENGHT": "1", "RERANK_MAX_LENGTH": "64", "RERANK_CONFIG": "x", "HOME": "/"}
    assert unknown_variables(environ) == ["RERANK_MAX_LENGHT"]

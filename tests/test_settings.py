"""Options from flags, environment and file."""

from __future__ import annotations

import tomllib
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from worker.exits import Exit, StopError
from worker.settings import group_types, load, options, to_toml, unknown_variables

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


def test_lists_are_written_with_commas_and_switches_with_words() -> None:
    settings = load({}, {"RERANK_PRODUCT_FIELDS": "title, brand", "RERANK_CREATE_TOPICS": "true"})
    assert settings.events.product_fields == ("title", "brand")
    assert settings.kafka.create_topics is True


@pytest.mark.parametrize(
    ("flags", "environ", "message"),
    [
        ({"max_length": "long"}, {}, "--max-length: expected a valid integer, got 'long'"),
        ({}, {"RERANK_HTTP_PORT": "70000"}, "RERANK_HTTP_PORT: expected less than or equal to 65535, got '70000'"),
        ({"group_id": ""}, {}, "--group-id: expected at least 1 character, got ''"),
        ({"product_fields": ","}, {}, "--product-fields: expected at least 1 item, got []"),
        ({"dtype": "int4"}, {}, "--dtype: expected 'auto', 'float32', 'bfloat16' or 'float16', got 'int4'"),
        ({"sasl_mechanism": "PLAIN"}, {}, "sasl_mechanism PLAIN needs security_protocol SASL_SSL or SASL_PLAINTEXT"),
        (
            {"delivery": "exactly-once", "isolation_level": "read_uncommitted"},
            {},
            "isolation_level read_uncommitted does not go with delivery exactly-once",
        ),
        ({"group_instance_id": "a b"}, {}, "group_instance_id: expected 1 to 249 of A-Z"),
        ({"on_corrupt_record": "skip"}, {}, "--on-corrupt-record: expected 'stop' or 'skip-to-dlq', got 'skip'"),
        ({"config": "/no/such/file"}, {}, "--config: cannot read /no/such/file: No such file or directory"),
        ({"device": "gpu"}, {}, "--device: expected auto, cpu, cuda or cuda:N, got 'gpu'"),
        ({"fetch_wait_s": "100"}, {}, "--fetch-wait-s: expected less than 30, got '100'"),
        ({"linger_s": "200"}, {}, "linger_s 200 needs a larger delivery_timeout_s, got 120"),
        (
            {"linger_s": "20", "delivery": "exactly-once"},
            {},
            "linger_s 20 needs a larger transaction_timeout_s, got 10",
        ),
    ],
)
def test_a_wrong_option_is_one_line_that_names_where_it_was_set(
    flags: dict[str, str], environ: dict[str, str], message: str
) -> None:
    with pytest.raises(StopError) as caught:
        load(flags, environ)
    assert caught.value.code is Exit.USAGE
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("name", [option.name for option in options(group_types()) if option.type is float])
def test_no_number_may_be_nan_or_infinite(name: str, value: str) -> None:
    with pytest.raises(StopError, match=f"expected a finite number, got '{value}'"):
        load({name: value}, {})


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_lenght = 64", "max_lenght is not an option; did you mean max_length?"),
        ("zzz = 1", "zzz is not an option"),
        ("max_length = ", "is not TOML"),
        ("http_port = 70000", "http_port in "),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "worker.toml"
    file.write_text(text)
    with pytest.raises(StopError, match=message) as caught:
        load({"config": str(file)}, {})
    assert str(file) in str(caught.value)


def test_a_wrong_password_is_not_shown() -> None:
    with pytest.raises(StopError) as caught:
        load({}, {"RERANK_SASL_PASSWORD": "hunter2", "RERANK_SECURITY_PROTOCOL": "SASL_SSL"})
    assert "hunter2" not in str(caught.value)


def test_the_printed_options_are_a_file_that_gives_them_again_and_hide_secrets(tmp_path: Path) -> None:
    given = {
        "RERANK_MAX_LENGTH": "77",
        "RERANK_PRODUCT_FIELDS": "title",
        "RERANK_FIELD_SEPARATOR": ' "|" ',
        "RERANK_CREATE_TOPICS": "1",
    }
    file = tmp_path / "worker.toml"
    file.write_text(to_toml(load({}, given)))
    assert load({"config": str(file)}, {}) == load({}, given)
    secret = {
        "sasl_password": "hunter2",
        "sasl_username": "u",
        "sasl_mechanism": "PLAIN",
        "security_protocol": "SASL_SSL",
    }
    printed = to_toml(load(secret, {}))
    assert "hunter2" not in printed
    assert "\n# sasl_password is set, and not shown\n" in printed
    assert "sasl_password" not in tomllib.loads(printed)


def test_every_option_is_declared_once_with_a_sentence_of_help() -> None:
    every = options(group_types())
    assert [name for name, count in Counter(option.name for option in every).items() if count > 1] == []
    for option in every:
        assert option.help.endswith("."), option.name


def test_a_variable_that_is_no_option_is_named() -> None:
    environ = {"RERANK_MAX_LENGHT": "1", "RERANK_MAX_LENGTH": "64", "RERANK_CONFIG": "x", "HOME": "/"}
    assert unknown_variables(environ) == ["RERANK_MAX_LENGHT"]

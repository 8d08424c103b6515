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
    assert tomllib.loads(printed)["sasl_password"] == "*" * 10


def test_every_option_is_declared_once_with_a_sentence_of_help() -> None:
    every = options(group_types())
    assert [name for name, count in Counter(option.name for option in every).items() if count > 1] == []
    for option in every:
        assert option.help.endswith("."), option.name


def test_a_variable_that_is_no_option_is_named() -> None:
    environ = {"RERANK_MAX_LENGHT": "1", "RERANK_MAX_LENGTH": "64", "RERANK_CONFIG": "x", "HOME": "/"}
    assert unknown_variables(environ) == ["RERANK_MAX_LENGHT"]

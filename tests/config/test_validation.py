"""What was given, and what is said of it where it is wrong."""

from __future__ import annotations

import pytest

from worker.config.options import options
from worker.config.settings import group_types, load
from worker.exits import Exit, StopError


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
        (
            {"result_topic": "rerank-requests"},
            {},
            "request_topic and result_topic: expected different topics, got 'rerank-requests' for both",
        ),
        (
            {"request_topic": "a"},
            {"RERANK_DEAD_LETTER_TOPIC": "a"},
            "request_topic and dead_letter_topic: expected different topics, got 'a' for both",
        ),
        (
            {"dead_letter_topic": "b", "result_topic": "b"},
            {},
            "result_topic and dead_letter_topic: expected different topics, got 'b' for both",
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


def test_a_wrong_password_is_not_shown() -> None:
    with pytest.raises(StopError) as caught:
        load({}, {"RERANK_SASL_PASSWORD": "hunter2", "RERANK_SECURITY_PROTOCOL": "SASL_SSL"})
    assert "hunter2" not in str(caught.value)

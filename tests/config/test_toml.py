"""The settings as a TOML file."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from worker.config.settings import load
from worker.config.toml import to_toml
from worker.exits import StopError

if TYPE_CHECKING:
    from pathlib import Path


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


def test_the_printed_options_are_a_file_that_gives_them_again_and_hide_secrets(tmp_path: Path) -> None:
    given = {
        "RERANK_MAX_LENGTH": "77",
        "RERANK_PRODUCT_FIELDS": "title",
        "RERANK_FIELD_SEPARATOR": ' "|"\t\x7f\x9b🔧\U000e0041 ',
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

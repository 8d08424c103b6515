"""Combinations of options that cannot work are refused."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from worker.exits import Exit, StopError
from worker.kafka_io import KafkaOptions
from worker.kafka_io.security import security_settings

SASL = {"security_protocol": "SASL_SSL"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (SASL, "needs sasl_mechanism"),
        ({**SASL, "sasl_mechanism": "PLAIN"}, "needs sasl_username and sasl_password"),
        ({**SASL, "sasl_mechanism": "SCRAM-SHA-512", "sasl_username": "u"}, "needs sasl_username and sasl_password"),
        ({**SASL, "sasl_mechanism": "OAUTHBEARER"}, "needs sasl_token_file"),
        ({"sasl_mechanism": "PLAIN"}, "needs security_protocol SASL_SSL or SASL_PLAINTEXT, got PLAINTEXT"),
        ({"ssl_ca_file": Path("ca.pem")}, "ssl_ca_file needs security_protocol SSL or SASL_SSL"),
        ({"security_protocol": "SSL", "ssl_key_file": Path("k.pem")}, "ssl_key_file needs ssl_cert_file too"),
    ],
)
def test_a_combination_that_cannot_work_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        KafkaOptions(**given)


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "ü", "a" * 250, "a\n"])
def test_a_group_instance_id_that_kafka_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="group_instance_id: expected 1 to 249 of A-Z"):
        KafkaOptions(group_instance_id=name)


def test_the_name_of_a_pod_is_a_group_instance_id() -> None:
    for name in ("rerank-worker-0", "a.b_C", "..."):
        assert KafkaOptions(group_instance_id=name).group_instance_id == name


def test_a_password_is_not_shown() -> None:
    login = {"sasl_mechanism": "PLAIN", "sasl_username": "u", "sasl_password": SecretStr("opensesame")}
    assert "opensesame" not in repr(KafkaOptions(**SASL, **login))  # type: ignore[arg-type]


def test_a_certificate_file_that_is_missing_or_none_is_refused_before_connecting(tmp_path: Path) -> None:
    for name, text in (("missing.pem", None), ("empty.pem", "no certificate")):
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
        for options in (
            KafkaOptions(security_protocol="SSL", ssl_ca_file=path),
            KafkaOptions(security_protocol="SSL", ssl_cert_file=path),
        ):
            with pytest.raises(StopError, match=name) as stop:
                security_settings(options)
            assert stop.value.code is Exit.CERTIFICATE


def test_a_token_file_that_is_missing_or_empty_is_refused_before_connecting(tmp_path: Path) -> None:
    (tmp_path / "empty.token").write_text("\n")
    for name in ("missing.token", "empty.token"):
        options = KafkaOptions(
            security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER", sasl_token_file=tmp_path / name
        )
        with pytest.raises(StopError, match=name) as stop:
            security_settings(options)
        assert stop.value.code is Exit.LOGIN


def test_a_renewed_token_is_read_at_the_next_login(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    options = KafkaOptions(security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER", sasl_token_file=path)
    provider = security_settings(options)["sasl_oauth_token_provider"]
    assert provider.token() == "first"
    path.write_text("second\n")
    assert provider.token() == "second"

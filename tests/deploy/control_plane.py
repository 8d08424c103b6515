"""A real Kubernetes API server on etcd, for the length of the tests: it admits and refuses as a cluster does."""

from __future__ import annotations

import lzma
import os
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.deploy.kubectl import Kubectl
from tests.integration.line import wait_until
from worker.tools.local.children import Child, free_port

if TYPE_CHECKING:
    from types import TracebackType

PROGRAMS = ("etcd", "kube-apiserver")
SHARED = Path(__file__).resolve().parent.parent.parent.parent / "shared" / "kubernetes"
_TOKEN = "token-of-the-tests"


def definitions() -> Path | None:
    """Return the folder with the definitions of KEDA's, Prometheus' and Strimzi's resources."""
    folder = Path(os.environ.get("KUBERNETES_CRDS", SHARED / "crds"))
    return folder if folder.is_dir() else None


def programs(folder: Path) -> Path | None:
    """Return the folder with etcd and kube-apiserver: KUBEBUILDER_ASSETS, or `folder`, where they are unpacked.

    None where they are not there.
    """
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        return Path(assets) if all((Path(assets) / name).is_file() for name in PROGRAMS) else None
    packed = [SHARED / "bin" / f"{name}.xz" for name in PROGRAMS]
    if not all(path.is_file() for path in packed):
        return None
    for path in packed:
        program = folder / path.stem
        program.write_bytes(lzma.decompress(path.read_bytes()))
        program.chmod(0o755)
    return folder


class ControlPlane:
    """An API server with the admission plugins of a default cluster, as a context manager; no pod runs on it."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._folder = folder
        self._url = f"https://127.0.0.1:{free_port()}"
        self._children = self._prepare(programs)
        self.kubectl = Kubectl(folder / "kubeconfig")

    def __enter__(self) -> Self:
        """Start, and return when requests are served."""
        try:
            for child in self._children:
                child.start()
            wait_until("the API server is ready; {}", self._is_ready, detail=self._tails, alive=self._all_run)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End both at once: their state is thrown away."""
        for child in reversed(self._children):
            child.kill()

    def _prepare(self, programs: Path) -> list[Child]:
        folder = self._folder
        key = folder / "accounts.key"
        subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
        (folder / "tokens.csv").write_text(f"{_TOKEN},admin,admin,system:masters\n")
        (folder / "kubeconfig").write_text(_kubeconfig(self._url))
        store = f"http://127.0.0.1:{free_port()}"
        peers = f"http://127.0.0.1:{free_port()}"
        etcd = {"data-dir": folder / "data", "listen-client-urls": store, "advertise-client-urls": store}
        etcd |= {"listen-peer-urls": peers, "initial-advertise-peer-urls": peers, "initial-cluster": f"default={peers}"}
        server = {
            "etcd-servers": store,
            "bind-address": "127.0.0.1",
            "secure-port": self._url.rpartition(":")[2],
            "cert-dir": folder / "certificates",
            "service-cluster-ip-range": "10.0.0.0/24",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": key,
            "service-account-signing-key-file": key,
            "token-auth-file": folder / "tokens.csv",
            "authorization-mode": "RBAC",
            # It would wait for accounts that a controller makes; none runs here.
            "disable-admission-plugins": "ServiceAccount",
        }
        flags = {"etcd": [*_flags(etcd), "--unsafe-no-fsync"], "kube-apiserver": _flags(server)}
        return [Child([str(programs / name), *flags[name]], log=folder / f"{name}.log") for name in PROGRAMS]

    def _is_ready(self) -> bool:
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        request = urllib.request.Request(f"{self._url}/readyz", headers={"Authorization": f"Bearer {_TOKEN}"})
        try:
            with urllib.request.urlopen(request, context=trusting, timeout=5):
                return True
        except urllib.error.HTTPError as error:
            error.close()
        except OSError:
            pass
        return False

    def _all_run(self) -> bool:
        return all(child.running for child in self._children)

    def _tails(self) -> str:
        return "\n".join(f"{child.log} says:\n{child.tail()}" for child in self._children)


def _flags(values: dict[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in values.items()]


def _kubeconfig(url: str) -> str:
    return f"""apiVersion: v1
kind: Config
current-context: tests
clusters: [{{name: tests, cluster: {{server: "{url}", insecure-skip-tls-verify: true}}}}]
users: [{{name: admin, user: {{token: {_TOKEN}}}}}]
contexts: [{{name: tests, context: {{cluster: tests, user: admin}}}}]
"""

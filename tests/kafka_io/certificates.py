"""Certificates for the secure broker: its authority, a broker and a client, expired ones, and one from elsewhere."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def other_ca(self) -> Path:
        return self.folder / "other-ca.pem"

    def keystore(self, name: str) -> Path:
        return self.folder / f"{name}.keystore.pem"

    def certificate(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"


def make_certificates(folder: Path) -> Certificates:
    made = Certificates(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for authority in ("ca", "other-ca"):
        _openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={authority}",
                 "-keyout", f"{authority}.key", "-out", f"{authority}.pem")  # fmt: skip
    _issue(folder, "broker", "ca", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    _issue(folder, "expired-broker", "ca", "subjectAltName=IP:127.0.0.1,DNS:localhost", days=-1)
    _issue(folder, "client", "ca", "subjectAltName=DNS:worker")
    _issue(folder, "expired-client", "ca", "subjectAltName=DNS:worker", days=-1)
    _issue(folder, "stranger", "other-ca", "subjectAltName=DNS:stranger")
    for broker in ("broker", "expired-broker"):
        made.keystore(broker).write_text(made.key(broker).read_text() + made.certificate(broker).read_text())
    return made


def _issue(folder: Path, name: str, authority: str, extension: str, *, days: int = 2) -> None:
    (folder / f"{name}.ext").write_text(extension)
    _openssl(folder, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
             "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
    _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
             "-CAcreateserial", "-days", str(days), "-extfile", f"{name}.ext", "-out", f"{name}.pem")  # fmt: skip


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

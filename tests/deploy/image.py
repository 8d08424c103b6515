"""Builds the image where there is no container engine: buildah, on a base that debootstrap makes.

The base stands in for the Python image that deploy/Dockerfile names: Debian of the same release, with Debian's Python.
As root:
`make image IMAGE_ARGS="--volume /etc/pip.conf:/etc/pip.conf:ro"`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.needs import lacking

ROOT = Path(__file__).resolve().parent.parent.parent
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
NAME = "rerank-worker:0.1.0"
NAMES = {"cpu": NAME, "cuda": f"{NAME}-cuda"}
FOLDER = Path(os.environ.get("IMAGE_FOLDER", ROOT / "build" / "image"))
_PACKAGES = "python3,python3-venv,libpython3-dev,ca-certificates"  # the Python image has Python's headers too


@dataclass(frozen=True)
class Buildah:
    """buildah with its images in a folder of their own."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What buildah, and whatever calls it, finds in its environment."""
        settings = {"BUILDAH_ISOLATION": "chroot", "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf")}
        return {"STORAGE_DRIVER": "vfs", **os.environ, **settings}

    def __call__(self, *words: str | Path) -> str:
        """Run a command of buildah and return what it prints; its progress goes to standard error."""
        command = ["buildah", *map(str, words)]
        done = subprocess.run(command, env=self.environment, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()

    def prepare(self) -> None:
        """Say where images lie, before the first command."""
        self.folder.mkdir(parents=True, exist_ok=True)
        places = f'graphroot = "{self.folder}/images"\nrunroot = "{self.folder}/run"\n'
        (self.folder / "storage.conf").write_text(f'[storage]\ndriver = "vfs"\n{places}')

    def has(self, image: str) -> bool:
        """Return whether an image is there."""
        command = ["buildah", "inspect", "--type", "image", image]
        return subprocess.run(command, env=self.environment, check=False, capture_output=True).returncode == 0

    def inspect(self, image: str) -> dict[str, Any]:
        """Return an image's configuration, as OCI writes it."""
        found: dict[str, Any] = json.loads(self("inspect", "--type", "image", image))["OCIv1"]
        return found


def base_name() -> str:
    """Return the base that the Dockerfile names."""
    found = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert found, f"{DOCKERFILE}: expected ARG PYTHON_IMAGE="
    return found[1]


def make_base(buildah: Buildah, name: str) -> None:
    """Make the stand-in of the base, of the Debian release at the end of its name."""
    tree = buildah.folder / "base"
    release = name.rpartition("-")[2]
    command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", release, str(tree)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for rest in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(tree / rest)
    container = buildah("from", "scratch")
    buildah("copy", "--quiet", container, tree, "/")
    buildah("commit", "--quiet", "--rm", container, name)
    shutil.rmtree(tree)


def build(buildah: Buildah, target: str, volumes: list[str], arguments: list[str]) -> None:
    """Build a target under its name."""
    options = ["--pull-never", "--layers", "--target", target, "--tag", NAMES[target], "--file", str(DOCKERFILE)]
    options += ["--ignorefile", f"{DOCKERFILE}.dockerignore"]
    options += [part for volume in volumes for part in ("--volume", volume)]
    options += [part for argument in arguments for part in ("--build-arg", argument)]
    # Not captured: whoever waits sees the steps.
    subprocess.run(["buildah", "build", *options, str(ROOT)], env=buildah.environment, check=True)


def main() -> None:
    """Build what is not there yet, and the image anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", choices=NAMES, default="cpu", help="for CPUs or for NVIDIA GPUs")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the images are kept")
    parser.add_argument(
        "--volume", action="append", default=[], help="FROM:TO:ro, for the build to see: pip's settings"
    )
    parser.add_argument("--build-arg", action="append", default=[], help="NAME=VALUE, as the Dockerfile's ARGs")
    options = parser.parse_args()
    if lack := lacking("image"):
        sys.exit(lack)
    try:
        _make(options)
    except subprocess.CalledProcessError as error:
        sys.exit(f"make image: {error.cmd[0]} ended with status {error.returncode}; it has said why")


def _make(options: argparse.Namespace) -> None:
    buildah = Buildah(options.folder.resolve())
    buildah.prepare()
    if not buildah.has(base_name()):
        make_base(buildah, base_name())
    build(buildah, options.target, ["/etc/ssl/certs:/etc/ssl/certs:ro", *options.volume], options.build_arg)


if __name__ == "__main__":
    main()

"""Says in one line what a target of the Makefile needs and does not find: `python -m tests.needs TARGET`.

Python's own library is enough for it: it runs before the virtual environment is made.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

_CHROMIUM = "chromium-headless-shell"
# Debian's packages, and other names of a program.
PACKAGES = {
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "java": "default-jre-headless",
    "mount": "mount",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "unshare": "util-linux",
    "xz": "xz-utils",
    _CHROMIUM: _CHROMIUM,
}
_OTHER_NAMES = {_CHROMIUM: ("chromium", "chromium-browser", "google-chrome")}
_IMAGE = ("buildah", "debootstrap")
TARGETS = {
    "image": _IMAGE,
    "cluster-test": (*_IMAGE, "unshare", "mount", "ip", "nsenter", "xz", "openssl", "prometheus", "java"),
    "check-deploy": ("openssl",),
    "soak": ("java",),
    "pictures": (_CHROMIUM, "prometheus", "java"),
}
_AS_ROOT = {"image", "cluster-test"}


def lacking(target: str) -> str | None:
    """Return, in one line, what `make target` needs and this machine does not have; None where it has all."""
    programs = [program for program in TARGETS[target] if not _is_there(program)]
    said = []
    if programs:
        packages = sorted({PACKAGES[program] for program in programs})
        said.append(f"{' and '.join(programs)} on the PATH (Debian: apt-get install {' '.join(packages)})")
    if target in _AS_ROOT and os.geteuid() != 0:
        said.append("to be run as root")
    return f"make {target} needs {', and '.join(said)}" if said else None


def _is_there(program: str) -> bool:
    if program == "java" and (home := os.environ.get("JAVA_HOME")):
        return os.access(Path(home, "bin", "java"), os.X_OK)
    return any(map(shutil.which, (program, *_OTHER_NAMES.get(program, ()))))


if __name__ == "__main__":
    sys.exit(lacking(sys.argv[1]))

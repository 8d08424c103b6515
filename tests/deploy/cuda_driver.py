"""A libcuda.so.1 that does nothing, for Triton's object to be loaded where there is no GPU."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Makes Triton load its object, and fails where it cannot.
LOAD = "from triton.backends.nvidia.driver import CudaUtils; print(CudaUtils().launch)"


def make_driver(folder: Path, library: Path) -> Path:
    """Make one that has all that a library wants of it, and return its folder."""
    wanted = subprocess.run(["nm", "-D", "-u", library], check=True, capture_output=True, text=True).stdout
    names = re.findall(r"\bU (cu\w+)", wanted)
    assert names
    folder.mkdir()
    source = "".join(f"int {name}(void) {{ return 0; }}\n" for name in names)
    command = ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-Wl,-soname,libcuda.so.1", "-o", "libcuda.so.1"]
    subprocess.run(command, cwd=folder, input=source, text=True, check=True)
    return folder
